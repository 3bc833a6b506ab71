//! Clocks.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Returns the time of a clock that all processes of the machine share.
pub(crate) fn monotonic_time() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .expect("every system has that clock")
        .into()
}
