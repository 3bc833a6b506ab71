//! An open file, and the facts about it that never change.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

use super::verified::VerifiedStat;
use crate::sys::fork::PrivateFile;
use crate::sys::{self, FileId, FileSort, FsTraits};
use crate::types::error::{Error, Operation, Result};

/// An open file that children forked from now on do not share.
#[derive(Debug)]
pub(crate) struct OpenFile {
    file: PrivateFile,
    id: FileId,
    pub(super) sort: FileSort,
    /// The number of the user that it belonged to when it was opened.
    pub(super) owner: u32,
    pub(crate) traits: FsTraits,
    /// Whether it is open for writing, as far as is known.
    pub(super) writable: bool,
    pub(super) verified: VerifiedStat,
}

impl OpenFile {
    pub(super) fn new(file: File, traits: FsTraits, writable: bool) -> io::Result<Self> {
        // By the descriptor: the path may lead to another file by now.
        let status = sys::file::status(&file)?;
        Ok(Self {
            // From here on a forked child loses the descriptor. lockfast locks nothing before that.
            file: PrivateFile::new(file, status.id)?,
            id: status.id,
            sort: status.sort,
            owner: status.owner,
            traits,
            writable,
            verified: VerifiedStat::default(),
        })
    }

    /// A file that the user has opened. Whether it can be written to, the kernel reports when it matters.
    pub(crate) fn given(file: File, path: &Path) -> Result<Self> {
        let traits = FsTraits::of(&file);
        Self::new(file, traits, true).map_err(|error| Error::system(path, Operation::Open, error))
    }

    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    /// Whether a server keeps its locks, so that a grant can come late.
    pub(crate) fn is_remote(&self) -> bool {
        self.traits.is_remote
    }

    /// Whether it was opened by this process, and is no forked child's copy.
    #[inline]
    pub(crate) fn is_own(&self) -> bool {
        self.file.is_own()
    }

    /// Whether its descriptor still means this file. Takes a system call.
    pub(crate) fn is_there(&self) -> bool {
        self.file.is_there()
    }

    /// Whether the error only says that this open file is of no use any more, so that it has to be opened
    /// again: a server has lost it, or the program has closed or replaced the descriptor.
    pub(crate) fn is_void(&self, error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::StaleNetworkFileHandle || !self.is_there()
    }
}

impl Deref for OpenFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}
