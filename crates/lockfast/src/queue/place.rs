//! Waiting for the turn.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Instant;

use super::sleeper::Sleeper;
use super::state::State;
use super::turn::{Purpose, Turn};
use super::{Queue, Shared};
use crate::primitive::spin_loop;
use crate::sys::Parked;
use crate::thread::ThreadToken;

/// A place in the queue, given up when dropped.
pub(crate) struct Place<'q, T: Shared> {
    queue: &'q Queue<T>,
    sleeper: Arc<Sleeper>,
    thread: ThreadToken,
    purpose: Purpose,
    /// Was this thread inside when it lined up?
    was_inside: bool,
    used: bool,
    /// Does it count as awake?
    awake: bool,
}

/// What became of one who waits and came by.
pub(crate) enum Met<P> {
    /// It has the turn.
    Granted,
    /// It took the lock from the lane, and has left the queue.
    Lane(Box<P>),
    /// Neither; it counts as asleep from now on.
    Nothing,
}

impl<'q, T: Shared> Place<'q, T> {
    pub(super) fn new(
        queue: &'q Queue<T>,
        state: &State<T>,
        sleeper: Arc<Sleeper>,
        thread: ThreadToken,
        purpose: Purpose,
        awake: bool,
    ) -> Self {
        let is_inside = || state.has_inside(thread) || queue.lane.is_held_by(thread);
        Self {
            queue,
            sleeper,
            thread,
            purpose,
            was_inside: purpose != Purpose::Upgrade && is_inside(),
            used: false,
            awake,
        }
    }

    /// Sleeps until woken, until the instant, or until a signal.
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

    /// Comes by at the lane, awake, for a while: to be put to sleep and woken takes longer than many
    /// sections last. Only for those who compete.
    pub(crate) fn come_by(&mut self) -> Met<T::Parcel> {
        let Purpose::Enter { mode, .. } = self.purpose else {
            unreachable!("those who upgrade do not compete")
        };
        if !self.awake && !self.queue.state().wakes(&self.sleeper) {
            return Met::Granted;
        }
        self.awake = true;
        for _ in 0..ROUNDS {
            if let Some(parcel) = self.queue.lane.take(mode, self.thread) {
                // Nobody can grant it the turn meanwhile: it has the lock.
                self.queue.state().leaves(&self.sleeper);
                self.used = true;
                return Met::Lane(parcel);
            }
            if self.sleeper.is_woken() {
                break;
            }
            for _ in 0..PAUSES {
                spin_loop();
            }
        }
        let mut state = self.queue.state();
        if !state.waits(&self.sleeper) {
            return Met::Granted;
        }
        // Should the lane be idle, somebody is woken when the mutex is free again.
        state.falls_asleep(&self.sleeper);
        self.sleeper.reset();
        self.awake = false;
        Met::Nothing
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

impl<T: Shared> Drop for Place<'_, T> {
    fn drop(&mut self) {
        if self.used {
            return;
        }
        let mut state = self.queue.state();
        let waits = |sleeper: &Arc<Sleeper>| Arc::ptr_eq(sleeper, &self.sleeper);
        if state.upgrader.as_ref().is_some_and(waits) {
            state.upgrader = None;
        } else if !state.leaves(&self.sleeper) {
            // Granted just now, and not used: it is the next one's.
            let turn = self.turn(&state);
            drop(state);
            drop(turn);
            return;
        }
        state.pass_on();
    }
}

/// How often the lane is looked at before the thread sleeps.
#[cfg(not(lockfast_model))]
const ROUNDS: u32 = 25;
#[cfg(lockfast_model)]
const ROUNDS: u32 = 1;

/// And how often it pauses in between: each look takes the memory away from the thread that uses the lock, and
/// more of them cost a tenth of what passes.
#[cfg(not(lockfast_model))]
const PAUSES: u32 = 4;
#[cfg(lockfast_model)]
const PAUSES: u32 = 1;
