//! The threads that are inside, those that wait, and the one that has the turn.
//!
//! # The turn
//!
//! The threads of a handle are one locker to the kernel, so one of them at a time makes the kernel calls. A
//! mode that is exclusive is inside as soon as it has the turn (`exclusive`). For all others [`Phase`] says
//! what the turn is for:
//!
//! | `phase` | who has the turn | what the kernel has locked | when the last one inside leaves |
//! |---|---|---|---|
//! | `Idle` | nobody | what those inside have | it takes the turn to close |
//! | `Called` | the first waiter, woken, which may come at any time or never | what those inside have | it takes the turn to close; the one called waits again, as the first |
//! | `Entering`, nobody inside | a newcomer, which may wait in the kernel's queue | what the newcomer has of its plan | nobody is inside |
//! | `Entering`, others inside | one that joins them, which never waits | what those inside have, and what the joining one adds | the joining one stays inside, or unlocks all |
//! | `Upgrading` | the upgradable reader, alone inside, running or called | what it has | it can't: its guard is in use |
//! | `Closing` | the last one out | what those inside had, until it is unlocked | nobody is inside |
//!
//! # The hand-off slot
//!
//! | `passing` | the slot | counts as inside | left open |
//! |---|---|---|---|
//! | `No` | shut and empty | – | – |
//! | `HandOff` | holds the lock, or a thread that took it there does | one holder that belongs to no thread | while a waiter comes by and the slice lasts |
//! | `Linger` | the same | the same | also while nobody waits |
//!
//! # Invariants
//!
//! 1. While nobody is inside and nobody *runs* with the turn, the handle has nothing locked. So neither a
//!    thread that is slow to wake up, nor a task that is not polled, nor a wait that is dropped keeps a
//!    lock that nobody uses; and whoever enters with nobody inside is a newcomer in the kernel, too.
//! 2. Whoever joins never waits in the kernel while the handle has the main bytes: a writer elsewhere
//!    that keeps the gate shut waits for them. It steps back, and nobody joins until all have left.
//! 3. With `Entering` and nobody inside, nobody comes inside but the one that enters.
//! 4. While the upgrade waits or is under way, nobody comes inside but a thread whose read guard the
//!    upgrade waits for. That it was this thread that took the upgradable guard is no reason: the guard
//!    may be in another thread or in a task.
//! 5. Whoever gives the turn up passes it on in the same section of the mutex, and whoever has waited is
//!    the first to get it.
//!
//! `together` explores them with the plans of the kernel's locks and with another process.

mod passing_on;

use std::sync::Arc;
use std::time::Instant;

use crate::protocol::plan::Mode;
use crate::sys::Access;
use crate::types::thread::ThreadToken;

use super::left_out::{ModelStep, is_left_out};
use super::sleeper::Sleeper;
use super::unlock::Unlock;
use super::wait_list::{Position, WaitList, Waiter};

/// The threads that are inside and that wait. All of it is guarded by the queue's mutex.
pub(super) struct QueueState<T: Unlock> {
    // None after it was found stale, void or idle; whoever has the turn then shares another one.
    value: Option<Arc<T>>,
    /// The part of this value that the last holder left, for the next one.
    pub(super) spare: Option<Box<T::Held>>,
    /// Whether no next holder is expected, so that nothing is kept for one.
    is_over: bool,
    // Once for each guard. A guard that belongs to no thread (a task's, one that was handed over) is
    // `NONE`.
    pub(super) readers: Vec<ThreadToken>,
    pub(super) upgradable: Option<ThreadToken>,
    // From the grant of the turn on, before the kernel has granted the lock.
    pub(super) exclusive: Option<ThreadToken>,
    pub(super) phase: Phase,
    /// Whether the kernel held back a reader that wanted to join those inside; nobody joins any more.
    // Set while somebody is inside, and cleared by `pass_on` once nobody is.
    pub(super) closed: bool,
    pub(super) waiting: WaitList,
    /// The upgradable reader while it waits to become the writer.
    pub(super) upgrader: Option<Arc<Sleeper>>,
    /// Got the turn and is to be woken. Empty when the mutex is free.
    pub(super) granted: Option<Arc<Sleeper>>,
    /// Is to be woken to come by at the slot. Empty when the mutex is free.
    pub(super) called: Option<Arc<Sleeper>>,
    pub(super) passing: Passing,
    /// The number of waiters that are awake.
    // Always the number of entries of `waiting` that are marked as awake: with a number that is too
    // high, a lock would stay in the slot for a waiter that does not come.
    pub(super) awake: usize,
    /// The instant since when somebody waits while a thread of this process has the lock.
    pub(super) since: Option<Instant>,
}

/// The purpose of a turn that is not exclusive; the table above has what each means.
pub(super) enum Phase {
    Idle,
    Called(Position, Waiter),
    Entering,
    Upgrading,
    Closing,
}

/// How a lock passes through the hand-off slot; the table above has what each means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passing {
    No,
    HandOff(Access),
    Linger(Access),
}

