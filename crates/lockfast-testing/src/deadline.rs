//! The limit of every wait of a test.

use std::thread;
use std::time::{Duration, Instant};

/// The time that anything may take before the test has failed.
///
/// Only a standstill takes that long. A busy machine, where all parts of the tests run side by side, makes
/// a step take a minute at times.
pub const DEADLINE: Duration = Duration::from_secs(300);

/// Waits for a state of the system that nothing announces.
///
/// # Panics
///
/// Panics if the state does not come before the [`DEADLINE`].
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never saw {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
