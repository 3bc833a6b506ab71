//! The waits to enter, in their order.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::protocol::plan::Mode;
use crate::types::thread::ThreadToken;

use super::sleeper::Sleeper;

/// A wait to enter.
pub(super) struct Waiter {
    pub(super) mode: Mode,
    pub(super) thread: ThreadToken,
    pub(super) sleeper: Arc<Sleeper>,
    /// Whether it comes by at the lane when it is awake.
    pub(super) competes: bool,
    pub(super) awake: bool,
}

/// The place of a wait in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(i64);

/// The waits, in their order. Each can leave from the middle, however many there are.
#[derive(Default)]
pub(super) struct Line {
    waiters: BTreeMap<Ticket, Waiter>,
    first: i64,
    last: i64,
}

impl Waiter {
    /// A wait that sleeps until it has the turn.
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

impl Line {
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

    /// Adds a wait behind all others.
    pub(super) fn push_back(&mut self, waiter: Waiter) -> Ticket {
        self.last += 1;
        self.put(Ticket(self.last), waiter)
    }

    /// Adds a wait before all others.
    pub(super) fn push_front(&mut self, waiter: Waiter) -> Ticket {
        let ticket = Ticket(self.first);
        self.first -= 1;
        self.put(ticket, waiter)
    }

    /// Puts a wait that left by [`pop_first`](Self::pop_first) back in its place.
    pub(super) fn put(&mut self, ticket: Ticket, waiter: Waiter) -> Ticket {
        self.waiters.insert(ticket, waiter);
        ticket
    }

    pub(super) fn pop_first(&mut self) -> Option<(Ticket, Waiter)> {
        self.waiters.pop_first()
    }

    pub(super) fn contains(&self, ticket: Ticket) -> bool {
        self.waiters.contains_key(&ticket)
    }

    pub(super) fn get_mut(&mut self, ticket: Ticket) -> Option<&mut Waiter> {
        self.waiters.get_mut(&ticket)
    }

    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Waiter> {
        self.waiters.remove(&ticket)
    }

    #[cfg(all(test, not(lockfast_model)))]
    pub(super) fn tickets(&self) -> impl Iterator<Item = Ticket> {
        self.waiters.keys().copied()
    }
}
