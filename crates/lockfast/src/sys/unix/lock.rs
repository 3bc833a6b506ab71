//! Kernel locks: attempt, wait, release, and the question for the lock in the way.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use super::check;
use crate::sys::{Access, Blocker, Range, Target, Waited};

/// Whether there are locks of bytes that belong to the open file description.
pub(crate) const HAS_RANGES: bool = cfg!(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple"
));

/// Whether the kernel reports the lock in the way.
pub(crate) const NAMES_BLOCKERS: bool = HAS_RANGES;

/// Whether newcomers overtake waiters that the kernel has woken, and an alarm can end a wait so that the waiter
/// shows it. Systems without such an alarm can't tell a waiter that its time is over.
pub(crate) const IS_OVERTAKEN: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Tries once. Returns `false` when somebody else holds the lock.
#[allow(
    clippy::inline_always,
    reason = "a fifth of what a free lock executes would be to pass the target on"
)]
#[inline(always)]
pub(crate) fn try_lock(file: &File, access: Access, target: Target) -> io::Result<bool> {
    match attempt(file, access, target) {
        Ok(()) => Ok(true),
        failed => try_again(file, access, target, failed),
    }
}

#[allow(
    clippy::inline_always,
    reason = "a fifth of what a free lock executes would be to pass the target on"
)]
#[inline(always)]
fn attempt(file: &File, access: Access, target: Target) -> io::Result<()> {
    match target {
        Target::Bytes(range) => record::lock(file, access, range, false),
        Target::File => flock(file, operation(access) | libc::LOCK_NB),
    }
}

// | the answer | means |
// |---|---|
// | EAGAIN, EWOULDBLOCK | it is held |
// | EACCES, and a lock is in the way, or it is a `flock` | it is held |
// | EACCES again and again, and no lock is in the way | the user may not lock |
// | EINTR | nothing: it tries again |
// | any other | an error |
/// Interprets the answer of an attempt, and tries again if it says nothing.
#[cold]
fn try_again(
    file: &File,
    access: Access,
    target: Target,
    mut answer: io::Result<()>,
) -> io::Result<bool> {
    let mut refusals = 0;
    loop {
        match answer {
            Ok(()) => return Ok(true),
            Err(error) if may_mean_refused(&error) && refusals < REFUSALS => {
                // Only if it means "held" is there a lock in the way, unless that has gone meanwhile.
                if is_in_the_way(file, access, target) {
                    return Ok(false);
                }
                refusals += 1;
            }
            Err(error) if means_held(&error) && !may_mean_refused(&error) => return Ok(false),
            // A signal may end an attempt on a file system that asks a server.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        answer = attempt(file, access, target);
    }
}

/// Waits in the kernel's queue.
pub(crate) fn wait(file: &File, access: Access, target: Target) -> io::Result<Waited> {
    let answer = match target {
        Target::Bytes(range) => record::lock(file, access, range, true),
        Target::File => flock(file, operation(access)),
    };
    match answer {
        Ok(()) => Ok(Waited::Granted),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Waited::Interrupted),
        Err(error) => Err(error),
    }
}

/// Releases all locks of the description on the target.
#[allow(
    clippy::inline_always,
    reason = "a fifth of what a free lock executes would be to pass the target on"
)]
#[inline(always)]
pub(crate) fn release(file: &File, target: Target) -> io::Result<()> {
    match unlock(file, target) {
        Ok(()) => Ok(()),
        failed => release_again(file, target, failed),
    }
}

#[allow(
    clippy::inline_always,
    reason = "a fifth of what a free lock executes would be to pass the target on"
)]
#[inline(always)]
fn unlock(file: &File, target: Target) -> io::Result<()> {
    match target {
        Target::Bytes(range) => record::unlock(file, range),
        Target::File => flock(file, libc::LOCK_UN),
    }
}

/// Releases again while signals interrupt it.
#[cold]
fn release_again(file: &File, target: Target, mut answer: io::Result<()>) -> io::Result<()> {
    while matches!(&answer, Err(error) if error.kind() == io::ErrorKind::Interrupted) {
        answer = unlock(file, target);
    }
    answer
}

/// Returns the lock of bytes in the way, if the kernel reports it.
pub(crate) fn blocker(file: &File, access: Access, range: Range) -> Option<Blocker> {
    find(file, access, range).ok().flatten()
}

/// Returns the lock of bytes in the way, or the kernel's error.
pub(crate) fn find(file: &File, access: Access, range: Range) -> io::Result<Option<Blocker>> {
    record::find(file, access, range)
}

