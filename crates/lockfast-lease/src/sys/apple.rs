//! `CLOCK_MONOTONIC` goes on while the machine sleeps, other than `Instant`, which is `CLOCK_UPTIME_RAW`.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

pub(crate) fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    // The clock is never before its beginning.
    Duration::try_from(time).unwrap_or_default()
}
