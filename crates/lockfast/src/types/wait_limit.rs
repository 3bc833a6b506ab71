//! The limit of a wait.

use std::time::{Duration, Instant};

/// The end of a wait, if nothing is granted before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitLimit {
    /// A single attempt, without waiting.
    None,
    /// Until that instant.
    Until(Instant),
    /// As long as it takes.
    Forever,
}

impl WaitLimit {
    /// Returns the limit that is that far from now, or none if that is beyond all clocks.
    #[must_use]
    pub fn lasting(timeout: Duration) -> Self {
        Instant::now()
            .checked_add(timeout)
            // An instant that the clock can't have is as good as none.
            .map_or(Self::Forever, Self::Until)
    }

    /// The instant at which the wait ends.
    #[must_use]
    pub fn deadline(self) -> Option<Instant> {
        match self {
            Self::Until(deadline) => Some(deadline),
            Self::None | Self::Forever => None,
        }
    }
}
