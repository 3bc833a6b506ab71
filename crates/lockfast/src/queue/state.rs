//! Who of the threads is inside, who waits, and whose turn is next.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::protocol::plan::Mode;
use crate::thread::ThreadToken;

use super::sleeper::Sleeper;

/// Who is inside, and who waits for it.
pub(super) struct State<T> {
    pub(super) value: Option<Arc<T>>,
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
}

/// One who waits to enter.
pub(super) struct Waiter {
    pub(super) mode: Mode,
    pub(super) thread: ThreadToken,
    pub(super) sleeper: Arc<Sleeper>,
}

impl<T> State<T> {
    pub(super) fn new(value: Option<T>) -> Self {
        Self {
            value: value.map(Arc::new),
            readers: Vec::new(),
            upgradable: None,
            alone: None,
            busy: false,
            closed: false,
            waiting: VecDeque::new(),
            upgrader: None,
            granted: None,
        }
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
            self.begin(first.mode, first.thread);
            self.granted = Some(first.sleeper);
        }
    }
}
