//! Comparison of descriptors: whether two are of one open file description.

use std::cmp::Ordering;
use std::io;

use super::scan::OpenDescriptor;

/// Compares two descriptors by the kernel's order of open file descriptions. Equal means the same one.
pub(super) fn order(one: &OpenDescriptor, other: &OpenDescriptor) -> Ordering {
    let compared = compare((one.task, one.descriptor), (other.task, other.descriptor));
    match compared {
        Ok(order) => order,
        // Not permitted. But an exclusive lock belongs to one description only.
        Err(_) if one.locks.iter().any(|line| line.lock.exclusive) => Ordering::Equal,
        // Shared locks that look alike may be of several descriptions, so each descriptor counts as one of
        // its own.
        Err(_) => (one.pid, one.descriptor).cmp(&(other.pid, other.descriptor)),
    }
}

/// Compares two descriptors that are given by process and number.
///
/// # Errors
///
/// `EBADF` when one is not open, `ESRCH` when a process has ended, `EPERM` when one may not be looked into.
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
        // 3 means unequal, without a known order.
        _ => Ok(Ordering::Greater),
    }
}
