//! No call blocks, so none has to be ended.

use std::io;
use std::time::{Duration, Instant};

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

    /// Always refuses.
    pub(crate) fn every(_interval: Duration) -> io::Result<Self> {
        Err(unsupported())
    }

    /// Can't be called.
    pub(crate) fn ring(&self) {
        match *self {}
    }

    /// Can't be called.
    pub(crate) fn id(&self) -> AlarmId {
        match *self {}
    }
}

/// There is nothing to ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AlarmId;

impl AlarmId {
    /// They are all the same.
    pub(crate) fn to_number(self) -> usize {
        0
    }

    /// They are all the same.
    pub(crate) fn from_number(_: usize) -> Self {
        Self
    }

    /// Does nothing.
    pub(crate) fn ring(self) {}
}
