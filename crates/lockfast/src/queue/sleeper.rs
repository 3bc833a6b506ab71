//! The sleep of a waiter: a thread that sleeps, or a task that is polled.

use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use crate::sys::Parked;
use crate::sys::primitive::{Mutex, MutexGuard, Parker};

/// A wait for the turn.
#[derive(Debug, Default)]
pub(super) struct Sleeper {
    parker: Parker,
    // Of a task; a thread has none.
    waker: Mutex<Option<Waker>>,
}

impl Sleeper {
    /// Puts the thread to sleep until woken, until the instant, or until a signal.
    pub(super) fn park(&self, until: Option<Instant>) -> Parked {
        self.parker.park(until)
    }

    /// Whether it was woken since it last fell asleep.
    pub(super) fn is_woken(&self) -> bool {
        self.parker.is_granted()
    }

    /// Forgets that it was woken, before it sleeps.
    pub(super) fn reset(&self) {
        self.parker.reset();
    }

    /// Returns whether the turn is granted. If not, the task is woken when it is.
    pub(super) fn poll(&self, context: &Context<'_>) -> Poll<()> {
        let mut waker = self.waker();
        // Under the waker's mutex, which `grant` takes after it has granted: either this sees the grant, or
        // `grant` sees the waker.
        if self.parker.is_granted() {
            return Poll::Ready(());
        }
        match &mut *waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Wakes it. What a waker does is the program's, so no mutex may be held.
    pub(super) fn grant(&self) {
        self.parker.grant();
        // Taken out first: the mutex is free while the waker runs.
        let waker = self.waker().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
