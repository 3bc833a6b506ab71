//! System calls that need `unsafe`, and differences between systems.
#![allow(
    unsafe_code,
    reason = "system calls; nothing outside this file has any"
)]

mod volume;

use std::ffi::{OsStr, c_void};
use std::fs::{self, DirEntry, File};
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use windows_sys::Win32::Foundation::ERROR_TOO_MANY_OPEN_FILES;
use windows_sys::Win32::System::Console::{
    CONSOLE_SCREEN_BUFFER_INFO, CTRL_BREAK_EVENT, CTRL_C_EVENT, ENABLE_VIRTUAL_TERMINAL_PROCESSING,
    GetConsoleMode, GetConsoleScreenBufferInfo, SetConsoleCtrlHandler, SetConsoleMode,
};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation,
    SetInformationJobObject,
};
use windows_sys::Win32::System::Performance::{QueryPerformanceCounter, QueryPerformanceFrequency};
use windows_sys::Win32::System::Threading::GetCurrentProcess;
use windows_sys::core::BOOL;

pub(crate) use self::volume::volume;
use crate::refused::Obstacle;

/// Whether the system can kill a command when this process ends.
pub(crate) const CAN_KILL_WITH_PARENT: bool = true;

/// Whether a command can inherit locks.
pub(crate) const CAN_INHERIT: bool = false;

/// A job that ends with this process, which has its only handle.
static JOB: OnceLock<OwnedHandle> = OnceLock::new();

/// Makes the system kill everything that this process starts when it ends: this process joins a
/// job, to which its children belong from the start.
pub(crate) fn kill_with_parent() -> io::Result<()> {
    // SAFETY: no attributes, no name; the call returns a new handle, or null.
    let job = unsafe { CreateJobObjectW(std::ptr::null(), std::ptr::null()) };
    if job.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle is new, and nobody else's.
    let job = unsafe { OwnedHandle::from_raw_handle(job) };
    limit(&job, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE)?;
    // SAFETY: takes nothing, and returns a number that means this process.
    let this = unsafe { GetCurrentProcess() };
    // SAFETY: both handles are open.
    check(unsafe { AssignProcessToJobObject(job.as_raw_handle(), this) })?;
    // Never closed before the end of this process.
    let _ = JOB.set(job);
    Ok(())
}

/// Lets the processes of the job outlive this process.
pub(crate) fn let_live() {
    if let Some(job) = JOB.get() {
        // The limit was set before, so it can be removed.
        let _ = limit(job, 0);
    }
}

fn limit(job: &OwnedHandle, flags: u32) -> io::Result<()> {
    let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
    limits.BasicLimitInformation.LimitFlags = flags;
    let size = u32::try_from(size_of_val(&limits)).expect("some bytes");
    let from = (&raw const limits).cast::<c_void>();
    let class = JobObjectExtendedLimitInformation;
    // SAFETY: the handle is a job's, and what is set is as large as the call is told.
    check(unsafe { SetInformationJobObject(job.as_raw_handle(), class, from, size) })
}

/// Makes this process survive interrupts from the console.
pub(crate) fn outlive_console_events() -> io::Result<()> {
    // SAFETY: the handler is a function of this program, and may run on any thread.
    check(unsafe { SetConsoleCtrlHandler(Some(go_on), 1) })
}

/// Does nothing: the main thread looks at its locks again and again.
pub(crate) fn ring() {}

/// Does nothing, like [`ring`].
#[allow(clippy::unnecessary_wraps, reason = "as on the other side")]
pub(crate) fn ring_after(_time: Duration) -> io::Result<()> {
    Ok(())
}

/// Handles an event. If the console closes or the session ends, the system ends this process as
/// soon as this function returns, so it waits to give the command all the time there is.
unsafe extern "system" fn go_on(event: u32) -> BOOL {
    if ![CTRL_C_EVENT, CTRL_BREAK_EVENT].contains(&event) {
        std::thread::sleep(Duration::MAX);
    }
    1
}

/// Called before a console event ends this process.
static BEFORE_THE_END: Mutex<Option<Box<dyn FnOnce() + Send>>> = Mutex::new(None);

/// Calls a function before a console event ends this process.
pub(crate) fn before_being_ended(clean: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut before = BEFORE_THE_END
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    *before = Some(Box::new(clean));
    drop(before);
    // SAFETY: the handler is a function of this program, and may run on any thread.
    check(unsafe { SetConsoleCtrlHandler(Some(clean_up), 1) })
}

/// Cleans up and leaves the event to the system, which ends this process.
unsafe extern "system" fn clean_up(_event: u32) -> BOOL {
    let clean = BEFORE_THE_END
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(clean) = clean {
        clean();
    }
    0
}

