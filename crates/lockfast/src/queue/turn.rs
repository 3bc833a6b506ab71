//! The turn of one thread.

use std::sync::Arc;

use crate::protocol::plan::Mode;
use crate::sys::Access;
use crate::types::thread::ThreadToken;

use super::left_out::{ModelStep, is_left_out};
use super::shared::Queue;
use super::state::{Passing, Phase, QueueState};
use super::unlock::Unlock;

/// The right to make the kernel calls; passes it on when dropped.
pub(crate) struct Turn<'q, T: Unlock> {
    pub(super) queue: &'q Queue<T>,
    // As it was under the mutex when the turn began. None also for a caller that has the file already.
    value: Option<Arc<T>>,
    /// For the next holder, when this one leaves.
    spare: Option<Box<T::Held>>,
    pub(super) thread: ThreadToken,
    pub(super) purpose: Purpose,
}

/// The purpose of a turn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To get in; beside others who were inside when it began, if `joins`.
    Enter { mode: Mode, joins: bool },
    /// To become the writer, from upgradable.
    Upgrade,
    /// To unlock, as the last one out.
    Close(Access),
}

impl<'q, T: Unlock> Turn<'q, T> {
    pub(super) fn new(
        queue: &'q Queue<T>,
        state: &QueueState<T>,
        thread: ThreadToken,
        purpose: Purpose,
    ) -> Self {
        let mut turn = Self::without_value(queue, thread, purpose);
        turn.value = state.value().cloned();
        turn
    }

    pub(super) fn without_value(
        queue: &'q Queue<T>,
        thread: ThreadToken,
        purpose: Purpose,
    ) -> Self {
        Self {
            queue,
            value: None,
            spare: None,
            thread,
            purpose,
        }
    }

    /// Leaves the holder's part of the value to the next one.
    pub(crate) fn leave_spare(&mut self, held: Box<T::Held>) {
        self.spare = Some(held);
    }

    /// Takes the part of the value that the holder before left.
    pub(crate) fn take_spare(&mut self) -> Option<Box<T::Held>> {
        self.spare.take()
    }

    /// The shared value, unless it was of no use any more.
    pub(crate) fn value(&self) -> Option<&Arc<T>> {
        self.value.as_ref()
    }

    /// Takes the shared value, for a caller that will keep the turn or fail.
    pub(crate) fn take(&mut self) -> Option<Arc<T>> {
        self.value.take()
    }

    /// Shares another value from now on; nobody is inside.
    pub(crate) fn replace(&mut self, value: Option<&Arc<T>>) {
        self.queue.state().set_value(value.cloned());
        // A part that the last holder left leads to the file that is replaced.
        self.value = None;
        self.spare = None;
    }

    /// Whether others are inside, or were when the turn began.
    pub(crate) fn joins(&self) -> bool {
        matches!(self.purpose, Purpose::Enter { joins: true, .. })
    }

    /// The kernel has granted the lock: the thread is inside until it leaves.
    #[inline]
    pub(crate) fn keep(self) {
        match self.purpose {
            Purpose::Enter { mode, .. } if mode.is_alone() => {
                // It is inside since the turn began.
                // A waiter that is overlooked here starts the slice itself.
                if self.queue.has_waiting() {
                    self.queue.state().restart_slice();
                }
            }
            Purpose::Enter { mode, .. } => {
                let ((), after) = self.queue.update(|state| {
                    state.add(mode, self.thread);
                    state.phase = Phase::Idle;
                    state.pass_on();
                });
                after.run();
            }
            Purpose::Upgrade => {
                let mut state = self.queue.state();
                // Nobody is called: the upgradable reader was alone inside, and stays so.
                state.upgradable = None;
                state.exclusive = Some(self.thread);
                state.phase = Phase::Idle;
            }
            Purpose::Close(_) => unreachable!("it has nothing to keep"),
        }
        self.done();
    }

    /// Ends the turn with nothing to pass on.
    #[inline]
    pub(super) fn done(mut self) {
        // The drop must not pass the turn on, so it is forgotten, without what has memory.
        self.value = None;
        self.spare = None;
        std::mem::forget(self);
    }

    /// Leaves the lock in the hand-off slot, as the last one out, if nobody waits and it is allowed.
    ///
    /// # Errors
    ///
    /// When it may not linger: the turn and the lock.
    pub(crate) fn linger(
        self,
        held: Box<T::Held>,
        is_allowed: impl FnOnce() -> bool,
    ) -> Result<(), (Self, Box<T::Held>)> {
        let Purpose::Close(access) = self.purpose else {
            unreachable!("only the last one out leaves")
        };
        let (left, after) = self.queue.update(|state| {
            // Under the mutex: whoever queues or revokes later finds the slot open, and shuts it.
            if !state.waiting.is_empty() || state.upgrader.is_some() || !is_allowed() {
                return Err(held);
            }
            match access {
                // The slot counts as one holder that belongs to no thread.
                Access::Exclusive => state.exclusive = Some(ThreadToken::NONE),
                Access::Shared => {
                    state.add(Mode::Read, ThreadToken::NONE);
                    state.phase = Phase::Idle;
                }
            }
            state.passing = Passing::Linger(access);
            self.queue.handoff.open(held, access);
            Ok(())
        });
        after.run();
        match left {
            Ok(()) => {
                self.done();
                Ok(())
            }
            Err(held) => Err((self, held)),
        }
    }

    /// Leaves after the kernel lock was released, as the last one out. The spare is for the next holder, in the
    /// fast slot if that may be opened.
    #[inline]
    pub(crate) fn unlocked(self, spare: Box<T::Held>, may_be_fast: bool) {
        let Purpose::Close(access) = self.purpose else {
            unreachable!("only the last one out leaves")
        };
        let queue = self.queue;
        // Passed on below: the drop must not do it a second time.
        self.done();
        let ((), after) = queue.update(|state| {
            state.left(access, Some(spare));
            // Readers would shut it again.
            // `left` may have given the turn to a waiter, and then the state is in use.
            if may_be_fast && access == Access::Exclusive && state.is_unused() {
                if let Some(spare) = state.spare.take() {
                    // Last: from here on another thread may be inside without the mutex.
                    queue.fast.open(spare);
                }
            }
        });
        after.run();
    }

    /// Passes the turn on, with nothing that was gained by it.
    pub(super) fn give_up(&mut self, state: &mut QueueState<T>) {
        let spare = self.spare.take();
        match self.purpose {
            Purpose::Close(access) => return state.left(access, spare),
            // It was inside since the turn began.
            Purpose::Enter { mode, .. } if mode.is_alone() => state.exclusive = None,
            Purpose::Enter { joins, .. } => {
                // The last of those inside left without unlocking, as this one had the turn.
                // A kernel call under the mutex, so that nobody enters before the lock is gone
                // (invariant 1).
                if joins && state.is_empty() && !is_left_out(ModelStep::LetGo) {
                    if let Some(value) = &self.value {
                        if !value.unlock() {
                            state.set_value(None);
                        }
                    }
                }
                state.phase = Phase::Idle;
            }
            // The guard stays upgradable, and so stays inside.
            Purpose::Upgrade => state.phase = Phase::Idle,
        }
        state.keep_spare(spare);
        state.pass_on();
    }
}

impl<T: Unlock> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        let queue = self.queue;
        // In a forked child the turn is the parent's, and the mutex may be locked for ever.
        if queue.is_own() {
            let ((), after) = queue.update(|state| self.give_up(state));
            after.run();
        }
    }
}
