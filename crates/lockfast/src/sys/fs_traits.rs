//! Facts about the file system of a lock file.

use std::fs::File;

/// Facts about the file system of an open file, all found out by one call.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about a file system"
)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FsTraits {
    /// Whether a server keeps the locks, so that a grant is a message that can come late.
    pub(crate) is_remote: bool,
    /// Whether single bytes can be locked, converted and released.
    pub(crate) has_ranges: bool,
    /// Whether `flock` and record locks conflict, because one table has both. A description that takes both
    /// would wait for itself.
    pub(crate) has_one_lock_table: bool,
    /// Whether a rename gives the file another change time. POSIX leaves that to the file system.
    pub(crate) rename_updates_ctime: bool,
    /// Whether a watch sees everybody who opens, renames or deletes the file.
    pub(crate) supports_watch: bool,
    /// Whether a thread's wait for a lock in the kernel goes on after a signal.
    pub(crate) ignores_signals: bool,
    /// Whether the file system is a process (FUSE): anything may be behind it, and some of them grant locks
    /// that conflict.
    pub(crate) is_process: bool,
}

impl FsTraits {
    pub(crate) fn of(file: &File) -> Self {
        super::side::file_system::traits(file)
    }
}
