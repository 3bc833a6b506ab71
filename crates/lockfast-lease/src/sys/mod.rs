//! The operating system.
//!
//! Each side of `clock` has `since_boot`: the time on a clock that all processes share, that nobody sets, and that
//! goes on while the machine sleeps.

#[cfg_attr(any(target_os = "linux", target_os = "android"), path = "linux.rs")]
#[cfg_attr(target_vendor = "apple", path = "apple.rs")]
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android", target_vendor = "apple")),
    path = "other.rs"
)]
pub(crate) mod clock;
