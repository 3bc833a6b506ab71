//! Windows: locks of bytes by `LockFileEx`, which belong to the handle.

pub(crate) mod alarm;
mod descriptor;
mod event;
pub(crate) mod file;
pub(crate) mod file_system;
// Three modules are those of `unsupported`: here processes do not fork, there are no signals, and nothing
// reports who opens a file.
#[path = "../unsupported/fork.rs"]
pub(crate) mod fork;
mod held;
pub(crate) mod lock;
pub(crate) mod notifier;
pub(crate) mod park;
pub(crate) mod place;
pub(crate) mod process;
mod public_file;
mod request;
#[path = "../unsupported/signal.rs"]
mod signal;
mod sleep;
#[path = "../unsupported/watch.rs"]
pub(crate) mod watch;

use std::io;
use std::os::windows::ffi::OsStrExt;
use std::path::Path;

use windows_sys::core::BOOL;

use held::forget as forget_locks;

/// Converts the answer of a call that answers 0 and sets the thread's last error on failure.
fn check(answer: BOOL) -> io::Result<()> {
    if answer == 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Returns the path as the system takes it, ending with 0.
fn wide(path: &Path) -> Vec<u16> {
    path.as_os_str().encode_wide().chain([0]).collect()
}

/// Whether it is this error of the system.
fn is(error: &io::Error, number: u32) -> bool {
    error.raw_os_error() == i32::try_from(number).ok()
}

fn unsupported() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "lockfast has nothing of the kind on Windows",
    )
}
