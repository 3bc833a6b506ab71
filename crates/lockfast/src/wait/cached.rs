//! The pause in which a process that caches a lock can release it.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::context::WaitContext;
use super::limits::Wait;
use crate::file::{Goal, LockFile};
use crate::sys::park::Parker;

impl<C: WaitContext> Wait<'_, C> {
    /// An attempt failed, but the holder may only be caching the lock: allows it up to a millisecond to
    /// release.
    pub(crate) fn is_let_in(file: &LockFile, goal: Goal) -> bool {
        if !file.may_be_cached() || PAUSE.replace(Pause::WasDue) != Pause::Allowed {
            return false;
        }
        // It was allowed, so nothing is noted.
        PAUSE.set(Pause::Allowed);
        let interest = file.show_wanted(goal);
        let until = Instant::now() + LONGEST;
        while Instant::now() < until {
            // Nothing reports a release to an attempt, as it waits in no queue of the kernel.
            Parker::default().park(Some(Instant::now() + LONGEST / 20));
            if matches!(file.try_acquire(goal), Ok(true)) {
                interest.acquired();
                return true;
            }
        }
        false
    }
}

/// Makes a single attempt without the pause. Returns its result, and whether the pause was due.
pub(crate) fn without_pause<R>(attempt: impl FnOnce() -> R) -> (R, bool) {
    let before = PAUSE.replace(Pause::Forbidden);
    let result = attempt();
    let was_due = PAUSE.replace(before) == Pause::WasDue;
    (result, was_due)
}

/// Whether the attempts of this thread pause for a process that caches the lock.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pause {
    Allowed,
    Forbidden,
    /// It was forbidden, and an attempt would have paused.
    WasDue,
}

thread_local! {
    static PAUSE: Cell<Pause> = const { Cell::new(Pause::Allowed) };
}

const LONGEST: Duration = Duration::from_millis(1);
