//! The kernel's locks: one attempt, one wait, one release, one question.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use super::check;
use crate::protocol::Blocker;
use crate::sys::{Access, Range};
use crate::sys::{Target, Waited};

/// Are there locks of bytes that belong to the open file description?
pub(crate) const HAS_RANGES: bool = cfg!(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple"
));

/// Does the kernel tell which lock is in the way?
pub(crate) const TELLS_BLOCKERS: bool = HAS_RANGES;

/// Tries once; `false` when somebody else holds it.
pub(crate) fn try_lock(file: &File, access: Access, target: Target) -> io::Result<bool> {
    let mut refusals = 0;
    loop {
        let answer = match target {
            Target::Bytes(range) => record::lock(file, access, range, false),
            Target::File => flock(file, operation(access) | libc::LOCK_NB),
        };
        match answer {
            Ok(()) => return Ok(true),
            Err(error) if may_mean_refused(&error) && refusals < REFUSALS => {
                // A lock that is in the way tells the two apart; it may be gone meanwhile.
                if is_in_the_way(file, access, target) {
                    return Ok(false);
                }
                refusals += 1;
            }
            Err(error) if means_held(&error) && !may_mean_refused(&error) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
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

/// Releases whatever the description holds there.
pub(crate) fn release(file: &File, target: Target) -> io::Result<()> {
    loop {
        let answer = match target {
            Target::Bytes(range) => record::unlock(file, range),
            Target::File => flock(file, libc::LOCK_UN),
        };
        match answer {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}

/// Which lock of bytes stands in the way, if the kernel tells.
pub(crate) fn blocker(file: &File, access: Access, range: Range) -> Option<Blocker> {
    find(file, access, range).ok().flatten()
}

/// The same, and why the kernel doesn't tell.
pub(crate) fn find(file: &File, access: Access, range: Range) -> io::Result<Option<Blocker>> {
    record::find(file, access, range)
}

/// Is this what a file system or a kernel without such locks answers to a lock call?
pub(crate) fn means_no_locks_here(error: &io::Error) -> bool {
    match error.raw_os_error() {
        // EINVAL: a kernel without open-file-description locks, or a file that can't be locked.
        Some(libc::ENOLCK | libc::ENOSYS | libc::EINVAL) => true,
        Some(errno) => errno == libc::EOPNOTSUPP || errno == libc::ENOTSUP,
        None => false,
    }
}

/// Advice on an error for which the standard library has no kind, or only a later one has.
pub(crate) fn advice(error: &io::Error) -> Option<&'static str> {
    match error.raw_os_error()? {
        libc::EMFILE => Some("the process has too many open files: raise its limit (ulimit -n)"),
        libc::ENFILE => Some("the system has too many open files"),
        libc::EBADF => Some("the file must be open for writing"),
        libc::ENAMETOOLONG => Some("the path or a part of it is too long"),
        _ => None,
    }
}

/// EACCES is what some say of a lock that is held, and what others say of a user who may not lock.
fn may_mean_refused(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EACCES)
}

/// How often a lock is refused by nobody until it is an error.
const REFUSALS: u32 = 3;

/// The kernel names no holder of a `flock`.
fn is_in_the_way(file: &File, access: Access, target: Target) -> bool {
    match target {
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

#[allow(clippy::disallowed_methods, reason = "this is the wrapper")]
fn flock(file: &File, operation: libc::c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as the reference lives.
    check(unsafe { libc::flock(file.as_raw_fd(), operation) }).map(drop)
}

/// Record locks that belong to the open file description.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
mod record {
    use std::fs::File;
    use std::io;
    use std::os::fd::{AsRawFd, RawFd};

    use super::super::check;
    use crate::protocol::Blocker;
    use crate::sys::{Access, Range};

    #[cfg(target_vendor = "apple")]
    use libc::flock as Flock;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    use libc::flock64 as Flock;

    pub(super) fn lock(file: &File, access: Access, range: Range, wait: bool) -> io::Result<()> {
        let command = if wait {
            libc::F_OFD_SETLKW
        } else {
            libc::F_OFD_SETLK
        };
        set(file, command, record(kind(access), range))
    }

    pub(super) fn unlock(file: &File, range: Range) -> io::Result<()> {
        set(file, libc::F_OFD_SETLK, record(libc::F_UNLCK, range))
    }

    pub(super) fn find(file: &File, access: Access, range: Range) -> io::Result<Option<Blocker>> {
        let mut record = record(kind(access), range);
        let fd = file.as_raw_fd();
        check(call(fd, libc::F_OFD_GETLK, &mut record))?;
        if is_none(&record) {
            return Ok(None);
        }
        let offset = |offset| u64::try_from(offset).map_err(io::Error::other);
        Ok(Some(Blocker {
            start: offset(record.l_start)?,
            len: offset(record.l_len)?,
            pid: u32::try_from(record.l_pid).ok().filter(|&pid| pid > 0),
        }))
    }

    fn set(file: &File, command: libc::c_int, mut record: Flock) -> io::Result<()> {
        check(call(file.as_raw_fd(), command, &mut record)).map(drop)
    }

    /// Where offsets of the C library have 32 bits, its `fcntl` takes the record for one with such
    /// offsets, so the kernel is called without it.
    #[cfg(all(
        target_os = "linux",
        target_env = "gnu",
        any(target_arch = "x86", target_arch = "arm", target_arch = "powerpc")
    ))]
    #[allow(clippy::cast_possible_truncation, reason = "0, or -1")]
    fn call(fd: RawFd, command: libc::c_int, record: &mut Flock) -> libc::c_int {
        // SAFETY: the descriptor is open and the record outlives the call.
        unsafe { libc::syscall(libc::SYS_fcntl64, fd, command, &raw mut *record) as libc::c_int }
    }

    #[cfg(not(all(
        target_os = "linux",
        target_env = "gnu",
        any(target_arch = "x86", target_arch = "arm", target_arch = "powerpc")
    )))]
    #[allow(clippy::disallowed_methods, reason = "this is the wrapper")]
    fn call(fd: RawFd, command: libc::c_int, record: &mut Flock) -> libc::c_int {
        // SAFETY: the descriptor is open and the record outlives the call.
        unsafe { libc::fcntl(fd, command, &raw mut *record) }
    }

    fn kind(access: Access) -> Kind {
        match access {
            Access::Shared => libc::F_RDLCK,
            Access::Exclusive => libc::F_WRLCK,
        }
    }

    fn is_none(record: &Flock) -> bool {
        #[allow(clippy::useless_conversion, reason = "a short on some systems")]
        let none = i32::from(libc::F_UNLCK);
        i32::from(record.l_type) == none
    }

    #[cfg(target_vendor = "apple")]
    type Kind = libc::c_short;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    type Kind = libc::c_int;

    fn record(kind: Kind, range: Range) -> Flock {
        // SAFETY: the structure is made of integers, for which zeros are a value.
        let mut record: Flock = unsafe { std::mem::zeroed() };
        #[allow(
            clippy::cast_possible_truncation,
            clippy::unnecessary_cast,
            reason = "0, 1, 2 or 3"
        )]
        let (kind, from_start) = (kind as libc::c_short, libc::SEEK_SET as libc::c_short);
        record.l_type = kind;
        record.l_whence = from_start;
        let offset = |offset| i64::try_from(offset).expect("the protocol stays below 2^63");
        record.l_start = offset(range.start);
        record.l_len = offset(range.len);
        record
    }
}

/// Elsewhere there are none (`HAS_RANGES`).
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
mod record {
    use std::fs::File;
    use std::io;

    use crate::protocol::Blocker;
    use crate::sys::{Access, Range};

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
    fn held_is_told_from_every_other_error() {
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
    fn a_file_system_without_locks_is_told_from_every_other_error() {
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
