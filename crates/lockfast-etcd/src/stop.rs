//! The end of a wait: by its deadline, or because nobody waits any more.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The longest time that a drop blocks its thread.
pub(crate) const LONGEST_DROP: Duration = Duration::from_millis(250);

/// The time for which a server may take to answer, however short the wait is.
const PATIENCE: Duration = Duration::from_secs(1);

/// Ends a wait. Clones end the same wait.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    deadline: Option<Instant>,
    cancelled: Arc<Cancelled>,
}

#[derive(Debug, Default)]
struct Cancelled {
    is_set: std::sync::atomic::AtomicBool,
    signal: Notify,
}

impl Stop {
    /// Returns a wait that ends at that instant.
    pub(crate) fn at(deadline: Option<Instant>) -> Self {
        Self {
            deadline,
            ..Self::default()
        }
    }

    /// Returns the same wait, with an earlier end if that is earlier.
    pub(crate) fn no_later_than(&self, end: Instant) -> Self {
        let deadline = self.deadline.map_or(end, |deadline| deadline.min(end));
        Self {
            deadline: Some(deadline),
            ..self.clone()
        }
    }

    /// Returns the same wait, but long enough for an answer: a short wait is no proof that no server can be reached,
    /// and the answer names the holder.
    pub(crate) fn patient(&self) -> Self {
        let least = Instant::now() + PATIENCE;
        Self {
            deadline: self.deadline.map(|deadline| deadline.max(least)),
            ..self.clone()
        }
    }

    pub(crate) fn cancel(&self) {
        let is_set = &self.cancelled.is_set;
        is_set.store(true, std::sync::atomic::Ordering::SeqCst);
        self.cancelled.signal.notify_waiters();
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        let is_set = &self.cancelled.is_set;
        is_set.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// Whether the wait is over.
    pub(crate) fn is_over(&self) -> bool {
        self.is_cancelled()
            || self
                .deadline
                .is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Completes when the wait is over.
    pub(crate) async fn over(&self) {
        let cancelled = async {
            let mut signal = std::pin::pin!(self.cancelled.signal.notified());
            signal.as_mut().enable();
            if !self.is_cancelled() {
                signal.await;
            }
        };
        match self.deadline {
            None => cancelled.await,
            Some(deadline) => tokio::select! {
                () = cancelled => {}
                () = sleep_until(deadline) => {}
            },
        }
    }
}

/// A task that a thread waits for, for a while.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done(Arc<(Mutex<bool>, Condvar)>);

impl Done {
    pub(crate) fn set(&self) {
        let (is_done, changed) = &*self.0;
        *is_done.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    /// Blocks the thread until the task is over, for at most [`LONGEST_DROP`].
    pub(crate) fn wait(&self) {
        let (is_done, changed) = &*self.0;
        let guard = is_done.lock().unwrap_or_else(PoisonError::into_inner);
        // The result is either; the guard is not needed any more.
        drop(changed.wait_timeout_while(guard, LONGEST_DROP, |is_done| !*is_done));
    }
}
