//! Calls to the kernel that lock or unlock a range or transfer bytes, and wait until that is complete.

use std::cell::OnceCell;
use std::fs::File;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle};
use std::rc::Rc;
use std::time::Instant;

use windows_sys::Wdk::Storage::FileSystem::{FileModeInformation, NtQueryInformationFile};
use windows_sys::Win32::Foundation::{
    ERROR_HANDLE_EOF, ERROR_IO_PENDING, ERROR_LOCK_VIOLATION, ERROR_NOT_LOCKED,
    ERROR_OPERATION_ABORTED, GENERIC_READ, HANDLE, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_OVERLAPPED, FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE,
    LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx, ReOpenFile, ReadFile,
    UnlockFileEx, WriteFile,
};
use windows_sys::Win32::System::IO::{
    CancelIoEx, GetOverlappedResult, IO_STATUS_BLOCK, OVERLAPPED,
};

use super::event::WakeEvent;
use super::sleep::{Woken, sleep};
use super::{check, is};
use crate::sys::naps::Naps;
use crate::sys::{Access, Range, Waited};

/// A request that the kernel may complete later. It must not be moved or dropped before that, so each
/// function here waits for its completion.
struct Overlapped {
    overlapped: OVERLAPPED,
    event: Rc<WakeEvent>,
}

impl Overlapped {
    /// Makes a request for bytes from this offset on.
    fn at(start: u64) -> io::Result<Self> {
        Ok(Self::by(own_event()?, start))
    }

    /// Makes a request that sets the event when it is complete.
    fn by(event: Rc<WakeEvent>, start: u64) -> Self {
        // SAFETY: the structure is made of integers and pointers, for which zeros are a value.
        let mut overlapped: OVERLAPPED = unsafe { std::mem::zeroed() };
        overlapped.hEvent = event.handle();
        #[allow(clippy::cast_possible_truncation, reason = "the lower half")]
        let low = start as u32;
        overlapped.Anonymous.Anonymous.Offset = low;
        overlapped.Anonymous.Anonymous.OffsetHigh = high(start);
        Self { overlapped, event }
    }

    /// Sleeps until the request is complete, after its call gave this answer. Returns the number of bytes.
    fn finish(&self, file: &File, answer: io::Result<()>) -> io::Result<u32> {
        match answer {
            Err(error) if !is(&error, ERROR_IO_PENDING) => Err(error),
            _ => self.result(file),
        }
    }

    fn result(&self, file: &File) -> io::Result<u32> {
        let mut bytes = 0;
        let handle = file.as_raw_handle();
        // SAFETY: the request is the one that was made of this file, and lives until it is complete, for
        // which the call waits.
        check(unsafe {
            GetOverlappedResult(handle, &raw const self.overlapped, &raw mut bytes, 1)
        })?;
        Ok(bytes)
    }

    /// Cancels the request. It may be granted in the same instant.
    fn cancel(&self, file: &File) {
        // SAFETY: the request is the one that was made of this file. If it is complete, the kernel finds
        // none.
        unsafe { CancelIoEx(file.as_raw_handle(), &raw const self.overlapped) };
    }
}

