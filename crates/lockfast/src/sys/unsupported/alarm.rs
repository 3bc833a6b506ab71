//! No call blocks, so none has to be ended.

use std::io;
use std::time::{Duration, Instant};

use super::unsupported;

/// There are none.
pub(crate) const SIGNALS_INTERRUPT: bool = false;

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

/// There is nothing to choose.
pub(crate) fn prepare() {}

/// Of nothing that rings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AlarmId(usize);

impl AlarmId {
    /// As a number, which can be kept in an atomic.
    pub(crate) fn to_number(self) -> usize {
        self.0
    }

    /// That of a number.
    pub(crate) fn from_number(number: usize) -> Self {
        Self(number)
    }

    /// Does nothing.
    pub(crate) fn ring(self) {
        let Self(_nothing) = self;
    }
}
