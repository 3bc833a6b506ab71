//! Processes do not fork, and children inherit nothing unless they are told to.

use std::fs::File;
use std::io;
use std::ops::Deref;

use super::forget_locks;
use crate::sys::FileId;

/// Always 1: there is one process in the line.
pub(crate) fn generation() -> u64 {
    1
}

/// Always 1.
pub(crate) fn known_generation() -> u64 {
    1
}

/// Always 0.
pub(crate) fn forks() -> u64 {
    0
}

/// Always 0: they are not counted.
pub(crate) fn private_files() -> usize {
    0
}

/// An open file. What the side remembers of its locks is forgotten before its number can be another one's.
#[derive(Debug)]
pub(crate) struct PrivateFile {
    file: File,
}

impl PrivateFile {
    /// Takes a file of which nothing is locked yet.
    #[allow(clippy::unnecessary_wraps, reason = "the contract of the module")]
    pub(crate) fn new(file: File, _id: FileId) -> io::Result<Self> {
        forget_locks(&file);
        Ok(Self { file })
    }

    /// Always `true`.
    #[allow(clippy::unused_self, reason = "the contract of the module")]
    pub(crate) fn is_own(&self) -> bool {
        true
    }

    /// Always `true`: no program closes handles that it does not own.
    #[allow(clippy::unused_self, reason = "the contract of the module")]
    pub(crate) fn is_there(&self) -> bool {
        true
    }
}

impl Deref for PrivateFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

impl Drop for PrivateFile {
    fn drop(&mut self) {
        forget_locks(&self.file);
    }
}
