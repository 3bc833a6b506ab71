//! The threads of one process queue here, first come, first served.
//!
//! A handle has one descriptor, and the kernel sees one locker in it. So its threads agree here
//! first: one alone, or any number of readers, of whom one may be upgradable. The one whose turn it
//! is deals with the kernel on behalf of all. A turn is handed to the first in the queue directly,
//! so nobody who comes later gets in between; and as readers queue behind a writer that waits, none
//! overtakes it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::protocol::plan::Mode;
use crate::sys::Parked;
use crate::sys::park::Parker;
use crate::thread::ThreadToken;

/// A queue for a `T` that those inside share.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    /// Gives back what the kernel granted to those who were inside; `false` when it can't.
    let_go: fn(&T) -> bool,
}

struct State<T> {
    value: Option<Arc<T>>,
    readers: Vec<ThreadToken>,
    upgradable: Option<ThreadToken>,
    alone: Option<ThreadToken>,
    /// Does somebody who is to be a reader, or who upgrades or leaves, deal with the kernel?
    busy: bool,
    /// Did one who wanted to join those inside find that the kernel holds it back for others?
    closed: bool,
    waiting: VecDeque<Waiter>,
    upgrader: Option<Arc<Parker>>,
}

struct Waiter {
    mode: Mode,
    thread: ThreadToken,
    parker: Arc<Parker>,
}

/// What somebody who asks to enter gets.
pub(crate) enum Entry<'q, T> {
    /// The turn to deal with the kernel.
    Turn(Turn<'q, T>),
    /// It is inside already: its thread was, and it reads only.
    Inside(Arc<T>),
    /// Others are there.
    Full,
}

/// What somebody who lines up gets.
pub(crate) enum Joined<'q, T> {
    /// Nobody was there.
    Turn(Turn<'q, T>),
    /// Somebody was.
    Place(Place<'q, T>),
}

/// The right to deal with the kernel; passes it on when dropped.
pub(crate) struct Turn<'q, T> {
    queue: &'q Queue<T>,
    value: Option<Arc<T>>,
    thread: ThreadToken,
    purpose: Purpose,
}

/// A place in the queue, given up when dropped.
pub(crate) struct Place<'q, T> {
    queue: &'q Queue<T>,
    parker: Arc<Parker>,
    thread: ThreadToken,
    purpose: Purpose,
    /// Was this thread inside when it lined up?
    was_inside: bool,
    used: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To get in; beside others who are in already, if `joins`.
    Enter { mode: Mode, joins: bool },
    /// To be alone, from upgradable.
    Upgrade,
    /// To let go, as the last one out.
    Close,
}

impl<T> Queue<T> {
    pub(crate) fn new(value: Option<T>, let_go: fn(&T) -> bool) -> Self {
        let state = State {
            value: value.map(Arc::new),
            readers: Vec::new(),
            upgradable: None,
            alone: None,
            busy: false,
            closed: false,
            waiting: VecDeque::new(),
            upgrader: None,
        };
        Self {
            state: Mutex::new(state),
            let_go,
        }
    }

    /// The turn, if it can be had at once.
    pub(crate) fn try_enter(&self, mode: Mode, thread: ThreadToken) -> Entry<'_, T> {
        let mut state = self.state();
        if mode == Mode::Read && state.reads(thread) {
            // To wait for a writer that waits for this thread would be for ever.
            if let Some(value) = state.value.clone() {
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

    /// The turn, or a place behind those who wait already.
    pub(crate) fn line_up(&self, mode: Mode, thread: ThreadToken) -> Joined<'_, T> {
        let mut state = self.state();
        if state.is_open() && state.waiting.is_empty() && state.admits(mode) {
            return Joined::Turn(self.grant(&mut state, mode, thread));
        }
        let parker = Arc::new(Parker::default());
        state.waiting.push_back(Waiter {
            mode,
            thread,
            parker: Arc::clone(&parker),
        });
        let purpose = Purpose::Enter { mode, joins: false };
        Joined::Place(self.place(&state, parker, thread, purpose))
    }

    /// The turn to upgrade, or a place before everybody else.
    pub(crate) fn line_up_to_upgrade(&self, thread: ThreadToken) -> Joined<'_, T> {
        let mut state = self.state();
        if state.is_open() && state.readers.is_empty() {
            state.busy = true;
            return Joined::Turn(self.turn(&state, thread, Purpose::Upgrade));
        }
        let parker = Arc::new(Parker::default());
        state.upgrader = Some(Arc::clone(&parker));
        Joined::Place(self.place(&state, parker, thread, Purpose::Upgrade))
    }

