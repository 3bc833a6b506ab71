//! Giving a process that keeps a lock without using it some time to release it.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::context::WaitContext;
use super::limits::Wait;
use crate::file::{Goal, LockFile};
use crate::sys::park::Parker;

impl<C: WaitContext> Wait<'_, C> {
    /// An attempt failed, but the holder may only be keeping the lock: gives it up to a millisecond to
    /// release it.
    pub(crate) fn is_let_in(file: &LockFile, goal: Goal) -> bool {
        if !file.may_be_cached() || KEEPERS.replace(Keepers::WereMet) != Keepers::Given {
            return false;
        }
        KEEPERS.set(Keepers::Given);
        let interest = file.show_wanted(goal);
        let until = Instant::now() + KEEPERS_TIME;
        while Instant::now() < until {
            Parker::default().park(Some(Instant::now() + KEEPERS_TIME / 20));
            if matches!(file.try_acquire(goal), Ok(true)) {
                interest.acquired();
                return true;
            }
        }
        false
    }
}

/// Makes a single attempt that gives no keeper its time; the flag tells whether a keeper was met.
pub(crate) fn without_keepers<R>(attempt: impl FnOnce() -> R) -> (R, bool) {
    let before = KEEPERS.replace(Keepers::NotGiven);
    let result = attempt();
    let met = KEEPERS.replace(before) == Keepers::WereMet;
    (result, met)
}

/// Whether the attempts of this thread wait for a keeper of the lock.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keepers {
    Given,
    NotGiven,
    /// A keeper would have been given its time.
    WereMet,
}

thread_local! {
    static KEEPERS: Cell<Keepers> = const { Cell::new(Keepers::Given) };
}

const KEEPERS_TIME: Duration = Duration::from_millis(1);
