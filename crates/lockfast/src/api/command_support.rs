//! Locks on descriptors that other processes have too, and text of others as it may be shown.
//!
//! For the command alone, and no part of the API: it may change in any release. What the
//! primitives promise (the check that the file is still at its path, privacy of the descriptor, the
//! queue of the threads) is the opposite of what flock(1) does, whose lock stays with a descriptor
//! that the caller or the command has: so there are [`KernelLock`]s for `lockfast flock`. `lockfast run`
//! takes its locks by the primitives, and then lets its command inherit them.

use std::fs::File;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Instant;

use crate::sys::alarm::Alarm;
use crate::sys::naps::Naps;
use crate::sys::{self, Target, Waited};
use crate::sys::{Access, Range};
use crate::types::error::Result;
pub use crate::types::text::Shown;
use crate::{MemberGuard, Options, RwLock};

/// A lock of the kernel on an open file description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelLock {
    /// By `flock`.
    File,
    /// By an open-file-description record lock.
    Bytes {
        /// The first byte.
        start: i64,
        /// The number of bytes, 0 for all that follow.
        len: i64,
    },
}

/// The limit of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Not at all.
    Now,
    /// Up to an instant.
    Instant(Instant),
    /// As long as it takes.
    Granted,
}

/// The numbers of the file at the path, as [`LockedFile`](crate::inspect::LockedFile) has them: of the
/// device, and of the file in it.
///
/// # Errors
///
/// As the system has them.
#[cfg(feature = "inspect")]
pub fn numbers_of(path: &std::path::Path) -> io::Result<((u32, u32), u64)> {
    let key = crate::inspect::key_of(path)?;
    Ok(((key.major, key.minor), key.inode))
}

/// The file that a guard holds locked.
pub fn file(guard: &MemberGuard) -> &File {
    guard.file()
}

/// The path of its lock file, absolute.
pub fn path(guard: &MemberGuard) -> &Path {
    guard.path()
}

/// Writes into the owner record, if there is one, that the lock is released, though it is not yet.
///
/// # Errors
///
/// When it can't be written.
pub fn end_record(guard: &mut MemberGuard) -> Result<()> {
    match guard {
        MemberGuard::Write(guard) => guard.end_record(),
        _ => Ok(()),
    }
}

/// Options for a lock that is only ever taken to read: its file is opened for reading.
pub fn for_reading(options: Options<RwLock>) -> Options<RwLock> {
    options.for_reading()
}

impl KernelLock {
    /// Takes it; `false` when somebody else holds it all the time.
    ///
    /// # Blocking
    ///
    /// In the kernel's queue, also with an instant (on systems without such alarms it asks every 1
    /// to 10 ms). A signal that the program handles does not end the wait.
    ///
    /// # Errors
    ///
    /// The error of the kernel, with its number.
    pub fn acquire(self, file: &File, shared: bool, until: Until) -> io::Result<bool> {
        let target = self.target()?;
        let access = if shared {
            Access::Shared
        } else {
            Access::Exclusive
        };
        let deadline = match until {
            Until::Now => return sys::lock::try_lock(file, access, target),
            Until::Granted => None,
            Until::Instant(deadline) => Some(deadline),
        };
        // Dropped at the end: it makes the call below come back at the deadline, and again and
        // again until the wait is over, so that none is lost.
        let alarm = deadline.map(|deadline| Alarm::set(Some(deadline)));
        // Without an alarm nothing would end the kernel's call.
        if let (Some(deadline), Some(Err(_))) = (deadline, &alarm) {
            return polled(file, access, target, deadline);
        }
        let is_over = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
        loop {
            match sys::lock::wait(file, access, target)? {
                Waited::Granted => return Ok(true),
                Waited::Interrupted if is_over() => return Ok(false),
                Waited::Interrupted => {}
            }
        }
    }

    /// Releases the part that the description holds, if any.
    ///
    /// # Errors
    ///
    /// The error of the kernel, with its number.
    pub fn release(self, file: &File) -> io::Result<()> {
        sys::lock::release(file, self.target()?)
    }

    fn target(self) -> io::Result<Target> {
        match self {
            Self::File => Ok(Target::File),
            Self::Bytes { start, len } => match (u64::try_from(start), u64::try_from(len)) {
                (Ok(start), Ok(len)) => Ok(Target::Bytes(Range { start, len })),
                _ => Err(io::ErrorKind::InvalidInput.into()),
            },
        }
    }
}

/// Asks again and again, on systems where nothing ends a wait in the kernel.
fn polled(file: &File, access: Access, target: Target, deadline: Instant) -> io::Result<bool> {
    let mut naps = Naps::SHORT;
    loop {
        if sys::lock::try_lock(file, access, target)? {
            return Ok(true);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        thread::sleep(naps.next().min(left));
    }
}
