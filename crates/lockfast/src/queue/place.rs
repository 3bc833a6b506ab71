//! Waiting for the turn.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Instant;

use super::Queue;
use super::sleeper::Sleeper;
use super::state::State;
use super::turn::{Purpose, Turn};
use crate::sys::Parked;
use crate::thread::ThreadToken;

/// A place in the queue, given up when dropped.
pub(crate) struct Place<'q, T> {
    queue: &'q Queue<T>,
    sleeper: Arc<Sleeper>,
    thread: ThreadToken,
    purpose: Purpose,
    /// Was this thread inside when it lined up?
    was_inside: bool,
    used: bool,
}

impl<'q, T> Place<'q, T> {
    pub(super) fn new(
        queue: &'q Queue<T>,
        state: &State<T>,
        sleeper: Arc<Sleeper>,
        thread: ThreadToken,
        purpose: Purpose,
    ) -> Self {
        Self {
            queue,
            sleeper,
            thread,
            purpose,
            was_inside: purpose != Purpose::Upgrade && state.has_inside(thread),
            used: false,
        }
    }

    /// Sleeps until it is this one's turn, until the instant, or until a signal.
    pub(crate) fn park(&self, until: Option<Instant>) -> Parked {
        self.sleeper.park(until)
    }

    /// Waits until it is this one's turn, as a task.
    pub(crate) async fn granted(&self) {
        poll_fn(|context| self.sleeper.poll(context)).await;
    }

    /// Was this thread inside when it lined up, so that it waits for itself?
    pub(crate) fn was_inside(&self) -> bool {
        self.was_inside
    }

    /// The turn, after it was granted.
    pub(crate) fn enter(mut self) -> Turn<'q, T> {
        self.used = true;
        let state = self.queue.state();
        self.turn(&state)
    }

    fn turn(&self, state: &State<T>) -> Turn<'q, T> {
        let purpose = match self.purpose {
            Purpose::Enter { mode, .. } => Purpose::Enter {
                mode,
                joins: !mode.is_alone() && !state.is_empty(),
            },
            other => other,
        };
        Turn::new(self.queue, state, self.thread, purpose)
    }
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        if self.used {
            return;
        }
        let mut state = self.queue.state();
        let waits = |sleeper: &Arc<Sleeper>| Arc::ptr_eq(sleeper, &self.sleeper);
        if state.upgrader.as_ref().is_some_and(waits) {
            state.upgrader = None;
        } else if let Some(at) = state.waiting.iter().position(|other| waits(&other.sleeper)) {
            state.waiting.remove(at);
        } else {
            // Granted just now, and not used: it is the next one's.
            let turn = self.turn(&state);
            drop(state);
            drop(turn);
            return;
        }
        state.pass_on();
    }
}
