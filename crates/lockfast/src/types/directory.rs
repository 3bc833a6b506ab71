//! The directory of a lock that is opened by its name.

use std::path::PathBuf;

/// The directory of a named lock's file, which is looked at before the file is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Directory {
    /// Made for the user, and closed to all others.
    Own(PathBuf),
    /// A directory in which everybody may create files and nobody may remove those of others.
    Public(PathBuf),
}
