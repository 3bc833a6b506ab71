//! File systems, of which nothing is known.

use std::fs::File;

use crate::sys::FsTraits;

pub(crate) fn traits(_file: &File) -> FsTraits {
    FsTraits {
        is_remote: false,
        has_ranges: false,
        has_one_lock_table: true,
        rename_updates_ctime: false,
        supports_watch: false,
        signals_end_waits: true,
        is_process: false,
    }
}
