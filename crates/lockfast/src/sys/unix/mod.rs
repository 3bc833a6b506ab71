//! Unix: open-file-description locks on Linux, Android and Apple systems, `flock` elsewhere.

mod descriptor;
pub(crate) mod file;
pub(crate) mod file_system;
pub(crate) mod fork;
pub(crate) mod lock;
pub(crate) mod park;
pub(crate) mod place;
pub(crate) mod process;
mod signal;

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) mod alarm;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod inotify;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) mod notifier;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) mod watch;

// Other systems have no such calls, or they are not used yet: a wait polls (see `wait`).
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "../unsupported/alarm.rs"]
pub(crate) mod alarm;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "../unsupported/notifier.rs"]
pub(crate) mod notifier;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "../unsupported/watch.rs"]
pub(crate) mod watch;

use std::io;

/// Converts a duration for the kernel. It is cut to 68 years, which the kernel can count on every processor.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn timespec(time: std::time::Duration) -> libc::timespec {
    // SAFETY: the structure is made of integers, for which zeros are a value.
    let mut spec: libc::timespec = unsafe { std::mem::zeroed() };
    #[allow(
        clippy::useless_conversion,
        reason = "both fields have 32 bits on some processors"
    )]
    {
        spec.tv_sec = i32::try_from(time.as_secs()).unwrap_or(i32::MAX).into();
        let nanoseconds = i32::try_from(time.subsec_nanos()).expect("below 10^9");
        spec.tv_nsec = nanoseconds.into();
    }
    spec
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn unsupported() -> io::Error {
    io::ErrorKind::Unsupported.into()
}

/// Converts the answer of a system call that answers -1 and sets `errno` on failure.
#[inline]
fn check(answer: libc::c_int) -> io::Result<libc::c_int> {
    if answer == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(answer)
    }
}
