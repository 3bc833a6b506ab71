//! No file is watched.

use std::fs::File;
use std::io;
use std::time::Instant;

use super::unsupported;
use crate::sys::Event;

/// Always `false`: waiters can't be seen.
pub(crate) fn is_awaited(_file: &File) -> bool {
    false
}

/// Can't be made here.
#[derive(Debug)]
pub(crate) enum Watches {}

/// Can't be made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Watch {}

impl Watches {
    /// Always refuses.
    pub(crate) fn new() -> io::Result<Self> {
        Err(unsupported())
    }

    /// Can't be called.
    pub(crate) fn add(&self, _file: &File) -> io::Result<Watch> {
        match *self {}
    }

    /// Can't be called.
    pub(crate) fn remove(&self, _watch: Watch) {
        match *self {}
    }

    /// Can't be called.
    pub(crate) fn wait(&self, _until: Option<Instant>) -> io::Result<Vec<(Option<Watch>, Event)>> {
        match *self {}
    }

    /// Can't be called.
    pub(crate) fn ring(&self) -> bool {
        match *self {}
    }

    /// Can't be called.
    pub(crate) fn is_there(&self) -> bool {
        match *self {}
    }
}
