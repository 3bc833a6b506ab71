//! The fast slot: how a lock that no other thread of the process wants is taken and left without the mutex.
//!
//! What the last exclusive holder left lies in the slot while nobody is inside, has the turn or waits. A thread
//! that takes it is inside alone and has the turn; it leaves by putting it back. One atomic operation each.
//!
//! | the slot | [`OPEN`] | what the state under the mutex says | who changes the slot next |
//! |---|---|---|---|
//! | full | set | nobody is there, which is true | a thread that takes the lock; or whoever locks the mutex, and shuts it |
//! | empty | set | nobody is there, but one thread is inside alone | that thread, when it leaves; or whoever locks the mutex, and shuts it |
//! | empty | clear | all there is | the last one out, which opens it under the mutex if nobody waits |
//!
//! # Invariants
//!
//! 1. The flag is changed under the mutex only, and it is clear while a thread that has locked the mutex looks at
//!    the state: then the state is complete.
//! 2. A thread that leaves finds the flag clear if the mutex was locked since it got in. Then it leaves as one
//!    that is in the state, so that a waiter gets the turn.

use crate::sys::slot::Slot;

/// The slot of a lock that nobody uses.
#[derive(Debug)]
pub(crate) struct FastSlot<P>(Slot<P>);

/// What was in an open slot that is shut.
pub(super) enum Shut<P> {
    /// The lock was free.
    Free(Box<P>),
    /// A thread is inside alone.
    Held,
}

/// The state under the mutex does not say who is inside.
const OPEN: usize = 0b01;

impl<P> FastSlot<P> {
    /// Returns a slot that is shut.
    pub(super) fn new() -> Self {
        Self(Slot::new())
    }

    #[inline]
    pub(super) fn take(&self) -> Option<Box<P>> {
        // Only with the flag. Whoever shuts the slot clears it first, and then takes what is there.
        self.0.take(OPEN, OPEN)
    }

    /// Leaves the lock, which leads to its slot or to none. If the slot is shut, returns the lock.
    #[inline]
    pub(crate) fn leave_by<'l>(
        held: Box<P>,
        slot: impl Fn(&'l P) -> Option<&'l Self>,
    ) -> Result<(), Box<P>>
    where
        P: 'l,
    {
        // Only with the flag: without it the state counts this thread as inside (invariant 2).
        Slot::leave_by(held, |held| slot(held).map(|slot| &slot.0), OPEN)
    }

    /// Opens a shut slot with what was left, under the mutex: nobody is inside, has the turn or waits.
    pub(super) fn open(&self, spare: Box<P>) {
        let left = self.0.leave(spare, 0);
        assert!(left.is_ok(), "a shut slot is empty");
        self.0.set(OPEN, OPEN);
    }

    /// Shuts the slot, under the mutex; returns what was in it, if it was open.
    #[inline]
    pub(super) fn shut(&self) -> Option<Shut<P>> {
        // Nobody sets the flag without the mutex, so an answer of "shut" holds until the mutex is free.
        self.0.has(OPEN).then(|| self.shut_open())
    }

    #[cold]
    fn shut_open(&self) -> Shut<P> {
        if !self.0.set(OPEN, 0) {
            return Shut::Held;
        }
        let spare = self.withdraw();
        Shut::Free(spare.expect("nobody takes it from a shut slot"))
    }

    /// Takes what is in the slot, in a forked child or under the mutex.
    pub(super) fn withdraw(&self) -> Option<Box<P>> {
        self.0.take(0, 0)
    }
}
