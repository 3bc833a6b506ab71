//! The hand-off: how a lock that the kernel has granted passes among threads without a system call.
//!
//! A holder that releases may leave the lock in a slot instead of giving it back to the kernel, and the next
//! one takes it from there: one atomic operation each. While the slot is open the queue counts it as
//! somebody inside, so nobody makes kernel calls, and whoever finds it empty waits in the queue as ever.
//!
//! A running thread may take the lock ahead of waiters: to wait until a sleeping thread has woken up would
//! cost more than the hand-off saves. So that the lock is never left where nobody comes by:
//!
//! * The flag `KEEP` says that it may be left in the slot without a look at the queue: because a waiter is
//!   awake and will come by, or because the lock lingers and nobody waits.
//! * A holder that leaves without that flag looks at the queue, under its mutex, as does everybody who
//!   clears the flag and finds that the slot is idle at that moment. Whoever looks either wakes the
//!   first waiter (and then one is awake), or shuts the slot: gives the lock back to the kernel and the turn
//!   to the first waiter.
//! * A waiter is counted as awake or asleep under the mutex. When the last one that is awake falls asleep or
//!   gives up, it clears the flag.
//!
//! So that it is fair to other processes: when a [`SLICE`] is over since the kernel granted the lock, or
//! since somebody began to wait, the slot is shut. Then the turn goes to the first waiter, which asks the
//! kernel, and another process has its chance. The clock is read under the mutex only, when somebody waits.
//!
//! | word of the slot | `KEEP` | who changes it next |
//! |---|---|---|
//! | a lock | set | whoever takes it |
//! | a lock | clear | only while the mutex is held, by the thread that shuts it or wakes a waiter; or whoever takes it |
//! | empty | set | the holder, which leaves the lock there |
//! | empty | clear | the holder, which looks at the queue under the mutex |

use std::time::{Duration, Instant};

use crate::protocol::plan::Mode;
use crate::sys::Access;
use crate::sys::primitive;
use crate::sys::slot::Slot;
use crate::types::thread::{AtomicThreadToken, ThreadToken};

use super::state::{Passing, QueueState};
use super::unlock::Unlock;

/// The slot, and the thread that took the lock from it.
#[derive(Debug)]
pub(crate) struct Handoff<P> {
    slot: Slot<P>,
    /// The thread that took it from this slot or from the fast one. Information for deadlock detection only;
    /// never read to decide who holds the lock.
    holder: AtomicThreadToken,
}

/// The lock may be left in the slot without a look at the queue.
const KEEP: usize = 0b01;

/// The lock in the slot is shared.
const SHARED: usize = 0b10;

/// The time for which a lock passes among the threads of a process while other processes may wait for it.
const SLICE: Duration = Duration::from_millis(1);

impl<P> Handoff<P> {
    pub(super) fn new() -> Self {
        Self {
            slot: Slot::new(),
            holder: AtomicThreadToken::default(),
        }
    }

    /// Takes the lock from the slot, if it was left there in this mode.
    #[inline]
    pub(super) fn take(&self, mode: Mode, thread: ThreadToken) -> Option<Box<P>> {
        if mode == Mode::Upgradable {
            // It has one byte more locked than a reader, which the slot does not show.
            return None;
        }
        let held = self.slot.take(SHARED, shared(mode.access()))?;
        // After the take. In between no thread counts as the holder, which can hide a deadlock but not
        // invent one.
        self.holder.store(thread);
        Some(held)
    }

    /// Leaves the lock, which leads to its slot or to none, to the next holder, if the slot need not be shut
    /// and nobody is to be woken.
    #[inline]
    pub(crate) fn leave_by<'l>(
        held: Box<P>,
        handoff: impl Fn(&'l P) -> Option<&'l Self>,
        mode: Mode,
    ) -> Result<(), Box<P>>
    where
        P: 'l,
    {
        let slot = |held| {
            let handoff = handoff(held)?;
            // Before the lock is in the slot: afterwards the next holder may have written its token.
            handoff.holder.store(ThreadToken::NONE);
            Some(&handoff.slot)
        };
        Slot::leave_by(held, slot, KEEP | shared(mode.access()))
    }

    /// Whether this thread has taken the lock from the slot.
    pub(super) fn is_held_by(&self, thread: ThreadToken) -> bool {
        thread != ThreadToken::NONE && self.holder.load() == thread
    }

