//! Unix: open-file-description locks on Linux, Android and Apple systems, `flock` elsewhere.

pub(crate) mod alarm;
pub(crate) mod bell;
mod descriptor;
pub(crate) mod file;
pub(crate) mod file_system;
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
pub(crate) mod place;
pub(crate) mod process;
pub(crate) mod watch;

use std::io;

/// A length of time as the kernel takes it; never more than it can count on any processor, 68 years.
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

/// Ends a watch of inotify; one that is gone already does no harm.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn unwatch(inotify: libc::c_int, watch: libc::c_int) {
    #[cfg(target_os = "android")]
    let watch = watch.unsigned_abs();
    // SAFETY: takes two numbers.
    unsafe { libc::inotify_rm_watch(inotify, watch) };
}

/// The result of a system call that answers -1 and sets `errno` on failure.
fn check(answer: libc::c_int) -> io::Result<libc::c_int> {
    if answer == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(answer)
    }
}
