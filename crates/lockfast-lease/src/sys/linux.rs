//! `CLOCK_BOOTTIME`: `CLOCK_MONOTONIC`, and with it `Instant`, stops while the machine sleeps.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

pub(crate) fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    // The clock is never before its beginning.
    Duration::try_from(time).unwrap_or_default()
}
