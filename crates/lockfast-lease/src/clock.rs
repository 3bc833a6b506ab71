//! The clock of leases, which also counts the time that a machine sleeps.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::sys;

/// An instant of the boot clock.
///
/// `std::time::Instant` stops on Linux while the machine is suspended, and the lease on the server does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootTime(Duration);

impl BootTime {
    /// Returns the instant that is that long after the clock began.
    #[must_use]
    pub const fn after_boot(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// Returns the instant that is that much later.
    #[must_use]
    pub fn plus(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }

    /// Returns the time since that instant, or zero if it is still to come.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// The source of time for leases: the boot clock of this machine, or a clock of a test.
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<dyn Fn() -> BootTime + Send + Sync>>);

impl Clock {
    /// Returns the boot clock of this machine.
    #[must_use]
    pub const fn boot() -> Self {
        Self(None)
    }

    /// Returns a clock that shows what the function returns.
    pub fn of(now: impl Fn() -> BootTime + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(now)))
    }

    /// Returns the present instant.
    #[must_use]
    pub fn now(&self) -> BootTime {
        match &self.0 {
            None => BootTime(sys::clock::since_boot()),
            Some(now) => now(),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_clock_goes_on() {
        let clock = Clock::boot();
        let before = clock.now();
        assert!(clock.now() >= before);
        assert!(before > BootTime::default());
    }

    #[test]
    fn time_never_goes_below_zero() {
        let early = BootTime::after_boot(Duration::from_secs(1));
        let late = early.plus(Duration::from_secs(2));
        assert_eq!(late.since(early), Duration::from_secs(2));
        assert_eq!(early.since(late), Duration::ZERO);
    }
}
