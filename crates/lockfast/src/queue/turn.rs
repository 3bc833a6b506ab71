//! The turn of one thread.

use std::sync::Arc;

use super::left_out::{Step, is_left_out};
use super::line::Waiter;
use super::sleeper::Sleeper;
use super::state::State;
use super::waiter::{Aim, QueuedWaiter};
use super::{Queue, Shared};
use crate::protocol::plan::Mode;
use crate::sys::Access;
use crate::types::thread::ThreadToken;

/// The right to deal with the kernel; passes it on when dropped.
pub(crate) struct Turn<'q, T: Shared> {
    queue: &'q Queue<T>,
    value: Option<Arc<T>>,
    /// For the next one, when this one leaves.
    spare: Option<Box<T::HeldLock>>,
    thread: ThreadToken,
    purpose: Purpose,
}

/// What the turn is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To get in; beside others who were inside when it began, if `joins`.
    Enter { mode: Mode, joins: bool },
    /// To be alone, from upgradable.
    Upgrade,
    /// To let go, as the last one out.
    Close,
}

impl<'q, T: Shared> Turn<'q, T> {
    pub(super) fn new(
        queue: &'q Queue<T>,
        state: &State<T>,
        thread: ThreadToken,
        purpose: Purpose,
    ) -> Self {
        let mut turn = Self::without_value(queue, thread, purpose);
        turn.value = state.value().cloned();
        turn
    }

    pub(super) fn without_value(
        queue: &'q Queue<T>,
        thread: ThreadToken,
        purpose: Purpose,
    ) -> Self {
        Self {
            queue,
            value: None,
            spare: None,
            thread,
            purpose,
        }
    }

    /// Leaves what it had of the value to the next one.
    pub(crate) fn spare(&mut self, parcel: Box<T::HeldLock>) {
        self.spare = Some(parcel);
    }

    /// What the one before left of what is shared.
    pub(crate) fn take_spare(&mut self) -> Option<Box<T::HeldLock>> {
        self.spare.take()
    }

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
        self.queue.state().set_value(value.cloned());
        self.value = None;
        self.spare = None;
    }

    /// Are others inside, or were they when the turn began?
    pub(crate) fn joins(&self) -> bool {
        matches!(self.purpose, Purpose::Enter { joins: true, .. })
    }

    /// The kernel has granted it: is inside until it leaves.
    pub(crate) fn keep(self) {
        match self.purpose {
            Purpose::Enter { mode, .. } if mode.is_alone() => {
                if self.queue.has_waiting() {
                    self.queue.state().restart_slice();
                }
            }
            Purpose::Enter { mode, .. } => {
                let mut state = self.queue.state();
                state.add(mode, self.thread);
                state.busy = None;
                state.pass_on();
            }
            Purpose::Upgrade => {
                let mut state = self.queue.state();
                state.upgradable = None;
                state.alone = Some(self.thread);
                state.busy = None;
            }
            Purpose::Close => unreachable!("it has nothing to keep"),
        }
        self.done();
    }

    /// Nothing is to be passed on.
    fn done(mut self) {
        self.value = None;
        self.spare = None;
        std::mem::forget(self);
    }

    /// The last one out leaves the lane open for the next who reads, if nobody waits and it is allowed.
    pub(crate) fn linger(
        self,
        parcel: Box<T::HeldLock>,
        is_allowed: impl FnOnce() -> bool,
    ) -> Result<(), (Self, Box<T::HeldLock>)> {
        let mut state = self.queue.state();
        if !state.waiting.is_empty() || state.upgrader.is_some() || !is_allowed() {
            drop(state);
            return Err((self, parcel));
        }
        state.add(Mode::Read, ThreadToken::NONE);
        state.busy = None;
        state.open = Some(Access::Shared);
        state.lingers = true;
        self.queue.lane.open_to_linger(parcel, Access::Shared);
        drop(state);
        self.done();
        Ok(())
    }

    /// The kernel holds it back for others: nobody joins until all who are inside have left, and
    /// then this one is first.
    pub(crate) fn step_back(mut self) -> QueuedWaiter<'q, T> {
        let Purpose::Enter { mode, .. } = self.purpose else {
            unreachable!("only those who enter join")
        };
        let (queue, thread) = (self.queue, self.thread);
        let sleeper = Arc::new(Sleeper::default());
        let mut state = queue.state();
        if !is_left_out(Step::Close) {
            state.closed = true;
        }
        let ticket = state
            .waiting
            .push_front(Waiter::new(mode, thread, &sleeper));
        let aim = Aim::Enter(mode, ticket);
        let place = QueuedWaiter::new(queue, &state, sleeper, thread, aim, false);
        // To itself, if all have left meanwhile.
        self.give_up(&mut state);
        drop(state);
        self.done();
        place
    }

    /// Passes the turn on, with nothing that was gained by it.
    fn give_up(&mut self, state: &mut State<T>) {
        match self.purpose {
            Purpose::Enter { mode, .. } if mode.is_alone() => state.alone = None,
            Purpose::Enter { joins, .. } => {
                // The last of those inside left without letting go, as this one was busy.
                if joins && state.is_empty() && !is_left_out(Step::LetGo) {
                    if let Some(value) = &self.value {
                        if !value.let_go() {
                            state.set_value(None);
                        }
                    }
                }
                state.busy = None;
            }
            Purpose::Upgrade | Purpose::Close => state.busy = None,
        }
        if self.spare.is_some() {
            state.spare = self.spare.take();
        }
        state.pass_on();
    }
}

impl<T: Shared> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        if self.queue.is_own() {
            let queue = self.queue;
            self.give_up(&mut queue.state());
        }
    }
}
