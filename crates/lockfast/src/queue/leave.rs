//! Giving up the lock, as far as the threads of this process are concerned.
//!
//! | holder that leaves | waiters | may linger | what happens |
//! |---|---|---|---|
//! | one of several that share | any | any | [`Stays`](Leave::Stays): its own share only is given up |
//! | exclusive, or by the slot | the first competes, its slice is not over | any | [handed off](Queue::hand_off): stays locked, in the slot |
//! | last one inside | none | yes | [lingers](Turn::linger): stays locked, in the slot |
//! | last one inside | any | any | [`Last`](Leave::Last): the caller unlocks; dropping its turn lets the first waiter in |
//!
//! A lock in the slot counts as held by no thread. Each look at the state may find that it is not to stay
//! there any longer: then [`After`] unlocks it.

use crate::protocol::plan::Mode;
use crate::sys::Access;
use crate::types::thread::ThreadToken;

use super::after::After;
use super::left_out::{ModelStep, is_left_out};
use super::shared::Queue;
use super::state::Passing;
use super::turn::{Purpose, Turn};
use super::unlock::Unlock;

/// The duty of a holder that leaves.
#[must_use]
pub(crate) enum Leave<'q, T: Unlock> {
    /// Nothing but that: others are inside, or one who runs with the turn unlocks for it.
    Stays(After<'q, T>),
    /// To unlock with this turn.
    Last(Turn<'q, T>),
}

impl<T: Unlock> Queue<T> {
    /// Leaves. An upgradable reader that isn't the last one gives up by `stay` what others don't have.
    pub(crate) fn leave(
        &self,
        mode: Mode,
        thread: ThreadToken,
        stay: impl FnOnce(&T),
    ) -> Leave<'_, T> {
        if mode.is_alone() {
            // It is inside until the turn is dropped, so nobody else changes the state meanwhile.
            let purpose = Purpose::Close(Access::Exclusive);
            return Leave::Last(Turn::without_value(self, thread, purpose));
        }
        let (turn, after) = self.update(|state| {
            state.remove(mode, thread);
            if state.begin_close() {
                let purpose = Purpose::Close(Access::Shared);
                return Some(Turn::new(self, state, thread, purpose));
            }
            if let (Mode::Upgradable, Some(value)) = (mode, state.value()) {
                if !is_left_out(ModelStep::Stay) {
                    stay(value);
                }
            }
            // A waiter may be admitted that the upgradable reader kept out.
            state.pass_on();
            None
        });
        match turn {
            None => Leave::Stays(after),
            Some(turn) => {
                after.run();
                Leave::Last(turn)
            }
        }
    }

    /// Leaves the lock in the hand-off slot, for an exclusive holder or one that took it from there, if
    /// waiters come by or it lingers. If not, the lock is returned; then the slot is shut, and the caller has
    /// to leave as no thread.
    pub(crate) fn hand_off(
        &self,
        held: Box<T::Held>,
        access: Access,
    ) -> Result<After<'_, T>, Box<T::Held>> {
        let (left, after) = self.update(|state| {
            if access == Access::Exclusive {
                // In the slot it belongs to no thread.
                state.exclusive = Some(ThreadToken::NONE);
            }
            if state.may_stay_open() {
                // `Linger` stays what it is: the slot may be left open when nobody waits, too.
                if state.passing == Passing::No {
                    state.passing = Passing::HandOff(access);
                }
                self.handoff.open(held, access);
                Ok(())
            } else {
                // The caller has the lock, so nothing is in the slot, and nothing gets there from now on.
                state.shut(&self.handoff);
                Err(held)
            }
        });
        match left {
            Ok(()) => Ok(after),
            Err(held) => {
                after.run();
                Err(held)
            }
        }
    }

    /// Ends lingering. Returns whether the lock was idle, and so was unlocked.
    pub(crate) fn end_linger(&self) -> bool {
        let ((), after) = self.update(|state| state.passing = state.passing.without_linger());
        after.run()
    }

    /// Shuts the hand-off slot if it is idle; waiters that come by there go first.
    pub(crate) fn shut_idle_handoff(&self) -> bool {
        self.handoff.is_idle() && self.end_linger()
    }

    /// Holds the lock from now on as one that did not take it from a slot.
    pub(crate) fn leave_slot(&self, thread: ThreadToken) {
        let ((), after) = self.update(|state| {
            // The caller has the lock, so nothing is in the slot; `update` has shut the fast one.
            state.shut(&self.handoff);
            state.exclusive = Some(thread);
        });
        after.run();
    }

    /// From now on no thread counts as the holder that took the lock from a slot.
    pub(crate) fn disown_slot(&self) {
        self.handoff.disown();
    }

    /// Changes the mode of a guard, which belongs to that thread from now on.
    pub(crate) fn change(&self, from: Mode, to: Mode, thread: ThreadToken) {
        debug_assert!(from != Mode::Read, "nothing is weaker");
        let ((), after) = self.update(|state| {
            // No thread is needed to find either of the two modes that can be changed.
            state.remove(from, ThreadToken::NONE);
            state.add(to, thread);
            state.pass_on();
        });
        after.run();
    }
}
