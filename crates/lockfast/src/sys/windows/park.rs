//! Puts a thread to sleep until another thread of the process grants it something.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::{Duration, Instant};

use super::event::WakeEvent;
use super::sleep::{Woken, sleep};
use crate::sys::Parked;

/// The sleep of one thread.
///
/// It sleeps on an event, because the thread has to wake for its alarms too, which are events.
#[derive(Debug, Default)]
pub(crate) struct Parker {
    granted: AtomicBool,
    /// Made by the first sleep; `None` when the system had no handle left.
    // A `OnceLock` will do here: no fork can copy it while its value is made.
    event: OnceLock<Option<WakeEvent>>,
}

/// The interval of looks without an event.
const COME_BACK: Duration = Duration::from_millis(10);

impl Parker {
    /// Sleeps until granted, until the instant, or until an alarm. Once granted, it returns at once.
    pub(crate) fn park(&self, until: Option<Instant>) -> Parked {
        let event = self.event.get_or_init(|| WakeEvent::new().ok()).as_ref();
        loop {
            // With the fence in `grant`: either this thread sees the grant, or that one sees the event.
            fence(Ordering::SeqCst);
            if self.is_granted() {
                return Parked::Granted;
            }
            let woken = if let Some(event) = event {
                sleep(&[event.handle()], until)
            } else {
                let soon = Instant::now() + COME_BACK;
                sleep(&[], Some(until.map_or(soon, |until| until.min(soon))))
            };
            let is_over = until.is_some_and(|until| until <= Instant::now());
            match woken {
                // The event may be set late by an earlier grant, so the loop looks again.
                Ok(Woken::By(_)) => event.into_iter().for_each(WakeEvent::reset),
                _ if self.is_granted() => return Parked::Granted,
                Ok(Woken::TimedOut) if is_over => return Parked::TimedOut,
                Ok(Woken::Interrupted | Woken::TimedOut) | Err(_) => return Parked::Interrupted,
            }
        }
    }

    /// Whether it was granted.
    pub(crate) fn is_granted(&self) -> bool {
        self.granted.load(Ordering::Acquire)
    }

    /// Takes the grant back.
    pub(crate) fn reset(&self) {
        // Relaxed, as on Unix: what a grant reports is looked at afterwards under a mutex.
        self.granted.store(false, Ordering::Relaxed);
    }

    /// Grants it, and wakes the thread.
    pub(crate) fn grant(&self) {
        self.granted.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        if let Some(Some(event)) = self.event.get() {
            event.set();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_before_or_during_the_sleep_ends_it() {
        let parker = Parker::default();
        std::thread::scope(|scope| {
            scope.spawn(|| parker.grant());
            while parker.park(None) != Parked::Granted {}
        });
        assert_eq!(parker.park(None), Parked::Granted);
        parker.reset();
        assert_eq!(parker.park(Some(Instant::now())), Parked::TimedOut);
    }

    #[test]
    fn an_instant_that_has_passed_ends_it() {
        let parker = Parker::default();
        assert_eq!(parker.park(Some(Instant::now())), Parked::TimedOut);
        let soon = Instant::now() + Duration::from_millis(5);
        while parker.park(Some(soon)) == Parked::Interrupted {}
        assert!(Instant::now() >= soon);
    }
}
