//! Open files that the command inherits.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Open files that the command inherits, if it is started while this exists.
///
/// They have no `FD_CLOEXEC`, so every other child must close them, as the sentinel does.
#[derive(Debug, Default)]
pub(crate) struct Inherited(Vec<OwnedFd>);

impl Inherited {
    /// Adds a duplicate of the file and returns its number. The library's own descriptors are
    /// closed in forked processes. Scripts do not use numbers this high for files of their own.
    pub(crate) fn add(&mut self, file: &File) -> io::Result<u32> {
        const ABOVE_THOSE_OF_SCRIPTS: RawFd = 100;
        // Fails if the limit of descriptors is lower.
        let new = duplicate(file, ABOVE_THOSE_OF_SCRIPTS).or_else(|_| duplicate(file, 3))?;
        let number = new.as_raw_fd().try_into().expect("numbers are positive");
        self.0.push(new);
        Ok(number)
    }
}

fn duplicate(file: &File, least: RawFd) -> io::Result<OwnedFd> {
    #[allow(clippy::disallowed_methods, reason = "not a lock call")]
    // SAFETY: the descriptor is open.
    let new = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD, least) };
    if new == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is new, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(new) })
}

/// Closes a file of the library without an unlock: processes that inherited it keep the lock. The
/// number stays in use, so that the library's own close is harmless.
pub(crate) fn let_go(file: &File) -> io::Result<()> {
    let nothing = File::open("/dev/null")?;
    // SAFETY: both are open.
    match unsafe { libc::dup2(nothing.as_raw_fd(), file.as_raw_fd()) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
