//! What the queue of the threads is made of: the standard library's, or, under the cfg
//! `lockfast_model`, those by which `loom` goes through all orders in which threads can run.

#[cfg(not(lockfast_model))]
pub(crate) use std::{
    hint::spin_loop,
    sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering},
    sync::{Mutex, MutexGuard},
};

#[cfg(not(lockfast_model))]
pub(crate) use crate::sys::park::Parker;

/// How long ago that was.
#[cfg(not(lockfast_model))]
pub(crate) fn elapsed(since: std::time::Instant) -> std::time::Duration {
    since.elapsed()
}

#[cfg(lockfast_model)]
pub(crate) use loom::{
    sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering},
    sync::{Mutex, MutexGuard},
    thread::yield_now as spin_loop,
};

#[cfg(lockfast_model)]
pub(crate) use model::{Parker, elapsed, set_time_left};

#[cfg(lockfast_model)]
mod model {
    use std::cell::Cell;
    use std::time::{Duration, Instant};

    use loom::sync::{Condvar, Mutex};

    use crate::sys::Parked;

    thread_local! {
        // All threads of a model are run by one, one after the other.
        static LOOKS: Cell<usize> = const { Cell::new(0) };
    }

    /// No time passes for that number of looks at the clock; then a second does.
    pub(crate) fn set_time_left(looks: usize) {
        LOOKS.set(looks);
    }

    /// The time since that instant, as the model says.
    pub(crate) fn elapsed(_: Instant) -> Duration {
        let left = LOOKS.get();
        LOOKS.set(left.saturating_sub(1));
        if left == 0 {
            Duration::from_secs(1)
        } else {
            Duration::ZERO
        }
    }

    /// As that of `sys::park`, but time never passes, and an instant has passed already.
    #[derive(Debug, Default)]
    pub(crate) struct Parker {
        granted: Mutex<bool>,
        changed: Condvar,
    }

    impl Parker {
        pub(crate) fn park(&self, until: Option<Instant>) -> Parked {
            let mut granted = self.granted.lock().expect("nobody panics");
            while !*granted {
                if until.is_some() {
                    return Parked::TimedOut;
                }
                granted = self.changed.wait(granted).expect("nobody panics");
            }
            Parked::Granted
        }

        pub(crate) fn is_granted(&self) -> bool {
            *self.granted.lock().expect("nobody panics")
        }

        pub(crate) fn grant(&self) {
            *self.granted.lock().expect("nobody panics") = true;
            self.changed.notify_one();
        }

        pub(crate) fn reset(&self) {
            *self.granted.lock().expect("nobody panics") = false;
        }
    }
}
