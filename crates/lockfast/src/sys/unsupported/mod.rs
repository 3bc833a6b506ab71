//! Systems without the locks that lockfast needs: everything compiles, and says so at run time.

pub(crate) mod alarm;
pub(crate) mod file;
pub(crate) mod file_system;
pub(crate) mod fork;
pub(crate) mod lock;
pub(crate) mod notifier;
pub(crate) mod park;
pub(crate) mod place;
pub(crate) mod process;
mod signal;
pub(crate) mod watch;

use std::fs::File;
use std::io;

fn unsupported() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "lockfast does not know how to lock files on this system",
    )
}

/// No lock is remembered.
fn forget_locks(_file: &File) {}
