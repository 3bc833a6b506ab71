//! Processes do not fork.

use std::fs::File;
use std::io;
use std::ops::Deref;

use super::forget_locks;
use crate::sys::FileId;

/// There is one.
pub(crate) fn generation() -> u64 {
    1
}

/// The same.
pub(crate) fn known_generation() -> u64 {
    1
}

/// Never.
pub(crate) fn forks() -> u64 {
    0
}

/// They are not counted.
pub(crate) fn private_files() -> usize {
    0
}

/// An open file. What the side remembers of its locks is forgotten before its number can be another one's.
#[derive(Debug)]
pub(crate) struct PrivateFile {
    file: File,
}

impl PrivateFile {
    /// Nothing is locked yet.
    #[allow(clippy::unnecessary_wraps, reason = "the contract of the module")]
    pub(crate) fn new(file: File, _id: FileId) -> io::Result<Self> {
        forget_locks(&file);
        Ok(Self { file })
    }

    /// Always.
    #[allow(clippy::unused_self, reason = "the contract of the module")]
    pub(crate) fn is_own(&self) -> bool {
        true
    }

    /// Always: nobody closes what is not theirs.
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