impl Passing {
    pub(super) fn access(self) -> Option<Access> {
        match self {
            Self::No => None,
            Self::HandOff(access) | Self::Linger(access) => Some(access),
        }
    }

    pub(super) fn without_linger(self) -> Self {
        self.access().map_or(Self::No, Self::HandOff)
    }
}

impl<T: Unlock> QueueState<T> {
    pub(super) fn new(value: Option<T>) -> Self {
        Self {
            value: value.map(Arc::new),
            spare: None,
            is_over: false,
            readers: Vec::new(),
            upgradable: None,
            exclusive: None,
            phase: Phase::Idle,
            closed: false,
            waiting: WaitList::default(),
            upgrader: None,
            granted: None,
            called: None,
            passing: Passing::No,
            awake: 0,
            since: None,
        }
    }

    /// The shared value.
    pub(super) fn value(&self) -> Option<&Arc<T>> {
        self.value.as_ref()
    }

    /// Shares another value from now on.
    pub(super) fn set_value(&mut self, value: Option<Arc<T>>) {
        // Nothing that is dropped here owns this queue: the caller has borrowed it from its handle.
        self.value = value;
        // The holder's part leads to the old value.
        self.spare = None;
    }

    /// Keeps what a holder leaves, if there is something.
    #[inline]
    pub(super) fn keep_spare(&mut self, spare: Option<Box<T::Held>>) {
        if spare.is_some() && !self.is_over {
            self.spare = spare;
        }
    }

    /// Keeps nothing from now on; returns what was kept.
    pub(super) fn end(&mut self) -> Option<Box<T::Held>> {
        self.is_over = true;
        self.spare.take()
    }

    /// Whether nobody is inside.
    pub(super) fn is_empty(&self) -> bool {
        self.readers.is_empty() && self.upgradable.is_none() && self.exclusive.is_none()
    }

    /// Whether nobody has the turn or is the next to get it in any case.
    pub(super) fn is_open(&self) -> bool {
        self.is_idle() && self.upgrader.is_none()
    }

    /// Whether no thread has the turn.
    fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// Whether nobody is inside, has the turn or waits.
    pub(super) fn is_unused(&self) -> bool {
        self.is_empty() && self.is_open() && self.waiting.is_empty()
    }

    /// Whether there is nothing to do after a change, if so many waited before.
    pub(super) fn is_quiet(&self, waiting: usize) -> bool {
        // All that `collect` does: wake, settle an open slot, count the waiters. Only `settle` sets
        // `called`.
        self.granted.is_none() && self.passing == Passing::No && self.waiting.len() == waiting
    }

    /// Whether this mode can be granted beside those inside.
    pub(super) fn admits(&self, mode: Mode) -> bool {
        if self.is_empty() {
            return true;
        }
        match mode {
            Mode::Read => self.exclusive.is_none() && !self.closed,
            Mode::Upgradable => {
                self.exclusive.is_none() && !self.closed && self.upgradable.is_none()
            }
            Mode::Write | Mode::Exclusive => false,
        }
    }

    pub(super) fn has_inside(&self, thread: ThreadToken) -> bool {
        let is_by = |holder| thread != ThreadToken::NONE && holder == Some(thread);
        is_by(self.exclusive) || is_by(self.upgradable) || self.has_reader(thread)
    }

    pub(super) fn has_reader(&self, thread: ThreadToken) -> bool {
        thread != ThreadToken::NONE && self.readers.contains(&thread)
    }

    /// Whether this thread holds the lock to read in a way that lets it in again before those who wait: to
    /// wait for a writer that waits for this thread would be for ever.
    pub(super) fn reads(&self, thread: ThreadToken) -> bool {
        self.has_reader(thread)
            || (thread != ThreadToken::NONE
                && self.upgradable == Some(thread)
                && !self.is_upgraded())
    }

    /// Whether the upgradable reader waits to become the writer, or is about to.
    fn is_upgraded(&self) -> bool {
        !is_left_out(ModelStep::RefuseDuringUpgrade)
            && (self.upgrader.is_some() || matches!(self.phase, Phase::Upgrading))
    }

    pub(super) fn begin(&mut self, mode: Mode, thread: ThreadToken) {
        if mode.is_alone() {
            // Inside from here on, before the kernel has granted it. All others come inside by
            // `Turn::keep`.
            self.exclusive = Some(thread);
        } else {
            self.phase = Phase::Entering;
        }
    }

    pub(super) fn add(&mut self, mode: Mode, thread: ThreadToken) {
        match mode {
            Mode::Read => self.readers.push(thread),
            Mode::Upgradable => self.upgradable = Some(thread),
            Mode::Write | Mode::Exclusive => self.exclusive = Some(thread),
        }
    }

    pub(super) fn remove(&mut self, mode: Mode, thread: ThreadToken) {
        match mode {
            Mode::Read => {
                // Guards of one thread are alike, so any of its entries will do.
                let own = self.readers.iter().position(|&reader| reader == thread);
                self.readers.swap_remove(own.expect("it is inside"));
            }
            Mode::Upgradable => self.upgradable = None,
            Mode::Write | Mode::Exclusive => self.exclusive = None,
        }
    }
}
