//! Figures of the machine alone, which stand beside those of the locks.

use std::fmt;

/// Costs of the bare calls that locks are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    /// Two `F_OFD_SETLK` calls, in nanoseconds.
    pub(crate) raw: f64,
    /// Time from the write into a pipe to the reader that runs, in microseconds: the middle of many.
    pub(crate) wake: f64,
    /// Nine of ten wake-ups take less, in microseconds.
    pub(crate) wake_p90: f64,
    /// The duration of a sleep of 1 ms, in microseconds.
    pub(crate) sleep: f64,
    /// Processor time of a sleep and its wake-up, in microseconds.
    pub(crate) wake_cpu: f64,
}

impl Machine {
    /// The cost of the bare call, for the table of bars.
    pub(crate) fn beside_call(&self) -> String {
        format!("raw {:.0} ns", self.raw)
    }

    /// The duration of a wake-up, for the table of bars.
    pub(crate) fn beside_wake(&self) -> String {
        format!("wake-up {:.1} µs", self.wake)
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "The machine alone: raw lock + unlock {:.0} ns; a process that a pipe wakes runs after \
             {:.1} µs (nine of ten: {:.1} µs); a sleep of 1 ms lasts {:.2} ms and costs {:.1} µs of \
             processor time.",
            self.raw,
            self.wake,
            self.wake_p90,
            self.sleep / 1e3,
            self.wake_cpu,
        )
    }
}
