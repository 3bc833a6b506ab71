//! The operating system.
//!
//! Each side of `clock` has `since_boot`: the time on a clock that all processes share, that nobody sets, and that
//! goes on while the machine sleeps. Each side of `machine` has `host` and `boot`, the number of its last start.
//! Each side of `socket` has the functions of [`crate::socket`].

#[cfg_attr(any(target_os = "linux", target_os = "android"), path = "linux.rs")]
#[cfg_attr(target_vendor = "apple", path = "apple.rs")]
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android", target_vendor = "apple")),
    path = "other.rs"
)]
pub(crate) mod clock;

#[cfg_attr(unix, path = "machine_unix.rs")]
#[cfg_attr(not(unix), path = "machine_windows.rs")]
pub(crate) mod machine;

#[cfg_attr(target_os = "linux", path = "socket_linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "socket_other.rs")]
pub(crate) mod socket;
