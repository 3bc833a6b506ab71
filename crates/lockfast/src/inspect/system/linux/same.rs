//! Are two descriptors of one open file?

use std::cmp::Ordering;
use std::io;

use super::scan::OpenDescriptor;

/// The kernel's order of open file descriptions; equal when the two are one.
pub(super) fn order(one: &OpenDescriptor, other: &OpenDescriptor) -> Ordering {
    let compared = compare((one.task, one.descriptor), (other.task, other.descriptor));
    match compared {
        Ok(order) => order,
        // Not permitted. An exclusive lock belongs to one description only.
        Err(_) if one.locks.iter().any(|line| line.lock.exclusive) => Ordering::Equal,
        Err(_) => (one.pid, one.descriptor).cmp(&(other.pid, other.descriptor)),
    }
}

/// The same of descriptors by process and number.
///
/// # Errors
///
/// `EBADF` when one is none, `ESRCH` when a process has ended, `EPERM` when one may not be looked into.
pub(super) fn compare(one: (u32, i32), other: (u32, i32)) -> io::Result<Ordering> {
    const KCMP_FILE: libc::c_int = 0;
    let number = |number: u32| libc::c_int::try_from(number).unwrap_or(0);
    // SAFETY: compares two descriptors of processes by their numbers, and touches no memory.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_kcmp,
            number(one.0),
            number(other.0),
            KCMP_FILE,
            one.1,
            other.1,
        )
    };
    match answer {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Ordering::Equal),
        1 => Ok(Ordering::Less),
        // 3 is for those of which the order is not known.
        _ => Ok(Ordering::Greater),
    }
}
