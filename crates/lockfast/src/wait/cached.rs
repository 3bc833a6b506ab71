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
    struct Restore(Pause);
    impl Drop for Restore {
        fn drop(&mut self) {
            PAUSE.set(self.0);
        }
    }
    // By a drop, so also when the attempt panics.
    let _restore = Restore(PAUSE.replace(Pause::Forbidden));
    let result = attempt();
    (result, PAUSE.get() == Pause::WasDue)
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

#[cfg(test)]
mod tests {
    use std::panic;

    use super::*;

    #[test]
    fn after_a_panic_attempts_pause_again() {
        let attempt = || without_pause(|| panic::resume_unwind(Box::new("ouch")));
        panic::catch_unwind(attempt).expect_err("the panic goes on");
        assert!(PAUSE.get() == Pause::Allowed);
    }
}
