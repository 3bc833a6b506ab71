//! When to look next.

use std::time::{Duration, Instant};

/// Looks take no more than one part in so many of the time.
const SHARE: u32 = 10;

/// Nobody reads faster.
const SHORTEST: Duration = Duration::from_millis(100);

/// Looks follow each other at an interval that is longer where a look takes long.
#[derive(Debug)]
pub(super) struct Pace {
    wanted: Duration,
    interval: Duration,
    /// `None` while one is under way.
    due: Option<Instant>,
}

impl Pace {
    /// The first one is due at once.
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

    /// From one look to the next.
    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    pub(super) fn begin(&mut self) {
        self.due = None;
    }

    /// It took that long.
    pub(super) fn end(&mut self, now: Instant, took: Duration) {
        self.interval = self.wanted.max(took.saturating_mul(SHARE));
        // An instant that no clock knows does not come.
        self.due = now.checked_add(self.interval.saturating_sub(took));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_looks_are_rare() {
        let second = Duration::from_secs(1);
        let mut pace = Pace::new(second);
        let now = Instant::now();
        assert!(pace.is_due(now));
        pace.begin();
        assert!(!pace.is_due(now + 100 * second));
        pace.end(now, second / 20);
        assert_eq!(pace.due(), Some(now + 19 * second / 20));
        pace.end(now, second);
        assert_eq!(pace.interval(), 10 * second);
        assert!(!pace.is_due(now + 8 * second) && pace.is_due(now + 9 * second));
        assert_eq!(Pace::new(Duration::ZERO).interval(), SHORTEST);
    }
}
