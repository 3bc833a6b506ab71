//! Unix: open-file-description locks on Linux, Android and Apple systems, `flock` elsewhere.

pub(crate) mod alarm;
pub(crate) mod bell;
pub(crate) mod file;
pub(crate) mod fork;
pub(crate) mod lock;
#[cfg(all(feature = "inspect", any(target_os = "linux", target_os = "android")))]
pub(crate) mod locks;
#[cfg(all(
    feature = "inspect",
    not(any(target_os = "linux", target_os = "android"))
))]
#[path = "../unsupported/locks.rs"]
pub(crate) mod locks;
pub(crate) mod park;
pub(crate) mod process;
pub(crate) mod watch;

use std::io;

/// The result of a system call that answers -1 and sets `errno` on failure.
fn check(answer: libc::c_int) -> io::Result<libc::c_int> {
    if answer == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(answer)
    }
}
