//! Systems without the locks that lockfast needs: everything compiles, and says so at run time.

pub(crate) mod alarm;
pub(crate) mod bell;
pub(crate) mod file;
pub(crate) mod file_system;
pub(crate) mod fork;
pub(crate) mod lock;
#[cfg(feature = "inspect")]
pub(crate) mod locks;
pub(crate) mod park;
pub(crate) mod place;
pub(crate) mod process;
pub(crate) mod watch;

use std::io;

fn unsupported() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "lockfast does not know how to lock files on this system",
    )
}
