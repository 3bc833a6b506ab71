//! Explanations and exit codes for lock files that can't be used.

use std::io;
use std::path::Path;

use lockfast::Error;

use crate::exit::Exit;
use crate::inspect::{shown, user_name};
use crate::sys;

/// An obstacle to opening a lock file for writing.
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android")),
    allow(dead_code, reason = "other systems have not all of them")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    ReadOnlyFileSystem,
    Immutable,
    AppendOnly,
    /// The mode does not let the user write.
    Mode {
        owner: u32,
        mode: u32,
    },
    /// The file does not exist and can't be created.
    Directory,
}

/// Returns the exit code for a lock that could not be opened or taken, except when it is held.
pub(crate) fn code(error: &Error, otherwise: Exit) -> Exit {
    let cause = error.io_error();
    if cause.is_some_and(is_exhausted) {
        Exit::SYSTEM
    } else if error.is_permission_denied() || cause.is_some_and(is_read_only) {
        Exit::CANNOT_CREATE
    } else {
        otherwise
    }
}

/// Whether the system is out of memory, processes or descriptors.
pub(crate) fn is_exhausted(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::OutOfMemory | io::ErrorKind::WouldBlock
    ) || sys::is_out_of_descriptors(error)
}

/// Returns advice for the user, if an attribute of the file explains the error.
pub(crate) fn advice(error: &Error) -> Option<String> {
    let cause = error.io_error();
    if !error.is_permission_denied() && !cause.is_some_and(is_read_only) {
        return None;
    }
    let path = error.path();
    let file = shown(path);
    let why = match sys::obstacle(path)? {
        Obstacle::ReadOnlyFileSystem => "its file system is read-only".to_owned(),
        Obstacle::Immutable => format!("it is immutable; `chattr -i {file}` undoes that"),
        Obstacle::AppendOnly => format!("it is append-only; `chattr -a {file}` undoes that"),
        Obstacle::Mode { owner, mode } => {
            let owner = user_name(Some(owner));
            format!(
                "it belongs to {owner} and its mode {mode:04o} does not let this user write: \
                 `chmod a+rw {file}` as {owner} lets every user lock it"
            )
        }
        Obstacle::Directory => {
            let directory = shown(path.parent().unwrap_or(Path::new("/")));
            return Some(format!(
                "this user may not create files in {directory}: create the lock file there first, or \
                 choose another path"
            ));
        }
    };
    Some(format!(
        "{why}; --shared and --protocol flock only need to read the file"
    ))
}

fn is_read_only(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ReadOnlyFilesystem
}
