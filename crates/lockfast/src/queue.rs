//! The threads of one process queue here, first come, first served.
//!
//! A handle has one descriptor, and the kernel sees one locker in it. So its threads agree here
//! first: one alone, or any number of readers, of whom one may be upgradable. The one whose turn it
//! is deals with the kernel on behalf of all. A turn is handed to the first in the queue directly,
//! so nobody who comes later gets in between; and as readers queue behind a writer that waits, none
//! overtakes it.
//!
//! For a while the lock may pass among them without the kernel, by the [`handoff`].

mod handoff;
mod left_out;
mod line;
mod locked;
mod sleeper;
mod state;
mod turn;
mod waiter;

use std::fmt;
use std::sync::Arc;

use crate::protocol::plan::Mode;
use crate::sys::Access;
use crate::sys::fork;
use crate::sys::primitive::{AtomicUsize, Mutex, Ordering};
use crate::types::thread::ThreadToken;

use left_out::{Step, is_left_out};
use line::Waiter;
use locked::Locked;
use sleeper::Sleeper;
use state::{Busy, State};
use turn::Purpose;
use waiter::Aim;

pub(crate) use handoff::Handoff;
pub(crate) use turn::Turn;
pub(crate) use waiter::{QueuedWaiter, SpinOutcome};

/// What those inside share.
pub(crate) trait Shared {
    /// What one leaves to the next in the lane.
    type HeldLock;

    /// Gives back what the kernel granted to those who were inside; `false` when it can't.
    fn let_go(&self) -> bool;
}

/// A queue for a `T` that those inside share.
pub(crate) struct Queue<T: Shared> {
    state: Mutex<State<T>>,
    /// How many wait, for a look without the mutex.
    waiting: AtomicUsize,
    lane: Handoff<T::HeldLock>,
    /// The process whose threads queue here.
    generation: u64,
}

/// What somebody who asks to enter gets.
pub(crate) enum Entry<'q, T: Shared> {
    /// The turn to deal with the kernel.
    Turn(Turn<'q, T>),
    /// It is inside already: its thread was, and it reads only.
    Inside(Arc<T>),
    /// Others are there.
    Full,
}