    /// Leaves, for one who was alone and has let go; the value is of no use any more if not kept.
    pub(crate) fn leave_alone(&self, keep: bool) {
        let mut state = self.state();
        state.alone = None;
        if !keep {
            state.value = None;
        }
        state.pass_on();
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
        if state.is_empty() && !state.busy {
            state.busy = true;
            return Some(self.turn(&state, thread, Purpose::Close));
        }
        if let (Mode::Upgradable, Some(value)) = (mode, &state.value) {
            stay(value);
        }
        state.pass_on();
        None
    }

    /// Is inside in another way from now on.
    pub(crate) fn change(&self, from: Mode, to: Mode, thread: ThreadToken) {
        let mut state = self.state();
        state.remove(from, thread);
        state.add(to, thread);
        state.pass_on();
    }

    /// No thread counts as the one who is inside any more.
    pub(crate) fn disown(&self, mode: Mode, thread: ThreadToken) {
        let mut state = self.state();
        state.remove(mode, thread);
        state.add(mode, ThreadToken::NONE);
    }

    /// Is this thread inside, in whichever way?
    pub(crate) fn has_inside(&self, thread: ThreadToken) -> bool {
        self.state().has_inside(thread)
    }

    /// Is this thread inside as a reader, beside what it may be else?
    pub(crate) fn has_reader(&self, thread: ThreadToken) -> bool {
        self.state().readers.contains(&thread)
    }

    /// What those inside share, if anybody is.
    pub(crate) fn shared(&self) -> Option<Arc<T>> {
        let state = self.state();
        (!state.is_empty()).then(|| state.value.clone()).flatten()
    }

    /// What is shared, and whether nobody has the turn or waits for it.
    pub(crate) fn glance(&self) -> (Option<Arc<T>>, bool) {
        let state = self.state();
        let is_idle = state.is_empty() && state.is_open() && state.waiting.is_empty();
        (state.value.clone(), is_idle)
    }

    /// Shares another one from now on, where those inside keep their own.
    pub(crate) fn put(&self, value: Option<&Arc<T>>) {
        self.state().value = value.map(Arc::clone);
    }

    fn grant(&self, state: &mut State<T>, mode: Mode, thread: ThreadToken) -> Turn<'_, T> {
        let joins = !state.is_empty();
        state.begin(mode, thread);
        self.turn(state, thread, Purpose::Enter { mode, joins })
    }

    fn turn(&self, state: &State<T>, thread: ThreadToken, purpose: Purpose) -> Turn<'_, T> {
        Turn {
            queue: self,
            value: state.value.clone(),
            thread,
            purpose,
        }
    }

    fn place(
        &self,
        state: &State<T>,
        parker: Arc<Parker>,
        thread: ThreadToken,
        purpose: Purpose,
    ) -> Place<'_, T> {
        Place {
            queue: self,
            parker,
            thread,
            purpose,
            was_inside: purpose != Purpose::Upgrade && state.has_inside(thread),
            used: false,
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Nothing in here panics while the state is inconsistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    /// Is nobody inside?
    fn is_empty(&self) -> bool {
        self.readers.is_empty() && self.upgradable.is_none() && self.alone.is_none()
    }

    /// Does nobody deal with the kernel, or wait to be alone at once?
    fn is_open(&self) -> bool {
        !self.busy && self.upgrader.is_none()
    }

    fn admits(&self, mode: Mode) -> bool {
        if self.is_empty() {
            return true;
        }
        match mode {
            Mode::Read => self.alone.is_none() && !self.closed,
            Mode::Upgradable => self.alone.is_none() && !self.closed && self.upgradable.is_none(),
            Mode::Write | Mode::Exclusive => false,
        }
    }

    fn has_inside(&self, thread: ThreadToken) -> bool {
        thread != ThreadToken::NONE && (self.alone == Some(thread) || self.reads(thread))
    }

    fn reads(&self, thread: ThreadToken) -> bool {
        thread != ThreadToken::NONE
            && (self.upgradable == Some(thread) || self.readers.contains(&thread))
    }

    fn begin(&mut self, mode: Mode, thread: ThreadToken) {
        if mode.is_alone() {
            self.alone = Some(thread);
        } else {
            self.busy = true;
        }
    }

    fn add(&mut self, mode: Mode, thread: ThreadToken) {
        match mode {
            Mode::Read => self.readers.push(thread),
            Mode::Upgradable => self.upgradable = Some(thread),
            Mode::Write | Mode::Exclusive => self.alone = Some(thread),
        }
    }

    fn remove(&mut self, mode: Mode, thread: ThreadToken) {
        match mode {
            Mode::Read => {
                let own = self.readers.iter().position(|&reader| reader == thread);
                self.readers.swap_remove(own.expect("it is inside"));
            }
            Mode::Upgradable => self.upgradable = None,
            Mode::Write | Mode::Exclusive => self.alone = None,
        }
    }

    /// Gives the turn to whoever may have it now.
    fn pass_on(&mut self) {
        if self.is_empty() {
            self.closed = false;
        }
        if self.busy {
            return;
        }
        if let Some(upgrader) = &self.upgrader {
            if self.readers.is_empty() {
                let upgrader = Arc::clone(upgrader);
                self.upgrader = None;
                self.busy = true;
                upgrader.grant();
            }
            return;
        }
        let Some(first) = self.waiting.front() else {
            return;
        };
        if self.admits(first.mode) {
            let first = self.waiting.pop_front().expect("looked at just now");
            self.begin(first.mode, first.thread);
            first.parker.grant();
        }
    }
}

