//! No call blocks, so none has to be ended.

use std::io;
use std::time::Instant;

use super::unsupported;

/// There are none.
pub(crate) fn without_signals<R>(run: impl FnOnce() -> R) -> R {
    run()
}

/// Can't be made here.
#[derive(Debug)]
pub(crate) enum Alarm {}

impl Alarm {
    /// Always refuses.
    pub(crate) fn set(_until: Option<Instant>) -> io::Result<Self> {
        Err(unsupported())
    }

    /// Can't be called.
    pub(crate) fn ring(&self) {
        match *self {}
    }
}
