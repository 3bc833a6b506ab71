//! Pauses of a wait that can only poll.

use std::time::Duration;

/// Pauses that double from one to the next, from 1 to 10 ms.
#[derive(Debug)]
pub(crate) struct Naps {
    next: Duration,
}

impl Naps {
    const SHORTEST: Duration = Duration::from_millis(1);
    const LONGEST: Duration = Duration::from_millis(10);

    /// Begins with the shortest pause.
    pub(crate) fn new() -> Self {
        Self {
            next: Self::SHORTEST,
        }
    }

    /// Returns how long to pause now.
    pub(crate) fn next(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * 2).min(Self::LONGEST);
        now
    }
}
