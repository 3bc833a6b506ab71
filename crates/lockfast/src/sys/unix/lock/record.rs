//! Record locks that belong to the open file description.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use super::check;
use crate::sys::{Access, Blocker, Range};

#[cfg(target_vendor = "apple")]
use libc::flock as Flock;
#[cfg(any(target_os = "linux", target_os = "android"))]
use libc::flock64 as Flock;

#[inline]
pub(super) fn lock(file: &File, access: Access, range: Range, wait: bool) -> io::Result<()> {
    let command = if wait {
        libc::F_OFD_SETLKW
    } else {
        libc::F_OFD_SETLK
    };
    set(file, command, record(kind(access), range))
}

#[inline]
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
        // -1 for an open file description, and 0 for a process that this pid namespace does not show.
        pid: u32::try_from(record.l_pid).ok().filter(|&pid| pid > 0),
    }))
}

#[inline]
fn set(file: &File, command: libc::c_int, mut record: Flock) -> io::Result<()> {
    check(call(file.as_raw_fd(), command, &mut record)).map(drop)
}

/// Calls the kernel itself: the C library asks first what sort of command it is, which takes as long as all that
/// is done here for a free lock.
#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    target_pointer_width = "64"
))]
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "0, or -1")]
fn call(fd: RawFd, command: libc::c_int, record: &mut Flock) -> libc::c_int {
    // SAFETY: the descriptor is open and the record outlives the call.
    unsafe { libc::syscall(libc::SYS_fcntl, fd, command, &raw mut *record) as libc::c_int }
}

/// Calls the kernel itself: where offsets of the C library have 32 bits, its `fcntl` expects a record with such
/// offsets.
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

#[cfg(not(any(
    all(
        any(target_os = "linux", target_os = "android"),
        target_pointer_width = "64"
    ),
    all(
        target_os = "linux",
        target_env = "gnu",
        any(target_arch = "x86", target_arch = "arm", target_arch = "powerpc")
    )
)))]
#[allow(clippy::disallowed_methods, reason = "this is the wrapper")]
fn call(fd: RawFd, command: libc::c_int, record: &mut Flock) -> libc::c_int {
    // SAFETY: the descriptor is open and the record outlives the call.
    unsafe { libc::fcntl(fd, command, &raw mut *record) }
}

fn kind(access: Access) -> LockType {
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
type LockType = libc::c_short;
#[cfg(any(target_os = "linux", target_os = "android"))]
type LockType = libc::c_int;

#[inline]
fn record(kind: LockType, range: Range) -> Flock {
    // SAFETY: the structure is made of integers, for which zeros are a value.
    let mut record: Flock = unsafe { std::mem::zeroed() };
    #[allow(
        clippy::cast_possible_truncation,
        clippy::unnecessary_cast,
        reason = "0, 1, 2 or 3"
    )]
    let (kind, from_start) = (kind as libc::c_short, libc::SEEK_SET as libc::c_short);
    // `l_pid` stays 0: the kernel refuses any other value in a command for open file descriptions.
    record.l_type = kind;
    record.l_whence = from_start;
    let offset = |offset| i64::try_from(offset).expect("the protocol stays below 2^63");
    record.l_start = offset(range.start);
    record.l_len = offset(range.len);
    record
}
