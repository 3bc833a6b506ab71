//! No blocked call can be ended.

use std::io;
use std::time::{Duration, Instant};

use super::unsupported;

pub(crate) use super::signal::{SIGNALS_INTERRUPT, without_signals};

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

/// Does nothing: there is no signal to choose.
pub(crate) fn prepare() {}

/// A handle of no alarm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AlarmId(usize);

impl AlarmId {
    /// Returns it as a number, which can be kept in an atomic.
    pub(crate) fn to_number(self) -> usize {
        self.0
    }

    /// Returns the handle of the number.
    pub(crate) fn from_number(number: usize) -> Self {
        Self(number)
    }

    /// Does nothing.
    pub(crate) fn ring(self) {
        let Self(_nothing) = self;
    }
}
