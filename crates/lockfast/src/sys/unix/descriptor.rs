//! Numbers of descriptors: the ones that the library takes, and whether one still means its file.
//!
//! A program may close or replace every descriptor that it finds (a daemon does), also those of the
//! library. Device and inode tell a regular file from its successor. A descriptor without a file of its own
//! (inotify, eventfd) shares both with all others of its kind, so it gets a mark: a signal number that the
//! kernel keeps with the open file description, and that means nothing as long as nobody asks for signals.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};

use super::check;

/// The lowest number that the library uses. The numbers below are the standard streams, even where these
/// are closed at the moment.
const LOWEST: RawFd = 3;

/// Moves the file away from the numbers of the standard streams.
pub(super) fn above_standard(file: File) -> io::Result<File> {
    if file.as_raw_fd() >= LOWEST {
        return Ok(file);
    }
    moved(&file)
}

/// Gives the open file another number.
pub(super) fn moved(file: &File) -> io::Result<File> {
    // The copy has the same open file description. So closing the other number releases no lock.
    let moved = check(control(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, LOWEST))?;
    // SAFETY: the descriptor is new, and nobody else's.
    Ok(unsafe { File::from_raw_fd(moved) })
}

/// Returns the path by which the kernel opens, links or watches what is behind the descriptor.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn path(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Marks an open file description as the library's; `false` where the system can't.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn mark(file: &File) -> bool {
    control(file.as_raw_fd(), F_SETSIG, MARK) == 0 && is_marked(file)
}

/// Whether [`mark`] has marked the description.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn is_marked(file: &File) -> bool {
    control(file.as_raw_fd(), F_GETSIG, 0) == MARK
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn is_marked(_file: &File) -> bool {
    false
}

#[allow(clippy::disallowed_methods, reason = "not a lock call")]
fn control(fd: RawFd, command: libc::c_int, argument: libc::c_int) -> libc::c_int {
    // SAFETY: each of these commands takes a number, and one that is no descriptor is an error.
    unsafe { libc::fcntl(fd, command, argument) }
}

/// A signal number that no program chooses for this.
#[cfg(any(target_os = "linux", target_os = "android"))]
// Should somebody ask for signals after all, this one is ignored by default.
const MARK: libc::c_int = libc::SIGURG;

#[cfg(any(target_os = "linux", target_os = "android"))]
const F_SETSIG: libc::c_int = 10;
#[cfg(any(target_os = "linux", target_os = "android"))]
const F_GETSIG: libc::c_int = 11;
