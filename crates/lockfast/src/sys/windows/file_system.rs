//! File systems, as far as it matters to a lock.

use std::fs::File;

use super::file;
use crate::sys::FsTraits;

pub(crate) fn traits(file: &File) -> FsTraits {
    FsTraits {
        is_remote: file::is_remote(file),
        has_ranges: true,
        has_one_lock_table: true,
        // Nothing reports who opens a file, and not every file system shows a rename.
        ..FsTraits::default()
    }
}