/// What somebody who lines up gets.
pub(crate) enum Enqueued<'q, T: Shared> {
    /// Nobody was there.
    Turn(Turn<'q, T>),
    /// Somebody was.
    QueuedWaiter(QueuedWaiter<'q, T>),
}

impl<T: Shared> Queue<T> {
    pub(crate) fn new(value: Option<T>) -> Self {
        Self {
            state: Mutex::new(State::new(value)),
            waiting: AtomicUsize::new(0),
            lane: Handoff::new(),
            generation: fork::generation(),
        }
    }

    /// Whether this is the process whose threads queue here. A forked child has a copy whose mutex a thread
    /// of the parent may have held at the fork, and in which the child has neither a place nor a turn.
    fn is_own(&self) -> bool {
        self.generation == fork::generation()
    }

    /// What the one before left in the lane, if anything is there for this mode.
    #[inline]
    pub(crate) fn take_from_lane(
        &self,
        mode: Mode,
        thread: ThreadToken,
    ) -> Option<Box<T::HeldLock>> {
        self.lane.take(mode, thread)
    }

    #[inline]
    pub(crate) fn lane(&self) -> &Handoff<T::HeldLock> {
        &self.lane
    }

    /// The turn, if it can be had at once.
    pub(crate) fn try_enter(&self, mode: Mode, thread: ThreadToken) -> Entry<'_, T> {
        let mut state = self.state();
        let by_lane = || state.open == Some(Access::Shared) && self.lane.is_held_by(thread);
        if mode == Mode::Read && (state.reads(thread) || by_lane()) {
            // To wait for a writer that waits for this thread would be for ever.
            if let Some(value) = state.value().cloned() {
                state.readers.push(thread);
                return Entry::Inside(value);
            }
        }
        if state.is_open() && state.waiting.is_empty() && state.admits(mode) {
            Entry::Turn(self.grant(&mut state, mode, thread))
        } else {
            Entry::Full
        }
    }

    /// The turn, and what the last one who left had of the value, if nobody is there.
    #[inline]
    pub(crate) fn try_enter_again(
        &self,
        mode: Mode,
        thread: ThreadToken,
    ) -> Option<(Turn<'_, T>, Box<T::HeldLock>)> {
        let mut state = self.state();
        if !state.is_open() || !state.waiting.is_empty() || !state.is_empty() {
            return None;
        }
        let spare = state.spare.take()?;
        state.begin(mode, thread);
        let purpose = Purpose::Enter { mode, joins: false };
        Some((Turn::without_value(self, thread, purpose), spare))
    }

    /// The turn, or a place behind those who wait already. One that competes comes by at the lane.
    pub(crate) fn line_up(
        &self,
        mode: Mode,
        thread: ThreadToken,
        competes: bool,
    ) -> Enqueued<'_, T> {
        let mut state = self.state();
        if state.is_open() && state.waiting.is_empty() && state.admits(mode) {
            return Enqueued::Turn(self.grant(&mut state, mode, thread));
        }
        let sleeper = Arc::new(Sleeper::default());
        let mut waiter = Waiter::new(mode, thread, &sleeper);
        if competes {
            (waiter.competes, waiter.awake) = (true, true);
            state.awake += 1;
            state.begin_slice();
        }
        let ticket = state.waiting.push_back(waiter);
        let aim = Aim::Enter(mode, ticket);
        Enqueued::QueuedWaiter(QueuedWaiter::new(
            self, &state, sleeper, thread, aim, competes,
        ))
    }

    /// The turn to upgrade, or a place before everybody else. From now on this thread counts as the upgradable
    /// reader, or none: the guard may have come from another thread.
    pub(crate) fn line_up_to_upgrade(&self, thread: ThreadToken) -> Enqueued<'_, T> {
        let mut state = self.state();
        state.upgradable = Some(thread);
        if state.is_open() && state.readers.is_empty() {
            state.busy = Some(Busy::Upgrading);
            return Enqueued::Turn(Turn::new(self, &state, thread, Purpose::Upgrade));
        }
        let sleeper = Arc::new(Sleeper::default());
        state.upgrader = Some(Arc::clone(&sleeper));
        Enqueued::QueuedWaiter(QueuedWaiter::new(
            self,
            &state,
            sleeper,
            thread,
            Aim::Upgrade,
            false,
        ))
    }

    /// Leaves, for one who was alone and has let go; the value is of no use any more if not kept.
    pub(crate) fn leave_alone(&self, keep: bool, spare: Option<Box<T::HeldLock>>) {
        let mut state = self.state();
        state.alone = None;
        state.since = None;
        if !keep {
            state.set_value(None);
        } else if spare.is_some() {
            state.spare = spare;
        }
        state.pass_on();
    }

    /// Leaves by the lane, for one who is alone or has the parcel from there, if others wait to take the
    /// lock there or it lingers. If not, the parcel is given back; then the lane is closed, and it is to
    /// let go and leave, as no thread.
    pub(crate) fn pass_by_lane(
        &self,
        parcel: Box<T::HeldLock>,
        access: Access,
    ) -> Option<Box<T::HeldLock>> {
        let mut state = self.state();
        if access == Access::Exclusive {
            state.alone = Some(ThreadToken::NONE);
        }
        if state.may_be_left() {
            state.open = Some(access);
            self.lane.open(parcel, access);
            None
        } else {
            state.shut(&self.lane);
            Some(parcel)
        }
    }

    /// Leaves the lane open for whoever comes next, for one who is alone, if nobody waits and it is
    /// allowed. If not, the parcel is given back.
    pub(crate) fn linger(
        &self,
        parcel: Box<T::HeldLock>,
        is_allowed: impl FnOnce() -> bool,
    ) -> Option<Box<T::HeldLock>> {
        let mut state = self.state();
        if !state.waiting.is_empty() || !is_allowed() {
            return Some(parcel);
        }
        state.alone = Some(ThreadToken::NONE);
        state.open = Some(Access::Exclusive);
        state.lingers = true;
        self.lane.open_to_linger(parcel, Access::Exclusive);
        None
    }

    /// The lane is not left open any more when nobody waits. If it was idle, it is closed, which this
    /// tells.
    pub(crate) fn end_linger(&self) -> bool {
        let mut state = self.state();
        state.lingers = false;
        let Some((open, parcel)) = state.settle() else {
            return false;
        };
        drop(state);
        self.close(open);
        drop(parcel);
        true
    }

    /// What was left in the lane, in a forked child, to whom it means nothing.
    pub(crate) fn empty_lane(&self) -> Option<Box<T::HeldLock>> {
        self.lane.withdraw()
    }

    /// Has the lock to itself from now on, as one who did not take it from the lane.
    pub(crate) fn leave_lane(&self, thread: ThreadToken) {
        let mut state = self.state();
        state.shut(&self.lane);
        state.alone = Some(thread);
    }

    /// Is the lane idle, so that it is worth while to try again? One by which this mode can't get in
    /// is closed.
    pub(crate) fn has_idle_lane(&self, mode: Mode) -> bool {
        if !self.lane.is_idle() {
            return false;
        }
        let fits = self.state().open == Some(mode.access());
        (fits && mode != Mode::Upgradable) || self.close_idle_lane()
    }

    /// Closes the lane if it is idle; not for those who wait for what is there, who come first.
    pub(crate) fn close_idle_lane(&self) -> bool {
        self.lane.is_idle() && self.end_linger()
    }

    /// Lets go of what passed through the lane, which is shut.
    fn close(&self, open: Access) {
        match open {
            Access::Exclusive => {
                let value = self.state().value().cloned();
                self.leave_alone(value.is_some_and(|value| value.let_go()), None);
            }
            Access::Shared => {
                if let Some(mut turn) = self.leave(Mode::Read, ThreadToken::NONE, |_| ()) {
                    if !turn.value().is_some_and(|value| value.let_go()) {
                        turn.replace(None);
                    }
                }
            }
        }
    }

    /// Does anybody wait? Out of date at once.
    #[inline]
    pub(crate) fn has_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Leaves, for one who was not alone. The last one gets the turn to let go; for an upgradable
    /// one that isn't the last, `stay` gives up what others don't have.
    pub(crate) fn leave(
        &self,
        mode: Mode,
        thread: ThreadToken,
        stay: impl FnOnce(&T),
    ) -> Option<Turn<'_, T>> {
        let mut state = self.state();
        state.remove(mode, thread);
        if state.close() {
            return Some(Turn::new(self, &state, thread, Purpose::Close));
        }
        if let (Mode::Upgradable, Some(value)) = (mode, state.value()) {
            if !is_left_out(Step::Stay) {
                stay(value);
            }
        }
        state.pass_on();
        None
    }

    /// Changes how a guard is inside; from now on it belongs to that thread.
    pub(crate) fn change(&self, from: Mode, to: Mode, thread: ThreadToken) {
        debug_assert!(from != Mode::Read, "nothing is weaker");
        let mut state = self.state();
        state.remove(from, ThreadToken::NONE);
        state.add(to, thread);
        state.pass_on();
    }

    /// No thread counts as the one who took the lock from the lane any more.
    pub(crate) fn disown_lane(&self) {
        self.lane.disown();
    }

    /// No thread counts as the one who is inside any more.
    pub(crate) fn disown(&self, mode: Mode, thread: ThreadToken) {
        let mut state = self.state();
        state.remove(mode, thread);
        state.add(mode, ThreadToken::NONE);
    }

    /// Is this thread inside, in whichever way?
    pub(crate) fn has_inside(&self, thread: ThreadToken) -> bool {
        self.lane.is_held_by(thread) || self.state().has_inside(thread)
    }

    /// Is this thread inside as a reader, beside what it may be else?
    pub(crate) fn has_reader(&self, thread: ThreadToken) -> bool {
        let state = self.state();
        let by_lane = state.open == Some(Access::Shared) && self.lane.is_held_by(thread);
        by_lane || state.has_reader(thread)
    }

    /// What those inside share, if anybody is.
    pub(crate) fn shared(&self) -> Option<Arc<T>> {
        let state = self.state();
        (!state.is_empty())
            .then(|| state.value().cloned())
            .flatten()
    }

    /// What is shared, and whether nobody has the turn or waits for it.
    pub(crate) fn glance(&self) -> (Option<Arc<T>>, bool) {
        let state = self.state();
        let is_idle = state.is_empty() && state.is_open() && state.waiting.is_empty();
        (state.value().cloned(), is_idle)
    }

    /// Shares another one from now on, where those inside keep their own.
    pub(crate) fn put(&self, value: Option<&Arc<T>>) {
        self.state().set_value(value.map(Arc::clone));
    }

    /// Takes what is shared away, if nobody is inside, waits or deals with it.
    pub(crate) fn take_idle(&self) -> Option<Arc<T>> {
        let mut state = self.state();
        let is_idle = state.is_empty() && state.is_open() && state.waiting.is_empty();
        let idle = is_idle.then(|| state.value().cloned()).flatten();
        if idle.is_some() {
            state.set_value(None);
        }
        idle
    }

    fn grant(&self, state: &mut State<T>, mode: Mode, thread: ThreadToken) -> Turn<'_, T> {
        let joins = !state.is_empty();
        state.begin(mode, thread);
        let mut turn = Turn::new(self, state, thread, Purpose::Enter { mode, joins });
        if let Some(spare) = state.spare.take() {
            turn.spare(spare);
        }
        turn
    }

    fn state(&self) -> Locked<'_, T> {
        Locked::new(self)
    }
}

impl<T: Shared> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Queue")
            .field("readers", &state.readers.len())
            .field("upgradable", &state.upgradable.is_some())
            .field("alone", &state.alone.is_some())
            .field("waiting", &state.waiting.len())
            .field("lane", &state.open)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, lockfast_model))]
pub(crate) mod model;
#[cfg(all(test, not(lockfast_model)))]
mod tests;
#[cfg(all(test, not(lockfast_model)))]
mod together;
