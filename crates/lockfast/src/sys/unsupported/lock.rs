//! No lock is taken.

use std::fs::File;
use std::io;

use super::unsupported;
use crate::sys::{Access, Blocker, Range, Target, Waited};

pub(crate) const HAS_RANGES: bool = false;
pub(crate) const NAMES_BLOCKERS: bool = false;
pub(crate) const IS_OVERTAKEN: bool = false;

pub(crate) fn try_lock(_file: &File, _access: Access, _target: Target) -> io::Result<bool> {
    Err(unsupported())
}

pub(crate) fn wait(_file: &File, _access: Access, _target: Target) -> io::Result<Waited> {
    Err(unsupported())
}

pub(crate) fn release(_file: &File, _target: Target) -> io::Result<()> {
    Err(unsupported())
}

pub(crate) fn blocker(_file: &File, _access: Access, _range: Range) -> Option<Blocker> {
    None
}

pub(crate) fn find(_file: &File, _access: Access, _range: Range) -> io::Result<Option<Blocker>> {
    Err(unsupported())
}

pub(crate) fn means_no_locks_here(_error: &io::Error) -> bool {
    true
}

pub(crate) fn advice(_error: &io::Error) -> Option<&'static str> {
    None
}
