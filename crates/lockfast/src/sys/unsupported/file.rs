//! No file is opened.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::unsupported;
use crate::sys::Status;

pub(crate) const HAS_MODES: bool = true;

pub(crate) fn status_at(_path: &Path, _follow: bool) -> io::Result<Status> {
    Err(unsupported())
}

pub(crate) fn status(_file: &File) -> io::Result<Status> {
    Err(unsupported())
}

pub(crate) fn open_existing(_path: &Path, _follow: bool, _write: bool) -> io::Result<File> {
    Err(unsupported())
}

pub(crate) fn create_new(_path: &Path, _mode: Option<u32>) -> io::Result<File> {
    Err(unsupported())
}

pub(crate) fn remove(_path: &Path) -> io::Result<()> {
    Err(unsupported())
}

pub(crate) fn may_be_readable(_error: &io::Error) -> bool {
    false
}

/// Always `false`: there are no leases.
pub(crate) fn is_leased(_error: &io::Error) -> bool {
    false
}

/// Always `false`: the limit is too high to be reached.
pub(crate) fn is_table_full(_error: &io::Error) -> bool {
    false
}

/// Returns no limit.
pub(crate) fn descriptor_limit() -> usize {
    usize::MAX
}

pub(crate) fn refused_link(_error: &io::Error) -> bool {
    false
}

pub(crate) fn path_of(_file: &File) -> Option<PathBuf> {
    None
}

/// Always `None`: only a file system that is a process is doubted.
pub(crate) fn opened_again(_file: &File) -> Option<File> {
    None
}

pub(crate) fn read_at(_file: &File, _buffer: &mut [u8], _start: u64) -> io::Result<usize> {
    Err(unsupported())
}

pub(crate) fn is_first_hidden(_error: &io::Error) -> bool {
    false
}

pub(crate) fn write_at(_file: &File, _bytes: &[u8], _start: u64) -> io::Result<()> {
    Err(unsupported())
}

pub(crate) fn number(_file: &File) -> u32 {
    0
}
