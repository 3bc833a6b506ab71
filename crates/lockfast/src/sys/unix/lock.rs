//! The kernel's locks: one attempt, one wait, one release, one question.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use super::check;
use crate::protocol::Blocker;
use crate::sys::{Kind, Waited};

/// Tries once; `false` when somebody else holds it.
pub(crate) fn try_lock(file: &File, kind: Kind) -> io::Result<bool> {
    loop {
        let answer = match kind {
            Kind::Record { len } => record::set(file, record::EXCLUSIVE, len, false),
            Kind::Flock => flock(file, libc::LOCK_EX | libc::LOCK_NB),
        };
        match answer {
            Ok(()) => return Ok(true),
            Err(error) if means_held(&error) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Waits in the kernel's queue.
pub(crate) fn wait(file: &File, kind: Kind) -> io::Result<Waited> {
    let answer = match kind {
        Kind::Record { len } => record::set(file, record::EXCLUSIVE, len, true),
        Kind::Flock => flock(file, libc::LOCK_EX),
    };
    match answer {
        Ok(()) => Ok(Waited::Granted),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Waited::Interrupted),
        Err(error) => Err(error),
    }
}

/// Releases whatever of this kind the description holds.
pub(crate) fn release(file: &File, kind: Kind) -> io::Result<()> {
    loop {
        let answer = match kind {
            Kind::Record { .. } => record::set(file, record::UNLOCKED, 0, false),
            Kind::Flock => flock(file, libc::LOCK_UN),
        };
        match answer {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}

/// Which lock stands in the way of an exclusive one, if the kernel tells.
pub(crate) fn blocker(file: &File, kind: Kind) -> Option<Blocker> {
    match kind {
        Kind::Record { .. } => record::blocker(file),
        Kind::Flock => None,
    }
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

/// What the user can do about an error that the standard library has no kind for.
pub(crate) fn advice(error: &io::Error) -> Option<&'static str> {
    match error.raw_os_error()? {
        libc::EMFILE => Some("the process has too many open files: raise its limit (ulimit -n)"),
        libc::ENFILE => Some("the system has too many open files"),
        libc::EBADF => Some("the file must be open for writing"),
        _ => None,
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
    use std::os::fd::AsRawFd;

    use super::super::check;
    use crate::protocol::Blocker;

    #[cfg(target_vendor = "apple")]
    use libc::flock as Flock;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    use libc::flock64 as Flock;

    #[allow(clippy::cast_possible_truncation, reason = "0, 1 or 2")]
    pub(super) const EXCLUSIVE: libc::c_short = libc::F_WRLCK as libc::c_short;
    #[allow(clippy::cast_possible_truncation, reason = "0, 1 or 2")]
    pub(super) const UNLOCKED: libc::c_short = libc::F_UNLCK as libc::c_short;

    #[allow(clippy::disallowed_methods, reason = "this is the wrapper")]
    pub(super) fn set(file: &File, kind: libc::c_short, len: u64, wait: bool) -> io::Result<()> {
        let range = range(kind, len);
        let command = if wait {
            libc::F_OFD_SETLKW
        } else {
            libc::F_OFD_SETLK
        };
        // SAFETY: the descriptor is open and the range outlives the call.
        check(unsafe { libc::fcntl(file.as_raw_fd(), command, &raw const range) }).map(drop)
    }

    #[allow(clippy::disallowed_methods, reason = "this is the wrapper")]
    pub(super) fn blocker(file: &File) -> Option<Blocker> {
        let mut range = range(EXCLUSIVE, 0);
        let fd = file.as_raw_fd();
        // SAFETY: the descriptor is open and the range outlives the call.
        let answer = unsafe { libc::fcntl(fd, libc::F_OFD_GETLK, &raw mut range) };
        if answer == -1 || range.l_type == UNLOCKED {
            return None;
        }
        Some(Blocker {
            start: u64::try_from(range.l_start).ok()?,
            len: u64::try_from(range.l_len).ok()?,
            pid: u32::try_from(range.l_pid).ok().filter(|&pid| pid > 0),
        })
    }

    fn range(kind: libc::c_short, len: u64) -> Flock {
        // SAFETY: the structure is made of integers, for which zeros are a value.
        let mut range: Flock = unsafe { std::mem::zeroed() };
        range.l_type = kind;
        #[allow(clippy::cast_possible_truncation, reason = "0")]
        let from_start = libc::SEEK_SET as libc::c_short;
        range.l_whence = from_start;
        range.l_len = i64::try_from(len).expect("the protocol keeps lengths below 2^63");
        range
    }
}

/// Elsewhere a `flock` is the lock that belongs to the description, and one table holds both kinds.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
mod record {
    use std::fs::File;
    use std::io;

    use crate::protocol::Blocker;

    pub(super) const EXCLUSIVE: libc::c_int = libc::LOCK_EX;
    pub(super) const UNLOCKED: libc::c_int = libc::LOCK_UN;

    pub(super) fn set(file: &File, kind: libc::c_int, _: u64, wait: bool) -> io::Result<()> {
        let no_wait = if wait || kind == UNLOCKED {
            0
        } else {
            libc::LOCK_NB
        };
        super::flock(file, kind | no_wait)
    }

    pub(super) fn blocker(_: &File) -> Option<Blocker> {
        None
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
}
