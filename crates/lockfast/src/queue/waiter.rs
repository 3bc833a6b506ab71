//! Waiting for the turn.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Instant;

use crate::protocol::plan::Mode;
use crate::sys::Parked;
use crate::sys::primitive::spin_loop;
use crate::types::thread::ThreadToken;

use super::left_out::{ModelStep, is_left_out};
use super::shared::Queue;
use super::sleeper::Sleeper;
use super::state::{Phase, QueueState};
use super::turn::{Purpose, Turn};
use super::unlock::Unlock;
use super::wait_list::{Position, Waiter};

/// A place in the queue, given up when dropped.
pub(crate) struct QueuedWaiter<'q, T: Unlock> {
    queue: &'q Queue<T>,
    sleeper: Arc<Sleeper>,
    thread: ThreadToken,
    aim: Aim,
    /// Whether this thread was inside when it began to wait.
    was_inside: bool,
    // It has left by the turn or by the slot, so the drop has nothing to give up.
    used: bool,
    /// Whether it counts as awake, unless the state knows better; none if it does not compete.
    awake: Option<bool>,
}

/// The purpose of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// To get in, in this mode, with that position among the waiters.
    Enter(Mode, Position),
    /// To become the writer, from upgradable; before all waiters.
    Upgrade,
}

/// The outcome of a look at the hand-off slot.
pub(crate) enum SpinOutcome<P> {
    /// It has the turn.
    Granted,
    /// It took the lock from the slot, and has left the queue.
    Handoff(Box<P>),
    /// Neither; it counts as asleep from now on.
    Nothing,
}

impl<'q, T: Unlock> QueuedWaiter<'q, T> {
    pub(super) fn new(
        queue: &'q Queue<T>,
        state: &QueueState<T>,
        sleeper: Arc<Sleeper>,
        thread: ThreadToken,
        aim: Aim,
        competes: bool,
    ) -> Self {
        let is_inside = || state.has_inside(thread) || queue.handoff.is_held_by(thread);
        Self {
            queue,
            sleeper,
            thread,
            aim,
            was_inside: aim != Aim::Upgrade && is_inside(),
            used: false,
            awake: competes.then_some(true),
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

    /// Whether it looks at the hand-off slot.
    pub(crate) fn competes(&self) -> bool {
        self.awake.is_some()
    }

    /// Whether this thread was inside when it began to wait, and so waits for itself.
    pub(crate) fn was_inside(&self) -> bool {
        self.was_inside
    }

    /// Looks at the hand-off slot, awake, for a while: to be put to sleep and woken takes longer than many
    /// critical sections last. Only for waiters that compete.
    pub(crate) fn spin_for_handoff(&mut self) -> SpinOutcome<T::Held> {
        let Aim::Enter(mode, at) = self.aim else {
            unreachable!("those who upgrade do not compete")
        };
        // It was woken to come by at the slot, or because it was granted the turn: the state knows.
        if self.awake == Some(false) && !self.update(|state| state.wakes(at)) {
            return SpinOutcome::Granted;
        }
        self.awake = Some(true);
        for _ in 0..ROUNDS {
            if let Some(held) = self.queue.handoff.take(mode, self.thread) {
                // Nobody can grant it the turn meanwhile: it has the lock.
                self.update(|state| state.leaves(at));
                self.used = true;
                return SpinOutcome::Handoff(held);
            }
            if self.sleeper.is_woken() {
                break;
            }
            for _ in 0..PAUSES {
                spin_loop();
            }
        }
        let waits = self.update(|state| {
            let waits = state.waits(at);
            if waits {
                // Before the mutex is free: should the slot be idle, this one may be woken again at once.
                state.falls_asleep(at);
                self.sleeper.reset();
            }
            waits
        });
        if !waits {
            return SpinOutcome::Granted;
        }
        self.awake = Some(false);
        SpinOutcome::Nothing
    }

    /// Returns the turn, after it was woken.
    ///
    /// # Errors
    ///
    /// When it was called off meanwhile: the place, in which it waits on as the first.
    pub(crate) fn enter(mut self) -> Result<Turn<'q, T>, Self> {
        let mut state = self.queue.state();
        let purpose = match self.aim {
            Aim::Upgrade => Purpose::Upgrade,
            Aim::Enter(mode, at) => {
                // An exclusive waiter is inside since it was called, and is never called off.
                if !mode.is_alone() && !state.comes(at) {
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
    pub(super) fn position(&self) -> Option<Position> {
        match self.aim {
            Aim::Enter(_, at) => Some(at),
            Aim::Upgrade => None,
        }
    }

    fn update<R>(&self, change: impl FnOnce(&mut QueueState<T>) -> R) -> R {
        let (result, after) = self.queue.update(change);
        after.run();
        result
    }

    /// Gives up the wait, or the turn that was not used.
    fn leave(&self, state: &mut QueueState<T>) {
        match self.aim {
            Aim::Upgrade => {
                // If it does not wait any more, it was granted the turn, which nobody uses.
                if state.upgrader.take().is_none() {
                    state.phase = Phase::Idle;
                }
            }
            // It still waited.
            Aim::Enter(_, at) if state.leaves(at) => {}
            // It was granted the turn, which nobody uses.
            Aim::Enter(mode, _) if mode.is_alone() => state.exclusive = None,
            Aim::Enter(_, at) => {
                debug_assert!(state.is_called(at), "it waits, or it is called");
                state.phase = Phase::Idle;
            }
        }
    }
}

impl<'q, T: Unlock> Turn<'q, T> {
    /// The kernel held it back for others: nobody joins until all who are inside have left, and then this
    /// one is the first.
    pub(crate) fn step_back(mut self) -> QueuedWaiter<'q, T> {
        let Purpose::Enter { mode, .. } = self.purpose else {
            unreachable!("only those who enter join")
        };
        let (queue, thread) = (self.queue, self.thread);
        let sleeper = Arc::new(Sleeper::default());
        let (waiter, after) = queue.update(|state| {
            if !is_left_out(ModelStep::Close) {
                state.closed = true;
            }
            // In front: it had the turn before all who wait.
            let waiter = Waiter::new(mode, thread, &sleeper);
            let aim = Aim::Enter(mode, state.waiting.push_front(waiter));
            let waiter = QueuedWaiter::new(queue, state, sleeper, thread, aim, false);
            // To itself, if all have left meanwhile.
            self.give_up(state);
            waiter
        });
        self.done();
        after.run();
        waiter
    }
}

impl<T: Unlock> Drop for QueuedWaiter<'_, T> {
    fn drop(&mut self) {
        // In a forked child the place is the parent's, and the mutex may be locked for ever.
        if self.used || !self.queue.is_own() {
            return;
        }
        self.update(|state| {
            self.leave(state);
            if !is_left_out(ModelStep::PassOn) {
                state.pass_on();
            }
        });
    }
}

/// The number of looks at the slot before the thread sleeps.
#[cfg(not(lockfast_model))]
const ROUNDS: u32 = 25;
#[cfg(lockfast_model)]
const ROUNDS: u32 = 1;

/// The number of pauses between two looks: each look takes the cache line away from the thread that uses the
/// lock, and more looks cost a tenth of the throughput.
#[cfg(not(lockfast_model))]
const PAUSES: u32 = 4;
#[cfg(lockfast_model)]
const PAUSES: u32 = 1;