impl<'q, T> Turn<'q, T> {
    /// What is shared, unless it was of no use any more.
    pub(crate) fn value(&self) -> Option<&Arc<T>> {
        self.value.as_ref()
    }

    /// What is shared, for one who has no further use for the turn but to keep it or to fail.
    pub(crate) fn take(&mut self) -> Option<Arc<T>> {
        self.value.take()
    }

    /// Shares another one from now on; nobody is inside.
    pub(crate) fn replace(&mut self, value: Option<&Arc<T>>) {
        self.queue.state().value = value.cloned();
        self.value = None;
    }

    /// Are others inside, or were they when the turn began?
    pub(crate) fn joins(&self) -> bool {
        matches!(self.purpose, Purpose::Enter { joins: true, .. })
    }

    /// The kernel has granted it: is inside until it leaves.
    pub(crate) fn keep(mut self) {
        self.value = None;
        match self.purpose {
            Purpose::Enter { mode, .. } if mode.is_alone() => {}
            Purpose::Enter { mode, .. } => {
                let mut state = self.queue.state();
                state.add(mode, self.thread);
                state.busy = false;
                state.pass_on();
            }
            Purpose::Upgrade => {
                let mut state = self.queue.state();
                state.upgradable = None;
                state.alone = Some(self.thread);
                state.busy = false;
            }
            Purpose::Close => unreachable!("it has nothing to keep"),
        }
        std::mem::forget(self);
    }

    /// The kernel holds it back for others: nobody joins until all who are inside have left, and
    /// then this one is first.
    pub(crate) fn step_back(self) -> Place<'q, T> {
        let Purpose::Enter { mode, .. } = self.purpose else {
            unreachable!("only those who enter join")
        };
        let (queue, thread) = (self.queue, self.thread);
        let parker = Arc::new(Parker::default());
        let mut state = queue.state();
        state.closed = true;
        state.waiting.push_front(Waiter {
            mode,
            thread,
            parker: Arc::clone(&parker),
        });
        let place = queue.place(
            &state,
            parker,
            thread,
            Purpose::Enter { mode, joins: false },
        );
        drop(state);
        // Passes the turn on: to itself, if all have left meanwhile.
        drop(self);
        place
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        match self.purpose {
            Purpose::Enter { mode, .. } if mode.is_alone() => state.alone = None,
            Purpose::Enter { joins, .. } => {
                // The last of those inside left without letting go, as this one was busy.
                if joins && state.is_empty() {
                    if let Some(value) = &self.value {
                        if !(self.queue.let_go)(value) {
                            state.value = None;
                        }
                    }
                }
                state.busy = false;
            }
            Purpose::Upgrade | Purpose::Close => state.busy = false,
        }
        state.pass_on();
    }
}

impl<'q, T> Place<'q, T> {
    /// Sleeps until it is this one's turn, until the instant, or until a signal.
    pub(crate) fn park(&self, until: Option<Instant>) -> Parked {
        self.parker.park(until)
    }

    /// Was this thread inside when it lined up, so that it waits for itself?
    pub(crate) fn was_inside(&self) -> bool {
        self.was_inside
    }

    /// The turn, after `park` said that it is granted.
    pub(crate) fn enter(mut self) -> Turn<'q, T> {
        self.used = true;
        let state = self.queue.state();
        self.turn(&state)
    }

    fn turn(&self, state: &State<T>) -> Turn<'q, T> {
        let purpose = match self.purpose {
            Purpose::Enter { mode, .. } => Purpose::Enter {
                mode,
                joins: !mode.is_alone() && !state.is_empty(),
            },
            other => other,
        };
        self.queue.turn(state, self.thread, purpose)
    }
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        if self.used {
            return;
        }
        let mut state = self.queue.state();
        let waits = |parker: &Arc<Parker>| Arc::ptr_eq(parker, &self.parker);
        if state.upgrader.as_ref().is_some_and(waits) {
            state.upgrader = None;
        } else if let Some(at) = state.waiting.iter().position(|other| waits(&other.parker)) {
            state.waiting.remove(at);
        } else {
            // Granted just now, and not used: it is the next one's.
            let turn = self.turn(&state);
            drop(state);
            drop(turn);
            return;
        }
        state.pass_on();
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Queue")
            .field("readers", &state.readers.len())
            .field("upgradable", &state.upgradable.is_some())
            .field("alone", &state.alone.is_some())
            .field("waiting", &state.waiting.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