    /// From now on this thread counts as the holder.
    #[inline]
    pub(super) fn belongs_to(&self, thread: ThreadToken) {
        self.holder.store(thread);
    }

    /// From now on no thread counts as the holder.
    #[inline]
    pub(crate) fn disown(&self) {
        self.holder.store(ThreadToken::NONE);
    }

    /// Whether a lock is in the slot. Out of date at once.
    pub(super) fn is_idle(&self) -> bool {
        self.slot.is_taken()
    }

    /// Leaves the lock in the slot, under the mutex. Nobody else has it.
    pub(super) fn open(&self, held: Box<P>, access: Access) {
        self.holder.store(ThreadToken::NONE);
        // Without `KEEP`: the end of the same update settles whether the lock may stay. The flags come
        // before the lock, as whoever takes it compares `SHARED`.
        self.slot.set(KEEP | SHARED, shared(access));
        let left = self.slot.leave(held, shared(access));
        assert!(left.is_ok(), "nobody else has it");
    }

    /// From now on nothing is left in the slot. The caller has the lock.
    fn shut(&self) {
        self.slot.set(KEEP | SHARED, 0);
        self.holder.store(ThreadToken::NONE);
    }

    /// Sets whether the lock may be left without a look at the queue; returns whether it was idle then.
    fn keep(&self, may_be_left: bool) -> bool {
        self.slot.set(KEEP, if may_be_left { KEEP } else { 0 })
    }

    /// Takes the lock from the slot in any mode, to shut it.
    pub(super) fn withdraw(&self) -> Option<Box<P>> {
        self.slot.take(0, 0)
    }
}

fn shared(access: Access) -> usize {
    match access {
        Access::Shared => SHARED,
        Access::Exclusive => 0,
    }
}

impl<T: Unlock> QueueState<T> {
    /// Whether the slot may be left open, for waiters or because the lock lingers.
    pub(super) fn may_stay_open(&mut self) -> bool {
        // The upgradable reader waits until the others have left, so nothing may be left for a
        // newcomer.
        if self.upgrader.is_some() {
            return false;
        }
        match self.waiting.first() {
            None => matches!(self.passing, Passing::Linger(_)),
            Some(first) => {
                let is_shared = self.passing.access() == Some(Access::Shared);
                // Whoever competes wants it exclusively, so a shared one is of no use to it.
                first.competes && !is_shared && !self.is_slice_over()
            }
        }
    }

    /// Shuts the slot, for a caller that has the lock.
    pub(super) fn shut(&mut self, handoff: &Handoff<T::Held>) {
        self.passing = Passing::No;
        handoff.shut();
    }

    /// Sees to it that an open slot is never idle where nobody comes by. Returns the lock if it is to be
    /// unlocked.
    pub(super) fn settle(&mut self, handoff: &Handoff<T::Held>) -> Option<(Access, Box<T::Held>)> {
        let access = self.passing.access()?;
        let may_stay_open = self.may_stay_open();
        if may_stay_open && (self.awake > 0 || self.waiting.is_empty()) {
            // A waiter that is awake comes by, or nobody waits and the lock lingers.
            handoff.keep(true);
            return None;
        }
        // One atomic step: the holder leaves the lock before it, and then the lock is idle here, or
        // after it, and then the holder finds no `KEEP`.
        if !handoff.keep(false) {
            // Whoever has the lock looks at the queue when it leaves.
            return None;
        }
        if may_stay_open {
            self.wake_first();
            handoff.keep(true);
            return None;
        }
        // If it is gone already, somebody came by, and looks at the queue when it leaves.
        let held = handoff.withdraw()?;
        self.shut(handoff);
        Some((access, held))
    }

    fn wake_first(&mut self) {
        let first = self.waiting.first_mut().expect("looked at just now");
        first.awake = true;
        self.called = Some(std::sync::Arc::clone(&first.sleeper));
        self.awake += 1;
    }

    /// Somebody waits from now on, if nobody did since the kernel granted the lock.
    pub(super) fn begin_slice(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// The kernel has granted the lock, and somebody waits already.
    pub(super) fn restart_slice(&mut self) {
        self.since = Some(Instant::now());
    }

    fn is_slice_over(&mut self) -> bool {
        // The clock starts with the first waiter: a lock that nobody waits for is never out of its slice.
        let since = *self.since.get_or_insert_with(Instant::now);
        primitive::elapsed(since) > SLICE
    }
}
