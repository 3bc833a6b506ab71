//! Pauses of a wait that can only poll.

use std::time::Duration;

/// Naps between two attempts; each is longer than the one before, up to a limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Naps {
    next: Duration,
    shortest: Duration,
    longest: Duration,
}

impl Naps {
    /// From 1 to 10 ms.
    pub(crate) const SHORT: Self = Self::new(Duration::from_millis(1), Duration::from_millis(10));

    pub(crate) const fn new(shortest: Duration, longest: Duration) -> Self {
        Self {
            next: shortest,
            shortest,
            longest,
        }
    }

    /// Begins with the shortest nap again.
    pub(crate) fn restart(&mut self) {
        self.next = self.shortest;
    }

    /// Returns the length of the nap that comes now.
    pub(crate) fn current(&self) -> Duration {
        self.next
    }

    /// Makes the next nap longer; `false` when it is as long as it gets.
    pub(crate) fn lengthen(&mut self) -> bool {
        let before = self.next;
        self.next = (2 * before).min(self.longest);
        self.next > before
    }

    /// Returns the length of the nap that comes now, and makes the next one longer.
    pub(crate) fn next(&mut self) -> Duration {
        let now = self.next;
        self.lengthen();
        now
    }
}
