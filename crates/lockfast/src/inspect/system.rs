//! Readers of what the system knows of locks: apart from `sys`, the only place with `cfg(target_os)` and
//! `unsafe`.
//!
//! Each side has the same three functions: `snapshot` reads the locks of a file or of the machine, `open`
//! opens a file of a snapshot for reading if it is still the same one, and `key_of` returns the numbers
//! by which a snapshot names the file at a path.

#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    not(lockfast_unsupported)
))]
#[allow(
    unsafe_code,
    reason = "system calls; each is one line with its contract"
)]
mod linux;
#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    not(lockfast_unsupported)
))]
use linux as side;

#[cfg(all(windows, not(lockfast_unsupported)))]
#[allow(
    unsafe_code,
    reason = "system calls; each is one line with its contract"
)]
mod windows;
#[cfg(all(windows, not(lockfast_unsupported)))]
use windows as side;

#[cfg(any(
    not(any(target_os = "linux", target_os = "android", windows)),
    lockfast_unsupported
))]
mod unsupported;
#[cfg(any(
    not(any(target_os = "linux", target_os = "android", windows)),
    lockfast_unsupported
))]
use unsupported as side;

pub(crate) use side::key_of;
pub(super) use side::{open, snapshot};
