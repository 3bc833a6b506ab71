//! Asking for the turn.

use std::sync::Arc;

use crate::protocol::plan::Mode;
use crate::types::thread::ThreadToken;

use super::shared::Queue;
use super::sleeper::Sleeper;
use super::state::{Phase, QueueState};
use super::turn::{Purpose, Turn};
use super::unlock::Unlock;
use super::wait_list::Waiter;
use super::waiter::{Aim, QueuedWaiter};

/// The answer to an attempt to enter.
pub(crate) enum TryEnter<'q, T: Unlock> {
    /// The turn to make the kernel calls.
    Turn(Turn<'q, T>),
    /// Inside already: the thread was, and it reads only.
    Inside(Arc<T>),
    /// Others are there.
    Full,
}

/// The answer to a request to wait.
pub(crate) enum Enqueued<'q, T: Unlock> {
    /// The lock was free.
    Turn(Turn<'q, T>),
    /// Others are inside or wait.
    QueuedWaiter(QueuedWaiter<'q, T>),
}

impl<T: Unlock> Queue<T> {
    /// Takes the lock that the holder before left in the hand-off slot, if it was held in this mode.
    #[inline]
    pub(crate) fn take_handoff(&self, mode: Mode, thread: ThreadToken) -> Option<Box<T::Held>> {
        self.handoff.take(mode, thread)
    }

    /// Returns the turn, if it can be had at once.
    pub(crate) fn try_enter(&self, mode: Mode, thread: ThreadToken) -> TryEnter<'_, T> {
        let mut state = self.state();
        if mode == Mode::Read && (state.reads(thread) || self.reads_by_handoff(&state, thread)) {
            // To wait for a writer that waits for this thread would be for ever.
            if let Some(value) = state.value().cloned() {
                state.readers.push(thread);
                return TryEnter::Inside(value);
            }
        }
        // Nobody passes a waiter, even where the mode would be admitted: readers that come all the time
        // would keep a writer out for ever.
        if state.is_open() && state.waiting.is_empty() && state.admits(mode) {
            TryEnter::Turn(self.grant(&mut state, mode, thread))
        } else {
            TryEnter::Full
        }
    }

    /// Returns the turn and what the last holder left, if nobody is there: all that a lock needs which is
    /// free.
    #[inline]
    pub(crate) fn try_enter_free(
        &self,
        mode: Mode,
        thread: ThreadToken,
    ) -> Option<(Turn<'_, T>, Box<T::Held>)> {
        let mut state = self.state();
        if !state.is_unused() {
            return None;
        }
        // The spare leads to the value, so the value need not be cloned.
        let spare = state.spare.take()?;
        state.begin(mode, thread);
        let purpose = Purpose::Enter { mode, joins: false };
        Some((Turn::without_value(self, thread, purpose), spare))
    }

    /// Takes what the last holder left, if no other thread is there: then this one is inside alone. It may leave
    /// by the fast slot.
    #[inline]
    pub(crate) fn take_fast(&self, mode: Mode, thread: ThreadToken) -> Option<Box<T::Held>> {
        if !mode.is_alone() {
            return None;
        }
        let held = self.fast.take()?;
        // After the take, as in `Handoff::take`. Deadlock detection finds the thread here: the state
        // has none.
        self.handoff.belongs_to(thread);
        Some(held)
    }

    /// Returns the turn of a thread that got in by the fast slot and has nothing locked, or leaves.
    pub(crate) fn turn_of_fast(
        &self,
        mode: Mode,
        held: Box<T::Held>,
        thread: ThreadToken,
    ) -> Turn<'_, T> {
        // First into the state. From here on the turn passes on as any other.
        self.leave_slot(thread);
        let mut turn = Turn::without_value(self, thread, Purpose::Enter { mode, joins: false });
        turn.leave_spare(held);
        turn
    }

    /// Returns the turn, or a place behind all waiters. A waiter that competes also takes the lock from the
    /// hand-off slot.
    pub(crate) fn enqueue(
        &self,
        mode: Mode,
        thread: ThreadToken,
        competes: bool,
    ) -> Enqueued<'_, T> {
        let (enqueued, after) = self.update(|state| {
            if state.is_open() && state.waiting.is_empty() && state.admits(mode) {
                return Enqueued::Turn(self.grant(state, mode, thread));
            }
            let sleeper = Arc::new(Sleeper::default());
            let mut waiter = Waiter::new(mode, thread, &sleeper);
            if competes {
                // Counted before the mutex is free: the next release leaves the lock in the slot for it.
                (waiter.competes, waiter.awake) = (true, true);
                state.awake += 1;
                state.begin_slice();
            }
            let aim = Aim::Enter(mode, state.waiting.push_back(waiter));
            Enqueued::QueuedWaiter(QueuedWaiter::new(
                self, state, sleeper, thread, aim, competes,
            ))
        });
        after.run();
        enqueued
    }

    /// Returns the turn to upgrade, or a place before all waiters. From now on this thread counts as the
    /// upgradable reader, or none: the guard may have come from another thread.
    pub(crate) fn enqueue_upgrade(&self, thread: ThreadToken) -> Enqueued<'_, T> {
        let (enqueued, after) = self.update(|state| {
            state.upgradable = Some(thread);
            // The readers must leave, and those that wait must not get in before.
            if state.is_open() && state.readers.is_empty() {
                state.phase = Phase::Upgrading;
                return Enqueued::Turn(Turn::new(self, state, thread, Purpose::Upgrade));
            }
            let sleeper = Arc::new(Sleeper::default());
            state.upgrader = Some(Arc::clone(&sleeper));
            let aim = Aim::Upgrade;
            Enqueued::QueuedWaiter(QueuedWaiter::new(self, state, sleeper, thread, aim, false))
        });
        after.run();
        enqueued
    }

    /// Whether the hand-off slot is idle, so that another attempt may succeed. A slot from which this mode
    /// can't be taken is shut.
    pub(crate) fn has_idle_handoff(&self, mode: Mode) -> bool {
        if !self.handoff.is_idle() {
            return false;
        }
        let fits = self.state().passing.access() == Some(mode.access());
        (fits && mode != Mode::Upgradable) || self.shut_idle_handoff()
    }

    fn grant(&self, state: &mut QueueState<T>, mode: Mode, thread: ThreadToken) -> Turn<'_, T> {
        // Those inside have the lock of the kernel already; this one adds only what they lack.
        let joins = !state.is_empty();
        state.begin(mode, thread);
        let mut turn = Turn::new(self, state, thread, Purpose::Enter { mode, joins });
        if let Some(spare) = state.spare.take() {
            turn.leave_spare(spare);
        }
        turn
    }
}
