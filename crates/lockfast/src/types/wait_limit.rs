//! How long a wait may last.

use std::time::{Duration, Instant};

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitLimit {
    /// One attempt.
    None,
    /// Until then.
    Until(Instant),
    /// For ever.
    Forever,
}

impl WaitLimit {
    /// From now on for that long; for ever, when that is beyond all clocks.
    pub(crate) fn lasting(timeout: Duration) -> Self {
        Instant::now()
            .checked_add(timeout)
            .map_or(Self::Forever, Self::Until)
    }

    pub(crate) fn deadline(self) -> Option<Instant> {
        match self {
            Self::Until(deadline) => Some(deadline),
            Self::None | Self::Forever => None,
        }
    }
}
