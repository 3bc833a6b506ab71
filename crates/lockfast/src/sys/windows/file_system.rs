//! File systems, as far as it matters to a lock.

use std::fs::File;

use super::file;
use crate::sys::FsTraits;

pub(crate) fn traits(file: &File) -> FsTraits {
    FsTraits {
        is_remote: file::is_remote(file),
        has_ranges: true,
        has_one_lock_table: true,
        // Not known of every file system.
        rename_updates_ctime: false,
        // Nothing reports who opens a file.
        supports_watch: false,
        // A request is cancelled wherever its lock is kept.
        signals_end_waits: true,
        is_process: false,
    }
}