/// Whether a file system or a kernel without such locks answers a lock call with this error.
pub(crate) fn means_no_locks_here(error: &io::Error) -> bool {
    match error.raw_os_error() {
        // EINVAL: a kernel without open-file-description locks, or a file that can't be locked.
        Some(libc::ENOLCK | libc::ENOSYS | libc::EINVAL) => true,
        Some(errno) => errno == libc::EOPNOTSUPP || errno == libc::ENOTSUP,
        None => false,
    }
}

/// Returns advice on an error for which the standard library has no kind, or only a later version has.
pub(crate) fn advice(error: &io::Error) -> Option<&'static str> {
    match error.raw_os_error()? {
        libc::EMFILE => Some("the process has too many open files: raise its limit (ulimit -n)"),
        libc::ENFILE => Some("the system has too many open files"),
        libc::EBADF => Some("the file must be open for writing"),
        libc::ENAMETOOLONG => Some("the path or a part of it is too long"),
        _ => None,
    }
}

/// Whether the error is EACCES. Some systems mean by it that the lock is held, and others that the user may
/// not lock.
fn may_mean_refused(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EACCES)
}

/// The number of refusals without a lock in the way that count as an error.
const REFUSALS: u32 = 3;

/// Whether a lock is in the way. The kernel reports none for `flock`, so there it counts as held.
fn is_in_the_way(file: &File, access: Access, target: Target) -> bool {
    match target {
        // If the question fails, the lock counts as held. A wait then gets the error itself.
        Target::Bytes(range) => !matches!(find(file, access, range), Ok(None)),
        Target::File => true,
    }
}

fn means_held(error: &io::Error) -> bool {
    // POSIX allows both for a record lock, and SMB clients use EACCES.
    match error.raw_os_error() {
        Some(libc::EACCES) => true,
        Some(errno) => errno == libc::EAGAIN || errno == libc::EWOULDBLOCK,
        None => false,
    }
}

fn operation(access: Access) -> libc::c_int {
    match access {
        Access::Shared => libc::LOCK_SH,
        Access::Exclusive => libc::LOCK_EX,
    }
}

#[inline]
#[allow(clippy::disallowed_methods, reason = "this is the wrapper")]
fn flock(file: &File, operation: libc::c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as the reference lives.
    check(unsafe { libc::flock(file.as_raw_fd(), operation) }).map(drop)
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
mod record;

/// Other systems have no record locks of open file descriptions (`HAS_RANGES`).
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
mod record {
    use std::fs::File;
    use std::io;

    use crate::sys::{Access, Blocker, Range};

    pub(super) fn lock(_: &File, _: Access, _: Range, _: bool) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn unlock(_: &File, _: Range) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn find(_: &File, _: Access, _: Range) -> io::Result<Option<Blocker>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errno(number: libc::c_int) -> io::Error {
        io::Error::from_raw_os_error(number)
    }

    #[test]
    fn a_held_lock_has_errors_of_its_own() {
        for number in [libc::EAGAIN, libc::EWOULDBLOCK, libc::EACCES] {
            assert!(means_held(&errno(number)), "{number}");
        }
        for number in [
            libc::ENOLCK,
            libc::EINTR,
            libc::EBADF,
            libc::EIO,
            libc::EDEADLK,
        ] {
            assert!(!means_held(&errno(number)), "{number}");
        }
    }

    #[test]
    fn a_file_system_without_locks_has_errors_of_its_own() {
        let without = [
            libc::ENOLCK,
            libc::ENOSYS,
            libc::EOPNOTSUPP,
            libc::ENOTSUP,
            libc::EINVAL,
        ];
        for number in without {
            assert!(means_no_locks_here(&errno(number)), "{number}");
        }
        for number in [
            libc::EAGAIN,
            libc::EINTR,
            libc::EBADF,
            libc::EIO,
            libc::EDEADLK,
        ] {
            assert!(!means_no_locks_here(&errno(number)), "{number}");
        }
    }
    #[test]
    fn errors_that_the_user_can_do_something_about_have_advice() {
        let cases = [
            (libc::EMFILE, Some("ulimit -n")),
            (libc::ENFILE, Some("too many open files")),
            (libc::EBADF, Some("open for writing")),
            (libc::ENAMETOOLONG, Some("too long")),
            (libc::EIO, None),
        ];
        for (number, part) in cases {
            let given = advice(&errno(number));
            match part {
                Some(part) => assert!(given.is_some_and(|text| text.contains(part)), "{number}"),
                None => assert_eq!(given, None, "{number}"),
            }
        }
    }
}
