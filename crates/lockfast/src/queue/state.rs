//! Who of the threads is inside, who waits, and whose turn is next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::protocol::plan::{Access, Mode};
use crate::thread::ThreadToken;

use super::Shared;
use super::sleeper::Sleeper;

/// Who is inside, and who waits for it.
pub(super) struct State<T: Shared> {
    value: Option<Arc<T>>,
    /// What the last one who left had of this value, for the next one.
    pub(super) spare: Option<Box<T::Parcel>>,
    pub(super) readers: Vec<ThreadToken>,
    pub(super) upgradable: Option<ThreadToken>,
    pub(super) alone: Option<ThreadToken>,
    /// Does somebody who is to be a reader, or who upgrades or leaves, deal with the kernel?
    pub(super) busy: bool,
    /// Did one who wanted to join those inside find that the kernel holds it back for others?
    pub(super) closed: bool,
    pub(super) waiting: VecDeque<Waiter>,
    pub(super) upgrader: Option<Arc<Sleeper>>,
    /// Who got the turn and is to be woken.
    pub(super) granted: Option<Arc<Sleeper>>,
    /// Who is to be woken to come by at the lane.
    pub(super) woken: Option<Arc<Sleeper>>,
    /// Is the lane open, and how is held what passes through it? It counts as inside, as no thread.
    pub(super) open: Option<Access>,
    /// May it stay open when nobody waits?
    pub(super) lingers: bool,
    /// How many of those who wait are awake.
    pub(super) awake: usize,
    /// Since when somebody waits while a thread of this process has the lock.
    pub(super) since: Option<Instant>,
}

/// One who waits to enter.
pub(super) struct Waiter {
    pub(super) mode: Mode,
    pub(super) thread: ThreadToken,
    pub(super) sleeper: Arc<Sleeper>,
    /// Does it come by at the lane when it is awake?
    pub(super) competes: bool,
    pub(super) awake: bool,
}

impl Waiter {
    /// One that sleeps until it has the turn.
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

impl<T: Shared> State<T> {
    pub(super) fn new(value: Option<T>) -> Self {
        Self {
            value: value.map(Arc::new),
            spare: None,
            readers: Vec::new(),
            upgradable: None,
            alone: None,
            busy: false,
            closed: false,
            waiting: VecDeque::new(),
            upgrader: None,
            granted: None,
            woken: None,
            open: None,
            lingers: false,
            awake: 0,
            since: None,
        }
    }

    /// What is shared.
    pub(super) fn value(&self) -> Option<&Arc<T>> {
        self.value.as_ref()
    }

    /// Shares another one from now on.
    pub(super) fn set_value(&mut self, value: Option<Arc<T>>) {
        self.value = value;
        self.spare = None;
    }

    /// Is nobody inside?
    pub(super) fn is_empty(&self) -> bool {
        self.readers.is_empty() && self.upgradable.is_none() && self.alone.is_none()
    }

    /// Does nobody deal with the kernel, or wait to be alone at once?
    pub(super) fn is_open(&self) -> bool {
        !self.busy && self.upgrader.is_none()
    }

    pub(super) fn admits(&self, mode: Mode) -> bool {
        if self.is_empty() {
            return true;
        }
        match mode {
            Mode::Read => self.alone.is_none() && !self.closed,
            Mode::Upgradable => self.alone.is_none() && !self.closed && self.upgradable.is_none(),
            Mode::Write | Mode::Exclusive => false,
        }
    }

    pub(super) fn has_inside(&self, thread: ThreadToken) -> bool {
        thread != ThreadToken::NONE && (self.alone == Some(thread) || self.reads(thread))
    }

    pub(super) fn reads(&self, thread: ThreadToken) -> bool {
        thread != ThreadToken::NONE
            && (self.upgradable == Some(thread) || self.readers.contains(&thread))
    }

    pub(super) fn begin(&mut self, mode: Mode, thread: ThreadToken) {
        if mode.is_alone() {
            self.alone = Some(thread);
        } else {
            self.busy = true;
        }
    }

    pub(super) fn add(&mut self, mode: Mode, thread: ThreadToken) {
        match mode {
            Mode::Read => self.readers.push(thread),
            Mode::Upgradable => self.upgradable = Some(thread),
            Mode::Write | Mode::Exclusive => self.alone = Some(thread),
        }
    }

    pub(super) fn remove(&mut self, mode: Mode, thread: ThreadToken) {
        match mode {
            Mode::Read => {
                let own = self.readers.iter().position(|&reader| reader == thread);
                self.readers.swap_remove(own.expect("it is inside"));
            }
            Mode::Upgradable => self.upgradable = None,
            Mode::Write | Mode::Exclusive => self.alone = None,
        }
    }

    /// Does it wait, and has not got the turn?
    pub(super) fn waits(&self, sleeper: &Arc<Sleeper>) -> bool {
        self.position(sleeper).is_some()
    }

    /// Counts it as awake; `false` when it does not wait any more, because it has got the turn.
    pub(super) fn wakes(&mut self, sleeper: &Arc<Sleeper>) -> bool {
        let Some(at) = self.position(sleeper) else {
            return false;
        };
        if !self.waiting[at].awake {
            self.waiting[at].awake = true;
            self.awake += 1;
        }
        true
    }

    /// Counts it as asleep.
    pub(super) fn falls_asleep(&mut self, sleeper: &Arc<Sleeper>) {
        let at = self.position(sleeper).expect("it waits");
        self.waiting[at].awake = false;
        self.awake -= 1;
    }

    /// Takes it out of the queue; `false` when it was not there.
    pub(super) fn leaves(&mut self, sleeper: &Arc<Sleeper>) -> bool {
        let Some(at) = self.position(sleeper) else {
            return false;
        };
        let waiter = self.waiting.remove(at).expect("looked at just now");
        self.awake -= usize::from(waiter.awake);
        true
    }

    fn position(&self, sleeper: &Arc<Sleeper>) -> Option<usize> {
        let mut waiting = self.waiting.iter();
        waiting.position(|waiter| Arc::ptr_eq(&waiter.sleeper, sleeper))
    }

    /// Gives the turn to whoever may have it now.
    pub(super) fn pass_on(&mut self) {
        if self.is_empty() {
            self.closed = false;
        }
        if self.busy {
            return;
        }
        if self.upgrader.is_some() {
            if self.readers.is_empty() {
                self.granted = self.upgrader.take();
                self.busy = true;
            }
            return;
        }
        let Some(first) = self.waiting.front() else {
            return;
        };
        if self.admits(first.mode) {
            let first = self.waiting.pop_front().expect("looked at just now");
            self.awake -= usize::from(first.awake);
            self.begin(first.mode, first.thread);
            self.granted = Some(first.sleeper);
        }
    }
}
