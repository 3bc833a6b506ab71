//! Instants that several processes compare.

use std::fmt;
use std::ops::Add;
use std::str::FromStr;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// An instant of the clock that all processes of this machine share, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// Returns the present instant.
    ///
    /// # Panics
    ///
    /// Panics if the kernel has no such clock.
    pub fn now() -> Self {
        // This clock goes on while the machine sleeps, as leases do.
        let now = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("a clock");
        let since_boot = Duration::from(now);
        Self(u64::try_from(since_boot.as_nanos()).expect("centuries"))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0 + u64::try_from(duration.as_nanos()).expect("centuries"))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Moment {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}
