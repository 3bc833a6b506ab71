//! Paths, files and descriptors.

use std::ffi::OsStr;
use std::fs::{self, DirEntry, File};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Returns the path without symbolic links.
pub(crate) fn real_path(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path)
}

/// Returns the identity of a file.
pub(crate) fn file_key(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::metadata(path)?;
    Ok((file.dev(), file.ino()))
}

/// Returns the inode number of a directory entry.
#[allow(clippy::unnecessary_wraps, reason = "not known on other systems")]
pub(crate) fn number(entry: &DirEntry) -> Option<u64> {
    Some(entry.ino())
}

/// Whether the descriptor with this number has that file open.
pub(crate) fn has_open(number: u32, key: &(u64, u64)) -> bool {
    file_key(Path::new(&format!("/dev/fd/{number}"))).is_ok_and(|open| open == *key)
}

/// Duplicates a descriptor of the caller. Locks belong to both, and closing the duplicate releases
/// nothing.
pub(crate) fn duplicate(descriptor: i32) -> io::Result<File> {
    #[allow(clippy::disallowed_methods, reason = "not a lock call")]
    // SAFETY: takes numbers; the kernel reports one that is no descriptor.
    let new = unsafe { libc::fcntl(descriptor, libc::F_DUPFD_CLOEXEC, 0) };
    if new == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is new, and nobody else's.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(new) }))
}

/// Whether this process, or the system, is out of descriptors.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Splits a text into lines, each a path.
pub(crate) fn lines(text: &OsStr) -> Vec<PathBuf> {
    let lines = text.as_bytes().split(|&byte| byte == b'\n');
    lines.map(|line| OsStr::from_bytes(line).into()).collect()
}
