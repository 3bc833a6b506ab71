//! `Instant` since its first use. It goes on while Windows sleeps; other systems here seldom sleep.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

static FIRST: OnceLock<Instant> = OnceLock::new();

pub(crate) fn since_boot() -> Duration {
    // One second ahead, so that no time is the zero of a lease that was never confirmed.
    FIRST.get_or_init(Instant::now).elapsed() + Duration::from_secs(1)
}
