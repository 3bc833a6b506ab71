//! How the turn passes on: to the last one out, which unlocks, and to the first waiter.

use std::sync::Arc;

use crate::queue::left_out::{ModelStep, is_left_out};
use crate::queue::unlock::Unlock;
use crate::queue::wait_list::Position;
use crate::sys::Access;

use super::{Phase, QueueState};

impl<T: Unlock> QueueState<T> {
    /// Gives the last one out the turn to unlock, unless somebody who runs with the turn will unlock.
    pub(in crate::queue) fn begin_close(&mut self) -> bool {
        if !self.is_empty() {
            return false;
        }
        match std::mem::replace(&mut self.phase, Phase::Closing) {
            // Nobody runs with the turn.
            Phase::Idle => {}
            // The waiter may come late or never (invariant 1). It waits again, as the first.
            Phase::Called(at, waiter) if !is_left_out(ModelStep::CallOff) => {
                // It is not counted as awake: readers do not compete for the slot.
                self.waiting.put(at, waiter);
            }
            // Somebody runs with the turn, finds nobody inside when it ends, and unlocks then.
            phase => {
                self.phase = phase;
                return false;
            }
        }
        true
    }

    /// The last one out has unlocked and leaves; its turn passes on.
    #[inline]
    pub(in crate::queue) fn left(&mut self, access: Access, spare: Option<Box<T::Held>>) {
        match access {
            Access::Exclusive => {
                self.exclusive = None;
                // The next slice begins with the next waiter.
                self.since = None;
            }
            // It was `Closing`, in which nobody enters: nobody has come inside since the last one left.
            Access::Shared => self.phase = Phase::Idle,
        }
        self.keep_spare(spare);
        self.pass_on();
    }

    /// Whether the waiter at that position, which was woken, has the turn; then it runs from now on. If not,
    /// it was called off and waits again.
    pub(in crate::queue) fn comes(&mut self, at: Position) -> bool {
        if !self.is_called(at) {
            return false;
        }
        // From here on it runs, so the last one out leaves the unlocking to it.
        self.phase = Phase::Entering;
        true
    }

    pub(in crate::queue) fn is_called(&self, at: Position) -> bool {
        matches!(self.phase, Phase::Called(called, _) if called == at)
    }

    /// Whether it waits and has not got the turn.
    pub(in crate::queue) fn waits(&self, at: Position) -> bool {
        self.waiting.contains(at)
    }

    /// Counts the waiter as awake; `false` when it does not wait any more, because it has got the turn.
    pub(in crate::queue) fn wakes(&mut self, at: Position) -> bool {
        let Some(waiter) = self.waiting.get_mut(at) else {
            return false;
        };
        if !waiter.awake {
            waiter.awake = true;
            self.awake += 1;
        }
        true
    }

    /// Counts the waiter as asleep.
    pub(in crate::queue) fn falls_asleep(&mut self, at: Position) {
        let waiter = self.waiting.get_mut(at);
        waiter.expect("it waits").awake = false;
        self.awake -= 1;
    }

    /// Takes the waiter out of the queue; `false` when it was not there.
    pub(in crate::queue) fn leaves(&mut self, at: Position) -> bool {
        let Some(waiter) = self.waiting.remove(at) else {
            return false;
        };
        self.awake -= usize::from(waiter.awake);
        true
    }

    /// Gives the turn to whoever may have it now.
    #[inline]
    pub(in crate::queue) fn pass_on(&mut self) {
        if self.is_empty() {
            // All have left who were inside when a reader was held back.
            self.closed = false;
        }
        // Whoever has the turn, or was called to it, passes it on when that is over.
        if !self.is_idle() {
            return;
        }
        if self.upgrader.is_some() || !self.waiting.is_empty() {
            self.call_next();
        }
    }

    #[cold]
    fn call_next(&mut self) {
        // Before all waiters: they would have to wait for the upgradable reader, and it for them.
        if self.upgrader.is_some() {
            if self.readers.is_empty() {
                self.granted = self.upgrader.take();
                self.phase = Phase::Upgrading;
            }
            return;
        }
        let Some(first) = self.waiting.first() else {
            return;
        };
        if !self.admits(first.mode) {
            return;
        }
        let (at, first) = self.waiting.pop_first().expect("looked at just now");
        // It does not come by at the slot any more.
        self.awake -= usize::from(first.awake);
        self.granted = Some(Arc::clone(&first.sleeper));
        if first.mode.is_alone() {
            // Inside from now on, so that nobody gets in before it runs.
            self.exclusive = Some(first.thread);
        } else {
            // Not inside yet: should those inside leave before it runs, the last one must unlock.
            self.phase = Phase::Called(at, first);
        }
    }
}
