//! No file is watched.

use std::fs::File;
use std::io;
use std::time::Instant;

use super::unsupported;
use crate::sys::Range;
use crate::sys::Rung;

/// Can't be made here.
#[derive(Debug)]
pub(crate) enum Bell {}

impl Bell {
    /// Always refuses.
    pub(crate) fn new() -> io::Result<Self> {
        Err(unsupported())
    }

    /// Can't be called.
    pub(crate) fn hang(&mut self, _file: &File, _permits: Range) -> io::Result<()> {
        match *self {}
    }

    /// Can't be called.
    pub(crate) fn take_down(&mut self) {
        match *self {}
    }

    /// Can't be called.
    pub(crate) fn listen(&self, _until: Instant) -> io::Result<Rung> {
        match *self {}
    }
}

/// Nobody listens.
pub(crate) fn ring(_file: &File) {}
