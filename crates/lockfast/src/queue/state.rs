//! The threads that are inside, those that wait, and the one that has the turn.
//!
//! # The turn
//!
//! The threads of a handle are one locker to the kernel, so one of them at a time deals with it. A mode
//! that is alone is inside as soon as it has the turn (`alone`). For all others [`Busy`] says what the
//! turn is for:
//!
//! | `busy` | who has the turn | what the kernel has locked | when the last one inside leaves |
//! |---|---|---|---|
//! | none | nobody | what those inside have | it takes the turn to close |
//! | `Called` | the first one that waited, woken, which may come at any time or never | what those inside have | it takes the turn to close; the one called waits again, as the first |
//! | `Entering`, nobody inside | a newcomer, which may wait in the kernel's queue | what the newcomer has of its plan | nobody is inside |
//! | `Entering`, others inside | one that joins them, which never waits | what those inside have, and what the joining one adds | the joining one stays inside, or lets go of all |
//! | `Upgrading` | the upgradable reader, alone inside, running or called | what it has | it can't: its guard is in use |
//! | `Closing` | the last one out | what those inside had, until it lets go | nobody is inside |
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

use std::sync::Arc;
use std::time::Instant;

use crate::protocol::plan::Mode;
use crate::sys::Access;
use crate::types::thread::ThreadToken;

use super::Shared;
use super::left_out::{Step, is_left_out};
use super::line::{Line, Ticket, Waiter};
use super::sleeper::Sleeper;

/// Who is inside, and who waits for it.
pub(super) struct State<T: Shared> {
    value: Option<Arc<T>>,
    /// What the last one who left had of this value, for the next one.
    pub(super) spare: Option<Box<T::HeldLock>>,
    pub(super) readers: Vec<ThreadToken>,
    pub(super) upgradable: Option<ThreadToken>,
    pub(super) alone: Option<ThreadToken>,
    /// The purpose of the turn, if a thread that is not alone has it.
    pub(super) busy: Option<Busy>,
    /// Whether the kernel held one that wanted to join those inside back for others.
    pub(super) closed: bool,
    pub(super) waiting: Line,
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

/// The purpose of a turn that is not alone; the table above has what each means.
pub(super) enum Busy {
    /// The first one that waited was woken, and has not come yet.
    Called(Ticket, Waiter),
    Entering,
    Upgrading,
    Closing,
}

impl<T: Shared> State<T> {
    pub(super) fn new(value: Option<T>) -> Self {
        Self {
            value: value.map(Arc::new),
            spare: None,
            readers: Vec::new(),
            upgradable: None,
            alone: None,
            busy: None,
            closed: false,
            waiting: Line::default(),
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
        self.busy.is_none() && self.upgrader.is_none()
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
        let is_by = |holder| thread != ThreadToken::NONE && holder == Some(thread);
        is_by(self.alone) || is_by(self.upgradable) || self.has_reader(thread)
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
        !is_left_out(Step::RefuseBesideUpgrade)
            && (self.upgrader.is_some() || matches!(self.busy, Some(Busy::Upgrading)))
    }

    pub(super) fn begin(&mut self, mode: Mode, thread: ThreadToken) {
        if mode.is_alone() {
            self.alone = Some(thread);
        } else {
            self.busy = Some(Busy::Entering);
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

    /// Gives the last one out the turn to let go, unless somebody who runs with the turn will do it.
    pub(super) fn close(&mut self) -> bool {
        if !self.is_empty() {
            return false;
        }
        match self.busy.take() {
            None => {}
            Some(Busy::Called(ticket, waiter)) if !is_left_out(Step::CallOff) => {
                self.waiting.put(ticket, waiter);
            }
            busy => {
                self.busy = busy;
                return false;
            }
        }
        self.busy = Some(Busy::Closing);
        true
    }

    /// Whether the one with that ticket, which was woken, has the turn; then it runs from now on. If not, it
    /// was called off and waits again.
    pub(super) fn comes(&mut self, ticket: Ticket) -> bool {
        if !self.is_called(ticket) {
            return false;
        }
        self.busy = Some(Busy::Entering);
        true
    }

    pub(super) fn is_called(&self, ticket: Ticket) -> bool {
        matches!(self.busy, Some(Busy::Called(called, _)) if called == ticket)
    }

    /// Does it wait, and has not got the turn?
    pub(super) fn waits(&self, ticket: Ticket) -> bool {
        self.waiting.contains(ticket)
    }

    /// Counts it as awake; `false` when it does not wait any more, because it has got the turn.
    pub(super) fn wakes(&mut self, ticket: Ticket) -> bool {
        let Some(waiter) = self.waiting.get_mut(ticket) else {
            return false;
        };
        if !waiter.awake {
            waiter.awake = true;
            self.awake += 1;
        }
        true
    }

    /// Counts it as asleep.
    pub(super) fn falls_asleep(&mut self, ticket: Ticket) {
        let waiter = self.waiting.get_mut(ticket);
        waiter.expect("it waits").awake = false;
        self.awake -= 1;
    }

    /// Takes it out of the queue; `false` when it was not there.
    pub(super) fn leaves(&mut self, ticket: Ticket) -> bool {
        let Some(waiter) = self.waiting.remove(ticket) else {
            return false;
        };
        self.awake -= usize::from(waiter.awake);
        true
    }

    /// Gives the turn to whoever may have it now.
    pub(super) fn pass_on(&mut self) {
        if self.is_empty() {
            self.closed = false;
        }
        if self.busy.is_some() {
            return;
        }
        if self.upgrader.is_some() {
            if self.readers.is_empty() {
                self.granted = self.upgrader.take();
                self.busy = Some(Busy::Upgrading);
            }
            return;
        }
        let Some(first) = self.waiting.first() else {
            return;
        };
        if !self.admits(first.mode) {
            return;
        }
        let (ticket, first) = self.waiting.pop_first().expect("looked at just now");
        self.awake -= usize::from(first.awake);
        self.granted = Some(Arc::clone(&first.sleeper));
        if first.mode.is_alone() {
            self.alone = Some(first.thread);
        } else {
            self.busy = Some(Busy::Called(ticket, first));
        }
    }
}
