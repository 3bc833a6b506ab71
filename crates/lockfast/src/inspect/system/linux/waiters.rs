//! Threads that sleep in the kernel for a lock.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use libc::c_long;

use crate::inspect::snapshot::LockRecord;
use crate::inspect::view::Kind;
use crate::sys::Range;

/// A thread that waits for a lock.
#[derive(Clone, Debug)]
pub(super) struct WaitingThread {
    pub(super) pid: u32,
    pub(super) tid: u32,
    /// The descriptor; `None` where it can't be seen.
    pub(super) descriptor: Option<i32>,
    /// The kind of lock. Where the call can't be seen, [`Kind::Ofd`] stands for every kind but `flock`.
    pub(super) kind: Kind,
    /// The lock that it asks for, where that can be read.
    pub(super) lock: Option<LockRecord>,
}

/// Returns the threads of the process that wait for locks.
pub(super) fn waiters(pid: u32) -> Vec<WaitingThread> {
    let threads = super::process::threads(pid).into_iter();
    threads.filter_map(|tid| waiter(pid, tid)).collect()
}

fn waiter(pid: u32, tid: u32) -> Option<WaitingThread> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/task/{tid}/{name}")).ok();
    let found = |descriptor, kind, lock| {
        Some(WaitingThread {
            pid,
            tid,
            descriptor,
            kind,
            lock,
        })
    };
    if let Some(text) = read("syscall") {
        // `running`, or no call at all: the thread does not wait.
        let call = Syscall::parse(&text)?;
        let descriptor = i32::try_from(call.arguments[0]).ok();
        return match call.number {
            libc::SYS_flock => found(descriptor, Kind::Flock, None),
            libc::SYS_fcntl => {
                let kind = match i32::try_from(call.arguments[1]) {
                    Ok(libc::F_SETLKW) => Kind::Classic,
                    Ok(libc::F_OFD_SETLKW) => Kind::Ofd,
                    _ => return None,
                };
                found(descriptor, kind, wanted(pid, kind, call.arguments[2]))
            }
            _ => None,
        };
    }
    // The call may be hidden, and the function in which the thread sleeps shown all the same.
    let place = read("wchan")?;
    if place.contains("flock") && !place.contains("fcntl") {
        found(None, Kind::Flock, None)
    } else if place.contains("fcntl_setlk") || place.contains("posix_lock") {
        found(None, Kind::Ofd, None)
    } else {
        None
    }
}

/// Reads the lock that the thread has described to the kernel.
fn wanted(pid: u32, kind: Kind, address: u64) -> Option<LockRecord> {
    const SIZE: usize = 24;
    if cfg!(not(target_pointer_width = "64")) {
        return None;
    }
    let last = address.checked_add(SIZE as u64 - 1)?;
    // The structure may lie across the end of a page.
    if !(is_at_hand(pid, address)? && is_at_hand(pid, last)?) {
        return None;
    }
    let mut bytes = [0; SIZE];
    let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
    memory.read_exact_at(&mut bytes, address).ok()?;
    // `struct flock` on 64-bit systems: type, whence, start from byte 8 on, length from byte 16 on.
    let short = |at: usize| i16::from_ne_bytes([bytes[at], bytes[at + 1]]);
    let long =
        |at: usize| i64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight bytes of them"));
    let whence = i32::from(short(2));
    let (start, len) = (long(8), long(16));
    if whence != libc::SEEK_SET {
        return None;
    }
    Some(LockRecord {
        kind,
        exclusive: i32::from(short(0)) == libc::F_WRLCK,
        range: Range {
            start: u64::try_from(start).ok()?,
            len: u64::try_from(len).ok()?,
        },
    })
}

/// Whether the page of the process's memory is present and not backed by a file.
///
/// The file could be on a file system that does not answer. A reader would then sleep in the kernel and could
/// not be killed.
fn is_at_hand(pid: u32, address: u64) -> Option<bool> {
    const PRESENT: u64 = 1 << 63;
    const OF_FILE: u64 = 1 << 61;
    let page = address / rustix::param::page_size() as u64;
    let mut entry = [0; 8];
    let map = File::open(format!("/proc/{pid}/pagemap")).ok()?;
    map.read_exact_at(&mut entry, page.checked_mul(8)?).ok()?;
    let entry = u64::from_ne_bytes(entry);
    Some(entry & PRESENT != 0 && entry & OF_FILE == 0)
}

/// A system call: `72 0x3 0x26 0x7ffc04ac2e70 0x0 0x0 0x0 SP PC`, or `running`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Syscall {
    pub(super) number: c_long,
    pub(super) arguments: [u64; 6],
}

impl Syscall {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let number = words.next()?.parse().ok()?;
        let mut argument = || u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok();
        let mut arguments = [0; 6];
        for place in &mut arguments {
            *place = argument()?;
        }
        Some(Self { number, arguments })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_read_with_its_arguments() {
        let call = Syscall::parse("72 0x3 0x26 0x7ffc04ac2e70 0x0 0x0 0x0 0x7ffc 0x7fb7\n");
        let arguments = [3, 38, 0x7ffc_04ac_2e70, 0, 0, 0];
        assert_eq!(
            call,
            Some(Syscall {
                number: 72,
                arguments
            })
        );
        assert_eq!(Syscall::parse("running\n"), None);
        assert_eq!(Syscall::parse("-1 0x7ffc 0x7fb7\n"), None);
    }
}
