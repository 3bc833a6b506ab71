//! No file is watched.

use std::fs::File;
use std::io;
use std::time::Instant;

use super::unsupported;
use crate::sys::{Notified, Range};

/// Can't be made here.
#[derive(Debug)]
pub(crate) enum Notifier {}

impl Notifier {
    /// Always refuses.
    pub(crate) fn new() -> io::Result<Self> {
        Err(unsupported())
    }

    /// Can't be called.
    pub(crate) fn watch(&mut self, _file: &File, _permits: Range) -> io::Result<()> {
        match *self {}
    }

    /// Can't be called.
    pub(crate) fn unwatch(&mut self) {
        match *self {}
    }

    /// Can't be called.
    pub(crate) fn wait(&self, _until: Instant) -> io::Result<Notified> {
        match *self {}
    }
}

/// Does nothing: no file is watched.
pub(crate) fn notify(_file: &File) {}