/// Tries once. Returns `false` when a lock of somebody else is in the way, or another one of this file.
#[allow(clippy::disallowed_methods, reason = "this is the wrapper")]
pub(super) fn try_lock(file: &File, access: Access, range: Range) -> io::Result<bool> {
    let mut request = Overlapped::at(range.start)?;
    let answer = lock(file, access, LOCKFILE_FAIL_IMMEDIATELY, range, &mut request);
    match request.finish(file, answer) {
        Ok(_) => Ok(true),
        Err(error) if is(&error, ERROR_LOCK_VIOLATION) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Waits in the kernel's queue, until an alarm of this thread.
pub(super) fn wait(file: &File, access: Access, range: Range) -> io::Result<Waited> {
    if blocks(file) {
        return poll(file, access, range);
    }
    let mut request = Overlapped::at(range.start)?;
    match lock(file, access, 0, range, &mut request) {
        Ok(()) => return Ok(Waited::Granted),
        Err(error) if is(&error, ERROR_IO_PENDING) => {}
        Err(error) => return Err(error),
    }
    // If the sleep fails, the wait ends too, but not before the request is complete.
    let woken = sleep(&[request.event.handle()], None);
    if !matches!(woken, Ok(Woken::By(_))) {
        request.cancel(file);
    }
    match request.result(file) {
        Ok(_) => Ok(Waited::Granted),
        Err(error) if is(&error, ERROR_OPERATION_ABORTED) => woken.map(|_| Waited::Interrupted),
        Err(error) => Err(error),
    }
}

/// How a wait for any of several ranges ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Any {
    /// A range could be locked shared.
    Free,
    TimedOut,
    Interrupted,
}

/// Sleeps until one of the ranges could be locked shared, until the instant, or until an alarm of this thread.
/// The handle must have none of them locked, and has none locked afterwards.
pub(super) fn any(file: &File, ranges: &[Range], until: Instant) -> io::Result<Any> {
    // In boxes, as a request must not be moved.
    let mut requests = Vec::with_capacity(ranges.len());
    let mut outcome = Ok(None);
    for &range in ranges {
        let made =
            WakeEvent::new().map(|event| Box::new(Overlapped::by(Rc::new(event), range.start)));
        let answer = made.and_then(|mut request| {
            let answer = lock(file, Access::Shared, 0, range, &mut request);
            let is_pending = matches!(&answer, Err(error) if is(error, ERROR_IO_PENDING));
            if answer.is_ok() || is_pending {
                requests.push((range, request));
            }
            if is_pending {
                Ok(None)
            } else {
                answer.map(|()| Some(Any::Free))
            }
        });
        match answer {
            Ok(None) => {}
            ended => {
                outcome = ended;
                break;
            }
        }
    }
    if matches!(outcome, Ok(None)) {
        let events: Vec<_> = requests
            .iter()
            .map(|(_, request)| request.event.handle())
            .collect();
        outcome = sleep(&events, Some(until)).map(|woken| {
            Some(match woken {
                Woken::By(_) => Any::Free,
                Woken::TimedOut => Any::TimedOut,
                Woken::Interrupted => Any::Interrupted,
            })
        });
    }
    for (_, request) in &requests {
        // All first: each result below waits until its request is complete.
        request.cancel(file);
    }
    let mut unlocked = Ok(());
    for (range, request) in &requests {
        // A request may be granted in the instant of its cancellation. After an error the others are still
        // waited for, as the kernel writes to them until they are complete.
        if request.result(file).is_ok() {
            unlocked = unlocked.and(unlock(file, *range));
        }
    }
    let ended = outcome?;
    unlocked.map(|()| ended.unwrap_or(Any::TimedOut))
}

/// Opens the same file by a handle of its own, whose locks conflict with those of the other one.
pub(super) fn reopen(file: &File) -> io::Result<File> {
    let share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    let handle = file.as_raw_handle();
    // SAFETY: the handle is open; the call answers a new one, or one that is not valid.
    let handle = unsafe { ReOpenFile(handle, GENERIC_READ, share, FILE_FLAG_OVERLAPPED) };
    if handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle is new, and nobody else's.
    Ok(unsafe { File::from_raw_handle(handle) })
}

/// Unlocks a range that was locked as exactly this range.
pub(super) fn unlock(file: &File, range: Range) -> io::Result<()> {
    let mut request = Overlapped::at(range.start)?;
    let (low, high) = length(range);
    let handle = file.as_raw_handle();
    // SAFETY: the handle is open, and the request lives until it is complete.
    let answer = check(unsafe { UnlockFileEx(handle, 0, low, high, &raw mut request.overlapped) });
    match request.finish(file, answer) {
        // The program has unlocked it by this handle. (The second is Wine's answer.)
        Err(error) if is(&error, ERROR_NOT_LOCKED) || is(&error, ERROR_LOCK_VIOLATION) => Ok(()),
        finished => finished.map(drop),
    }
}

/// Reads from the offset on. Returns 0 bytes at the end of the file.
pub(super) fn read(file: &File, buffer: &mut [u8], start: u64) -> io::Result<usize> {
    let mut request = Overlapped::at(start)?;
    let length = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
    let handle = file.as_raw_handle();
    let to = buffer.as_mut_ptr();
    // SAFETY: the buffer is as long as the call says; it and the request live until it is complete.
    let answer = check(unsafe {
        ReadFile(
            handle,
            to,
            length,
            std::ptr::null_mut(),
            &raw mut request.overlapped,
        )
    });
    match request.finish(file, answer) {
        Ok(bytes) => Ok(bytes as usize),
        Err(error) if is(&error, ERROR_HANDLE_EOF) => Ok(0),
        Err(error) => Err(error),
    }
}

/// Writes some of the bytes at the offset.
pub(super) fn write(file: &File, bytes: &[u8], start: u64) -> io::Result<usize> {
    let mut request = Overlapped::at(start)?;
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let handle = file.as_raw_handle();
    let from = bytes.as_ptr();
    // SAFETY: there are as many bytes as the call says; they and the request live until it is complete.
    let answer = check(unsafe {
        WriteFile(
            handle,
            from,
            length,
            std::ptr::null_mut(),
            &raw mut request.overlapped,
        )
    });
    request.finish(file, answer).map(|bytes| bytes as usize)
}

fn lock(
    file: &File,
    access: Access,
    flags: u32,
    range: Range,
    request: &mut Overlapped,
) -> io::Result<()> {
    let flags = match access {
        Access::Shared => flags,
        Access::Exclusive => flags | LOCKFILE_EXCLUSIVE_LOCK,
    };
    let (low, high) = length(range);
    let handle = file.as_raw_handle();
    let overlapped = &raw mut request.overlapped;
    // SAFETY: the handle is open, and the request lives until it is complete.
    check(unsafe { LockFileEx(handle, flags, 0, low, high, overlapped) })
}

/// Polls. A wait by a handle that was opened without `FILE_FLAG_OVERLAPPED` could not be ended.
fn poll(file: &File, access: Access, range: Range) -> io::Result<Waited> {
    let mut naps = Naps::SHORT;
    while !try_lock(file, access, range)? {
        if sleep(&[], Some(Instant::now() + naps.next()))? == Woken::Interrupted {
            return Ok(Waited::Interrupted);
        }
    }
    Ok(Waited::Granted)
}

/// Whether calls by this handle block, because it was opened without `FILE_FLAG_OVERLAPPED`.
fn blocks(file: &File) -> bool {
    const FILE_SYNCHRONOUS_IO_ALERT: u32 = 0x10;
    const FILE_SYNCHRONOUS_IO_NONALERT: u32 = 0x20;
    let mut mode = 0_u32;
    // SAFETY: the structure is made of integers and pointers, for which zeros are a value.
    let mut status: IO_STATUS_BLOCK = unsafe { std::mem::zeroed() };
    let handle: HANDLE = file.as_raw_handle();
    // SAFETY: the handle is open, and the answer of this question has 32 bits.
    let answer = unsafe {
        NtQueryInformationFile(
            handle,
            &raw mut status,
            (&raw mut mode).cast(),
            4,
            FileModeInformation,
        )
    };
    answer < 0 || mode & (FILE_SYNCHRONOUS_IO_ALERT | FILE_SYNCHRONOUS_IO_NONALERT) != 0
}

/// Returns this thread's event. A thread has one request at a time, so one event is enough.
fn own_event() -> io::Result<Rc<WakeEvent>> {
    thread_local! {
        static OWN: OnceCell<Rc<WakeEvent>> = const { OnceCell::new() };
    }
    let own = OWN.try_with(|own| match own.get() {
        Some(event) => Ok(Rc::clone(event)),
        None => WakeEvent::new().map(|event| Rc::clone(own.get_or_init(|| Rc::new(event)))),
    });
    // While the thread is torn down, each request gets a new one.
    own.unwrap_or_else(|_| WakeEvent::new().map(Rc::new))
}

fn length(range: Range) -> (u32, u32) {
    #[allow(clippy::cast_possible_truncation, reason = "the lower half")]
    let low = range.len as u32;
    (low, high(range.len))
}

fn high(number: u64) -> u32 {
    u32::try_from(number >> 32).expect("shifted to 32 bits")
}
