//! No lock has a name.

use std::io;
use std::path::{Path, PathBuf};

use super::unsupported;
use crate::sys::{Home, Ownership};

/// Messages about a directory that can't be trusted.
pub(crate) mod fault {
    pub(crate) const OF_ANOTHER_USER: &str = "it belongs to another user";
    pub(crate) const OTHERS_ENTER: &str = "others can enter it";
    pub(crate) const PARENT_OF_ANOTHER_USER: &str = "it belongs to another user";
    pub(crate) const OTHERS_REMOVE: &str = "others can move away what is in it";
    pub(crate) const PRIVATE: &str = "this process alone sees it";
    pub(crate) const NOT_OF_THE_SYSTEM: &str = "it does not belong to the system";
}

pub(crate) const OWN_MODE: u32 = 0o600;

pub(crate) fn is_private(_path: &Path) -> bool {
    false
}

#[allow(clippy::unnecessary_wraps, reason = "the contract of the module")]
pub(crate) fn may_be_planted(_owner: u32, _directory: &Path) -> io::Result<bool> {
    Ok(false)
}

pub(crate) fn of_user() -> io::Result<Home> {
    Err(unsupported())
}

pub(crate) fn of_machine() -> io::Result<Vec<PathBuf>> {
    Err(unsupported())
}

pub(crate) fn ownership_at(_path: &Path) -> io::Result<Ownership> {
    Err(unsupported())
}

pub(crate) fn create_private(_path: &Path) -> io::Result<()> {
    Err(unsupported())
}

pub(crate) fn file_name(name: &str) -> String {
    name.to_owned()
}
