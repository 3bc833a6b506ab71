//! The waiters of the queue, in their order.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::protocol::plan::Mode;
use crate::types::thread::ThreadToken;

use super::sleeper::Sleeper;

/// A waiter that wants to enter.
pub(super) struct Waiter {
    pub(super) mode: Mode,
    pub(super) thread: ThreadToken,
    pub(super) sleeper: Arc<Sleeper>,
    /// Whether it looks at the hand-off slot while it is awake.
    pub(super) competes: bool,
    // Counted in `QueueState::awake`; both change in the same section of the mutex.
    pub(super) awake: bool,
}

/// The position of a waiter, which stays the same while it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position(i64);

/// The waiters, in their order. Each can leave from the middle at the same cost, however many there are.
#[derive(Default)]
pub(super) struct WaitList {
    waiters: BTreeMap<Position, Waiter>,
    // The position before all others, free; and the last one that was given to a newcomer.
    first: i64,
    last: i64,
}

impl Waiter {
    /// Returns a waiter that sleeps until it has the turn.
    pub(super) fn new(mode: Mode, thread: ThreadToken, sleeper: &Arc<Sleeper>) -> Self {
        Self {
            mode,
            thread,
            sleeper: Arc::clone(sleeper),
            competes: false,
            awake: false,
        }
    }
}

impl WaitList {
    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiters.len()
    }

    pub(super) fn first(&self) -> Option<&Waiter> {
        self.waiters.values().next()
    }

    pub(super) fn first_mut(&mut self) -> Option<&mut Waiter> {
        self.waiters.values_mut().next()
    }

    /// Adds a waiter behind all others.
    pub(super) fn push_back(&mut self, waiter: Waiter) -> Position {
        self.last += 1;
        self.put(Position(self.last), waiter)
    }

    /// Adds a waiter before all others.
    pub(super) fn push_front(&mut self, waiter: Waiter) -> Position {
        // Those in front have 0 and below, newcomers 1 and above: a position is never given twice.
        let at = Position(self.first);
        self.first -= 1;
        self.put(at, waiter)
    }

    /// Puts a waiter that left by [`pop_first`](Self::pop_first) back in its place.
    pub(super) fn put(&mut self, at: Position, waiter: Waiter) -> Position {
        self.waiters.insert(at, waiter);
        at
    }

    pub(super) fn pop_first(&mut self) -> Option<(Position, Waiter)> {
        self.waiters.pop_first()
    }

    pub(super) fn contains(&self, at: Position) -> bool {
        self.waiters.contains_key(&at)
    }

    pub(super) fn get_mut(&mut self, at: Position) -> Option<&mut Waiter> {
        self.waiters.get_mut(&at)
    }

    pub(super) fn remove(&mut self, at: Position) -> Option<Waiter> {
        self.waiters.remove(&at)
    }

    #[cfg(all(test, not(lockfast_model)))]
    pub(super) fn positions(&self) -> impl Iterator<Item = Position> {
        self.waiters.keys().copied()
    }
}
