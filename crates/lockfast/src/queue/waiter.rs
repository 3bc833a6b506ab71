//! Waiting for the turn.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Instant;

use super::left_out::{Step, is_left_out};
use super::line::Ticket;
use super::sleeper::Sleeper;
use super::state::State;
use super::turn::{Purpose, Turn};
use super::{Queue, Shared};
use crate::protocol::plan::Mode;
use crate::sys::Parked;
use crate::sys::primitive::spin_loop;
use crate::types::thread::ThreadToken;

/// A place in the queue, given up when dropped.
pub(crate) struct QueuedWaiter<'q, T: Shared> {
    queue: &'q Queue<T>,
    sleeper: Arc<Sleeper>,
    thread: ThreadToken,
    aim: Aim,
    /// Was this thread inside when it lined up?
    was_inside: bool,
    used: bool,
    /// Does it count as awake?
    awake: bool,
}

/// The reason for a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// To get in, in this mode, with a ticket of the line.
    Enter(Mode, Ticket),
    /// To be alone, from upgradable; outside of the line.
    Upgrade,
}

/// What became of one who waits and came by.
pub(crate) enum SpinOutcome<P> {
    /// It has the turn.
    Granted,
    /// It took the lock from the lane, and has left the queue.
    Handoff(Box<P>),
    /// Neither; it counts as asleep from now on.
    Nothing,
}

impl<'q, T: Shared> QueuedWaiter<'q, T> {
    pub(super) fn new(
        queue: &'q Queue<T>,
        state: &State<T>,
        sleeper: Arc<Sleeper>,
        thread: ThreadToken,
        aim: Aim,
        awake: bool,
    ) -> Self {
        let is_inside = || state.has_inside(thread) || queue.lane.is_held_by(thread);
        Self {
            queue,
            sleeper,
            thread,
            aim,
            was_inside: aim != Aim::Upgrade && is_inside(),
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
    pub(crate) fn come_by(&mut self) -> SpinOutcome<T::HeldLock> {
        let Aim::Enter(mode, ticket) = self.aim else {
            unreachable!("those who upgrade do not compete")
        };
        if !self.awake && !self.queue.state().wakes(ticket) {
            return SpinOutcome::Granted;
        }
        self.awake = true;
        for _ in 0..ROUNDS {
            if let Some(parcel) = self.queue.lane.take(mode, self.thread) {
                // Nobody can grant it the turn meanwhile: it has the lock.
                self.queue.state().leaves(ticket);
                self.used = true;
                return SpinOutcome::Handoff(parcel);
            }
            if self.sleeper.is_woken() {
                break;
            }
            for _ in 0..PAUSES {
                spin_loop();
            }
        }
        let mut state = self.queue.state();
        if !state.waits(ticket) {
            return SpinOutcome::Granted;
        }
        // Should the lane be idle, somebody is woken when the mutex is free again.
        state.falls_asleep(ticket);
        self.sleeper.reset();
        self.awake = false;
        SpinOutcome::Nothing
    }

    /// The turn, after it was woken. The place again when it was called off meanwhile: then it waits on, as
    /// the first.
    pub(crate) fn enter(mut self) -> Result<Turn<'q, T>, Self> {
        let mut state = self.queue.state();
        let purpose = match self.aim {
            Aim::Upgrade => Purpose::Upgrade,
            Aim::Enter(mode, ticket) => {
                if !mode.is_alone() && !state.comes(ticket) {
                    // Under the mutex: whoever calls it again wakes it afterwards.
                    self.sleeper.reset();
                    drop(state);
                    return Err(self);
                }
                let joins = !mode.is_alone() && !state.is_empty();
                Purpose::Enter { mode, joins }
            }
        };
        let turn = Turn::new(self.queue, &state, self.thread, purpose);
        drop(state);
        self.used = true;
        Ok(turn)
    }

    #[cfg(all(test, not(lockfast_model)))]
    pub(super) fn ticket(&self) -> Option<Ticket> {
        match self.aim {
            Aim::Enter(_, ticket) => Some(ticket),
            Aim::Upgrade => None,
        }
    }

    /// Gives up the wait, or the turn that was not used.
    fn leave(&self, state: &mut State<T>) {
        match self.aim {
            Aim::Upgrade => {
                if state.upgrader.take().is_none() {
                    state.busy = None;
                }
            }
            Aim::Enter(_, ticket) if state.leaves(ticket) => {}
            Aim::Enter(mode, _) if mode.is_alone() => state.alone = None,
            Aim::Enter(_, ticket) => {
                debug_assert!(state.is_called(ticket), "it waits, or it is called");
                state.busy = None;
            }
        }
    }
}

impl<T: Shared> Drop for QueuedWaiter<'_, T> {
    fn drop(&mut self) {
        if self.used || !self.queue.is_own() {
            return;
        }
        let mut state = self.queue.state();
        self.leave(&mut state);
        if !is_left_out(Step::PassOn) {
            state.pass_on();
        }
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
