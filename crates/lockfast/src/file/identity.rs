//! Whether a file is still the one at its path.
//!
//! A kernel lock belongs to a file, not to a name. When others delete, replace or rename the file, a lock on
//! it keeps out nobody who opens the path afterwards: the file is *stale*. So after each acquire the locked
//! file is compared with the path, and a stale one is released and opened again. As everybody does so, two
//! processes never both go on with "the lock at this path": the second one to arrive sees the same path, and
//! so the same file, as the first one.
//!
//! To look the path up takes three times as long as to ask for the status of the descriptor, and after a
//! wait, when no cache is warm, that shows in the hand-over. So the first acquire looks up, and later ones
//! compare the descriptor with the [`VerifiedStat`](super::verified::VerifiedStat) of that look-up: a file
//! that was deleted or replaced has fewer links, and a renamed one has another change time.
//!
//! The descriptor's own file is compared as well: a program may close all descriptors, and then the number
//! means nothing or another file.

use std::fs::File;
use std::io;
use std::path::Path;

use super::open_file::OpenFile;
use crate::sys::{self, Status};
use crate::types::verify::Verify;

/// Whether the locked file is known to be the one at the path without a look at the path.
#[inline]
pub(crate) fn looks_current(file: &OpenFile, verify: Verify, waited: bool) -> bool {
    verify == Verify::Off || (verify == Verify::Links && is_unchanged(file, waited))
}

/// Whether the locked file is the one at the path.
pub(crate) fn is_current(
    file: &OpenFile,
    path: &Path,
    follow: bool,
    verify: Verify,
    waited: bool,
) -> io::Result<bool> {
    if looks_current(file, verify, waited) {
        return Ok(true);
    }
    let Some(status) = status_at(file, path, follow)? else {
        return Ok(false);
    };
    file.verified
        .remember(&status, file.traits.rename_updates_ctime);
    Ok(true)
}

/// Whether the descriptor alone shows that the file is still at its path.
#[inline]
fn is_unchanged(file: &OpenFile, waited: bool) -> bool {
    let OpenFile {
        traits, verified, ..
    } = file;
    // A client of a server renames what is deleted while it is open, and such a file keeps its links (so does
    // FUSE).
    let shows_renames = traits.rename_updates_ctime || (!waited && !traits.is_remote);
    if !shows_renames || !verified.is_known() {
        return false;
    }
    // The program may have given the number of the descriptor to another file.
    sys::file::status(file).is_ok_and(|status| {
        status.id == file.id() && verified.is_unchanged(&status, traits.rename_updates_ctime)
    })
}

/// Whether the file, locked or not, is the one at the path.
pub(crate) fn is_at(file: &OpenFile, path: &Path, follow: bool) -> io::Result<bool> {
    status_at(file, path, follow).map(|status| status.is_some())
}

/// The status of the path, if the file is there and the descriptor still means it.
fn status_at(file: &OpenFile, path: &Path, follow: bool) -> io::Result<Option<Status>> {
    if !file.is_there() {
        return Ok(None);
    }
    // A client may answer from what it remembers.
    if file.is_remote() {
        ask_server_for_names(path);
    }
    match sys::file::status_at(path, follow) {
        // The file may lose its last name between the look-up and the answer.
        Ok(status) if status.id == file.id() && status.links > 0 => Ok(Some(status)),
        Ok(_) => Ok(None),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::StaleNetworkFileHandle => Ok(None),
            _ => Err(error),
        },
    }
}

/// Makes a client of NFS forget the names of the directory. It believes for up to a minute that a name means
/// the file that it meant; an open of the directory asks the server for changes.
fn ask_server_for_names(path: &Path) {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Where the directory can't be read, the client's belief has to do.
    drop(File::open(directory));
}
