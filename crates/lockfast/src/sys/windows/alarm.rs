//! Ends the sleep of one thread.
//!
//! A thread that waits for a lock sleeps on the event of its request and on the events of its alarms, all at
//! once (`sleep`). So an alarm is an event, an instant, or both, in a list of the thread that made it.

use std::cell::RefCell;
use std::io;
use std::marker::PhantomData;
use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::HANDLE;

use super::event::{self, WakeEvent};

pub(crate) use super::signal::{SIGNALS_INTERRUPT, without_signals};

/// Does nothing: there is no signal to choose.
pub(crate) fn prepare() {}

/// Ends the sleeps of the thread that made it, until it is dropped there.
#[derive(Debug)]
pub(crate) struct Alarm {
    event: WakeEvent,
    /// Threads may share it, but it stays with its own thread, like such a guard.
    this_thread: PhantomData<MutexGuard<'static, ()>>,
}

/// A handle of an alarm, by which another thread can ring it while it exists.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AlarmId(HANDLE);

/// An entry in the list of a thread's alarms.
#[derive(Debug)]
struct Set {
    // The alarm owns the event, and takes this entry out before it closes it.
    event: HANDLE,
    at: Option<Instant>,
    again_after: Option<Duration>,
}

thread_local! {
    // The thread alone reads and changes its list. Others only set the events.
    static OWN: RefCell<Vec<Set>> = const { RefCell::new(Vec::new()) };
}

impl Alarm {
    /// Ends sleeps of this thread from the instant on; without one, when it is rung.
    ///
    /// # Errors
    ///
    /// When the system has no handle left.
    pub(crate) fn set(until: Option<Instant>) -> io::Result<Self> {
        Self::new(until, None)
    }

    /// Ends sleeps of this thread once in each interval.
    pub(crate) fn every(interval: Duration) -> io::Result<Self> {
        Self::new(Some(Instant::now() + interval), Some(interval))
    }

    fn new(at: Option<Instant>, again_after: Option<Duration>) -> io::Result<Self> {
        let event = WakeEvent::new()?;
        let set = Set {
            event: event.handle(),
            at,
            again_after,
        };
        OWN.with_borrow_mut(|own| own.push(set));
        Ok(Self {
            event,
            this_thread: PhantomData,
        })
    }

    /// Ends the sleep of its thread now. May be called by any thread.
    pub(crate) fn ring(&self) {
        self.event.set();
    }

    /// Returns its handle.
    pub(crate) fn id(&self) -> AlarmId {
        let PhantomData = self.this_thread;
        AlarmId(self.event.handle())
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let own = self.event.handle();
        // While the thread is torn down it sleeps no more.
        let _ = OWN.try_with(|sets| sets.borrow_mut().retain(|set| set.event != own));
    }
}

impl AlarmId {
    /// Returns it as a number, which can be kept in an atomic.
    pub(crate) fn to_number(self) -> usize {
        self.0.expose_provenance()
    }

    /// Returns the handle of the number.
    pub(crate) fn from_number(number: usize) -> Self {
        Self(std::ptr::with_exposed_provenance_mut(number))
    }

    /// Ends the sleep of its thread now.
    pub(crate) fn ring(self) {
        event::set(self.0);
    }
}

/// Adds the events of this thread's alarms, and returns the instant when the first one is due.
pub(super) fn due(handles: &mut Vec<HANDLE>) -> Option<Instant> {
    with(|own| {
        handles.extend(own.iter().map(|set| set.event));
        own.iter().filter_map(|set| set.at).min()
    })
    .flatten()
}

/// Whether an alarm is due by now. Sets those again that ring in intervals.
pub(super) fn is_due(now: Instant) -> bool {
    with(|own| {
        let due = own
            .iter_mut()
            .filter(|set| set.at.is_some_and(|at| at <= now));
        due.fold(false, |_, set| {
            if let Some(interval) = set.again_after {
                // From now, not from when it was due: a thread that was late is not interrupted twice.
                set.at = Some(now + interval);
            }
            true
        })
    })
    .unwrap_or(false)
}

fn with<R>(read: impl FnOnce(&mut Vec<Set>) -> R) -> Option<R> {
    OWN.try_with(|own| read(&mut own.borrow_mut())).ok()
}

#[cfg(test)]
mod tests {
    use super::super::sleep::{Woken, sleep};
    use super::*;

    #[test]
    fn an_instant_ends_every_sleep_from_then_on() {
        let alarm = Alarm::set(Some(Instant::now() + Duration::from_millis(5))).expect("an event");
        for _ in 0..3 {
            assert_eq!(sleep(&[], None).expect("no error"), Woken::Interrupted);
        }
        drop(alarm);
        let now = Some(Instant::now());
        assert_eq!(sleep(&[], now).expect("no error"), Woken::TimedOut);
    }

    #[test]
    fn an_interval_ends_one_sleep_each() {
        let _alarm = Alarm::every(Duration::from_millis(20)).expect("an event");
        let begun = Instant::now();
        for _ in 0..3 {
            assert_eq!(sleep(&[], None).expect("no error"), Woken::Interrupted);
        }
        assert!(begun.elapsed() >= Duration::from_millis(60));
    }

    #[test]
    fn another_thread_rings() {
        let alarm = Alarm::set(None).expect("an event");
        let number = alarm.id().to_number();
        std::thread::scope(|scope| {
            scope.spawn(move || AlarmId::from_number(number).ring());
            assert_eq!(sleep(&[], None).expect("no error"), Woken::Interrupted);
        });
    }
}
