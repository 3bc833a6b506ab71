//! The time of the next update.

use std::time::{Duration, Instant};

/// Updates take at most one part in this many of the time, unless that puts them further apart than [`LONGEST`].
const SHARE: u32 = 10;

/// Updates take at most one part in this many of the time, however slow they are.
const LARGEST_SHARE: u32 = 2;

/// Slow updates are at most this far apart, unless they would take more than [`LARGEST_SHARE`] allows.
const LONGEST: Duration = Duration::from_secs(5);

/// Faster updates could not be read.
const SHORTEST: Duration = Duration::from_millis(100);

/// An interval between updates, which grows if they are slow.
#[derive(Debug)]
pub(super) struct Pace {
    wanted: Duration,
    interval: Duration,
    /// `None` during an update.
    due: Option<Instant>,
}

impl Pace {
    /// Creates a pace whose first update is due at once.
    pub(super) fn new(wanted: Duration) -> Self {
        let wanted = wanted.max(SHORTEST);
        Self {
            wanted,
            interval: wanted,
            due: Some(Instant::now()),
        }
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Returns the time between two updates.
    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    pub(super) fn begin(&mut self) {
        self.due = None;
    }

    /// Ends an update that took this long.
    pub(super) fn end(&mut self, now: Instant, took: Duration) {
        // A busy machine stretches the update itself. Ten times that would leave the screen stale for a minute.
        let gentle = took.saturating_mul(SHARE).min(LONGEST);
        let least = took.saturating_mul(LARGEST_SHARE);
        self.interval = self.wanted.max(gentle).max(least);
        // A time beyond the clock's range never comes.
        self.due = now.checked_add(self.interval.saturating_sub(took));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_updates_are_rare() {
        let second = Duration::from_secs(1);
        let mut pace = Pace::new(second);
        let now = Instant::now();
        assert!(pace.is_due(now));
        pace.begin();
        assert!(!pace.is_due(now + 100 * second));
        pace.end(now, second / 20);
        assert_eq!(pace.due(), Some(now + 19 * second / 20));
        pace.end(now, second / 4);
        assert_eq!(pace.interval(), second * 5 / 2);
        pace.end(now, second);
        assert_eq!(pace.interval(), LONGEST);
        assert!(!pace.is_due(now + 3 * second) && pace.is_due(now + 4 * second));
        pace.end(now, 6 * second);
        assert_eq!(pace.interval(), 12 * second);
        assert!(!pace.is_due(now + 5 * second) && pace.is_due(now + 6 * second));
        assert_eq!(Pace::new(Duration::ZERO).interval(), SHORTEST);
    }
}
