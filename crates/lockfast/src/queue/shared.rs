//! The queue itself: its state under the mutex, and the hand-off slot beside it.

use std::fmt;
use std::sync::{Arc, PoisonError};

use crate::protocol::plan::Mode;
use crate::sys::Access;
use crate::sys::fork;
use crate::sys::primitive::{AtomicUsize, Mutex, MutexGuard, Ordering};
use crate::types::thread::ThreadToken;

use super::fast::{FastSlot, Shut};
use super::handoff::Handoff;
use super::state::QueueState;
use super::unlock::Unlock;

/// A queue for a `T` that the holders share.
pub(crate) struct Queue<T: Unlock> {
    /// Never held while somebody is woken: a thread would run into it, and a task's waker may do anything.
    // Locked before the mutexes of the watcher's table and of the registry of descriptors, never after them: to
    // exchange the value may close a file.
    pub(super) state: Mutex<QueueState<T>>,
    /// The number of waiters, for a look without the mutex. Written under it.
    pub(super) waiting: AtomicUsize,
    /// Used without the mutex; opened, shut and cleared of its flags under it.
    pub(super) handoff: Handoff<T::Held>,
    /// Used without the mutex; opened and shut under it.
    pub(super) fast: FastSlot<T::Held>,
    /// The process whose threads queue here.
    generation: u64,
}

impl<T: Unlock> Queue<T> {
    pub(crate) fn new(value: Option<T>) -> Self {
        Self {
            state: Mutex::new(QueueState::new(value)),
            waiting: AtomicUsize::new(0),
            handoff: Handoff::new(),
            fast: FastSlot::new(),
            generation: fork::generation(),
        }
    }

    /// Whether this is the process whose threads queue here. In a forked child the mutex of its copy may be
    /// held for ever by a thread of the parent, and the child has neither a place nor a turn in it.
    pub(super) fn is_own(&self) -> bool {
        self.generation == fork::generation()
    }

    /// The state, to look at it, with the fast slot shut. A change by which a waiter may get the turn, or after
    /// which nobody may come by at the hand-off slot, goes through `update`.
    #[inline]
    pub(super) fn state(&self) -> MutexGuard<'_, QueueState<T>> {
        // Nothing panics while the state is inconsistent.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Before anybody looks: while the slot is open, the state says that nobody is there, which may
        // be wrong.
        match self.fast.shut() {
            None => {}
            // The slot is shut, so nobody can take it there any more: the next holder finds it in the
            // state.
            Some(Shut::Free(spare)) => state.spare = Some(spare),
            // Which thread it is, the hand-off slot knows.
            Some(Shut::Held) => state.exclusive = Some(ThreadToken::NONE),
        }
        state
    }

    #[inline]
    pub(crate) fn handoff(&self) -> &Handoff<T::Held> {
        &self.handoff
    }

    #[inline]
    pub(crate) fn fast(&self) -> &FastSlot<T::Held> {
        &self.fast
    }

    /// Whether anybody waits. Out of date at once.
    #[inline]
    pub(crate) fn has_waiting(&self) -> bool {
        // Relaxed: a hint. Who misses a waiter releases to the kernel, and then the waiter gets the turn
        // under the mutex.
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Whether this thread is inside, in any mode.
    pub(crate) fn has_inside(&self, thread: ThreadToken) -> bool {
        // A thread that came by one of the slots is known there only: the state has it as nobody's.
        self.handoff.is_held_by(thread) || self.state().has_inside(thread)
    }

    /// Whether this thread is inside as a reader, beside any other mode.
    pub(crate) fn has_reader(&self, thread: ThreadToken) -> bool {
        let state = self.state();
        self.reads_by_handoff(&state, thread) || state.has_reader(thread)
    }

    /// Whether this thread reads by the hand-off slot.
    pub(super) fn reads_by_handoff(&self, state: &QueueState<T>, thread: ThreadToken) -> bool {
        // In the slot a lock is held by the thread that took it; the state has it as nobody's.
        state.passing.access() == Some(Access::Shared) && self.handoff.is_held_by(thread)
    }

    /// The shared value, if anybody is inside.
    pub(crate) fn value_inside(&self) -> Option<Arc<T>> {
        let state = self.state();
        let value = (!state.is_empty()).then(|| state.value().cloned());
        value.flatten()
    }

    /// The shared value, and whether nobody is inside, has the turn or waits for it.
    pub(crate) fn glance(&self) -> (Option<Arc<T>>, bool) {
        let state = self.state();
        (state.value().cloned(), state.is_unused())
    }

    /// Shares another value from now on; holders keep their own.
    pub(crate) fn put(&self, value: Option<&Arc<T>>) {
        self.state().set_value(value.map(Arc::clone));
    }

    /// Keeps nothing for a next holder any more.
    pub(crate) fn end(&self) {
        // What is kept has a reference to the handle, which owns this queue: a circle that nothing else
        // breaks.
        let spare = self.state().end();
        drop(spare);
    }

    /// Drops all that is kept for a next holder, in a forked child, to which it means nothing.
    pub(crate) fn empty_inherited(&self) {
        drop(self.handoff.withdraw());
        drop(self.fast.withdraw());
        // A thread that does not exist in this process may have locked the mutex.
        let spare = self.state.try_lock().ok().and_then(|mut state| state.end());
        drop(spare);
    }

    /// Takes the shared value away, if nobody is inside, has the turn or waits for it.
    pub(crate) fn take_unused(&self) -> Option<Arc<T>> {
        let mut state = self.state();
        let value = state.is_unused().then(|| state.value().cloned()).flatten();
        // Under the same mutex: who has the turn could be about to lock it.
        if value.is_some() {
            state.set_value(None);
        }
        value
    }

    /// From now on no thread counts as the holder.
    pub(crate) fn disown(&self, mode: Mode, thread: ThreadToken) {
        let mut state = self.state();
        // Not by `update`: as many are inside as before, so nobody can be admitted.
        state.remove(mode, thread);
        state.add(mode, ThreadToken::NONE);
    }
}

impl<T: Unlock> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Queue")
            .field("readers", &state.readers.len())
            .field("upgradable", &state.upgradable.is_some())
            .field("exclusive", &state.exclusive.is_some())
            .field("waiting", &state.waiting.len())
            .field("passing", &state.passing)
            .finish_non_exhaustive()
    }
}