/// Whether the console shows the work of this process: all of its processes write to it.
pub(crate) fn is_in_foreground(_console: impl AsHandle) -> bool {
    true
}

/// Returns the width of a console, and makes it understand escape sequences; `None` if it can't.
pub(crate) fn columns(console: impl AsHandle) -> Option<usize> {
    let console = console.as_handle();
    let mut mode = 0;
    // SAFETY: the handle is open, and the call writes a number.
    check(unsafe { GetConsoleMode(console.as_raw_handle(), &raw mut mode) }).ok()?;
    mode |= ENABLE_VIRTUAL_TERMINAL_PROCESSING;
    // SAFETY: the handle is open.
    check(unsafe { SetConsoleMode(console.as_raw_handle(), mode) }).ok()?;
    let mut screen = CONSOLE_SCREEN_BUFFER_INFO::default();
    // SAFETY: the handle is open, and the call writes one structure.
    check(unsafe { GetConsoleScreenBufferInfo(console.as_raw_handle(), &raw mut screen) }).ok()?;
    usize::try_from(screen.dwSize.X)
        .ok()
        .filter(|columns| *columns > 0)
}

/// Returns the time of a clock that all processes of the machine share.
pub(crate) fn monotonic_time() -> Duration {
    let (mut count, mut of_a_second) = (0, 0);
    // SAFETY: writes a number, and can't fail on a system that runs this program.
    unsafe { QueryPerformanceCounter(&raw mut count) };
    // SAFETY: as above.
    unsafe { QueryPerformanceFrequency(&raw mut of_a_second) };
    let nanoseconds = i128::from(count) * 1_000_000_000 / i128::from(of_a_second.max(1));
    Duration::from_nanos(nanoseconds.try_into().unwrap_or(u64::MAX))
}

/// Open files that a command inherits: none. If two processes shared a lock, neither would know
/// when it is free.
#[derive(Debug, Default)]
pub(crate) struct Inherited(());

#[allow(clippy::unused_self, reason = "as on the other side")]
impl Inherited {
    /// Never called, see [`CAN_INHERIT`].
    pub(crate) fn add(&mut self, _file: &File) -> io::Result<u32> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Never called, see [`CAN_INHERIT`].
pub(crate) fn let_go(_file: &File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Never called, see [`CAN_INHERIT`].
pub(crate) fn become_command(_command: &mut Command) -> io::Error {
    io::ErrorKind::Unsupported.into()
}

/// Does nothing: any process can be ended on Windows.
#[derive(Debug)]
pub(crate) struct Mortality(());

impl Mortality {
    #[allow(clippy::unnecessary_wraps, reason = "as on the other side")]
    pub(crate) fn begin(_signals: &[u32]) -> io::Result<Self> {
        Ok(Self(()))
    }
}

impl Drop for Mortality {
    /// Restores signal handling on other systems.
    fn drop(&mut self) {}
}

/// Does nothing: there are no signals.
pub(crate) fn die_of(_number: u8) {}

/// Returns nothing: not implemented.
pub(crate) fn obstacle(_path: &Path) -> Option<Obstacle> {
    None
}

/// Returns nothing: not implemented.
pub(crate) fn ancestors() -> Vec<u32> {
    Vec::new()
}

/// Returns `false`: commands inherit no lock.
pub(crate) fn has_open(_number: u32, _key: &Path) -> bool {
    false
}

/// Whether this process is out of handles.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    const TOO_MANY_OPEN_FILES: i32 = ERROR_TOO_MANY_OPEN_FILES.cast_signed();
    error.raw_os_error() == Some(TOO_MANY_OPEN_FILES)
}

/// Returns `false`: there is no shell that could run the file.
pub(crate) fn is_for_shell(_error: &io::Error) -> bool {
    false
}

/// Splits a text into lines, each a path.
pub(crate) fn lines(text: &OsStr) -> Vec<PathBuf> {
    let text = text.to_string_lossy();
    text.split('\n').map(PathBuf::from).collect()
}

/// Returns the absolute path, as the library does. Links are kept: without them the path would have
/// a form that few programs show.
pub(crate) fn real_path(path: &Path) -> io::Result<PathBuf> {
    fs::metadata(path)?;
    std::path::absolute(path)
}

/// Returns the identity of a file, as far as its path shows it.
pub(crate) fn file_key(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path)
}

/// Returns nothing: the number of a file is not known without opening it.
pub(crate) fn number(_entry: &DirEntry) -> Option<u64> {
    None
}

/// Returns nothing: users have no numbers.
pub(crate) fn user_name(_number: u32) -> Option<String> {
    None
}

fn check(answer: BOOL) -> io::Result<()> {
    if answer == 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
