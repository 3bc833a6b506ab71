//! The loss of a lock while the command runs.

use std::fmt;
use std::io;
use std::mem;
use std::time::Duration;

use lockfast::engine::Engine;
use lockfast::{HoldState, LostCallback, MemberGuard};

use crate::args::OnLost;
use crate::sys;

/// Time between two looks at an unconfirmed lock.
#[cfg_attr(windows, allow(dead_code, reason = "it looks again and again"))]
const LOOK: Duration = Duration::from_secs(1);

/// The locks of a command that may be lost, and what is done then.
pub(crate) struct Loss<'a> {
    action: OnLost,
    of_group: bool,
    guards: &'a dyn Watched,
    /// The state that the last look found; a state is news once.
    seen: HoldState,
    /// Rings when a lock is not valid any more. A callback that has rung never does so again.
    bells: Vec<LostCallback>,
}

/// A lock that is not held for certain any more.
pub(crate) struct LostLock {
    name: String,
    state: HoldState,
    left: Duration,
}

/// Guards of whichever engine.
pub(crate) trait Watched {
    /// The first lock that is lost; else the first one that is unconfirmed, if any.
    fn lost(&self) -> Option<LostLock>;

    /// Has the main thread look at the locks as soon as one is not valid any more, for as long as the result lives.
    #[cfg_attr(windows, allow(dead_code, reason = "it looks again and again"))]
    fn watch(&self) -> Vec<LostCallback>;
}

impl<E: Engine> Watched for Vec<MemberGuard<E>> {
    fn lost(&self) -> Option<LostLock> {
        let states = self.iter().map(|guard| (guard, guard.state()));
        let lost = states.filter(|(_, state)| *state != HoldState::Valid);
        let (guard, state) = lost.min_by_key(|(_, state)| *state != HoldState::Lost)?;
        Some(LostLock {
            name: guard.resource().to_string(),
            state,
            left: guard.lease_left().unwrap_or_default(),
        })
    }

    fn watch(&self) -> Vec<LostCallback> {
        let ring = |guard: &MemberGuard<E>| guard.on_lost(sys::ring);
        self.iter().map(ring).collect()
    }
}

impl<'a> Loss<'a> {
    /// Returns the watch over these locks.
    ///
    /// A process in the foreground of a terminal stays in its group, or the keyboard would not reach the command.
    pub(crate) fn of(action: OnLost, guards: &'a dyn Watched) -> Self {
        Self {
            action,
            of_group: !sys::is_in_foreground(io::stdin()),
            guards,
            seen: HoldState::Valid,
            bells: Vec::new(),
        }
    }

    pub(crate) fn action(&self) -> OnLost {
        self.action
    }

    #[cfg_attr(windows, allow(dead_code, reason = "there are no process groups"))]
    pub(crate) fn is_of_group(&self) -> bool {
        self.of_group && self.action != OnLost::Warn
    }

    /// Looks at the locks. Returns one that is not valid, if that is news.
    pub(super) fn look(&mut self) -> Option<LostLock> {
        let lost = self.guards.lost();
        let state = lost.as_ref().map_or(HoldState::Valid, |lost| lost.state);
        let before = mem::replace(&mut self.seen, state);
        lost.filter(|_| state != before)
    }

    /// Has the main thread look again: when a lock is not valid any more, or in a while if one is unconfirmed, which
    /// ends without a bell.
    #[cfg_attr(windows, allow(dead_code, reason = "it looks again and again"))]
    pub(super) fn watch(&mut self) -> io::Result<()> {
        match self.seen {
            // The last bells may have rung for a moment that has passed.
            HoldState::Valid => self.bells = self.guards.watch(),
            HoldState::Lost => self.bells.clear(),
            _ => sys::ring_after(LOOK)?,
        }
        Ok(())
    }
}

impl LostLock {
    /// The time for the command to end by itself: less than what is left of the lease, so that it is over before
    /// others can hold the lock. Nothing is left if the lock is lost for certain.
    #[cfg_attr(
        windows,
        allow(dead_code, reason = "there is no way to ask a process to end")
    )]
    pub(super) fn grace(&self) -> Duration {
        match self.state {
            HoldState::Lost => Duration::ZERO,
            _ => self.left * 3 / 4,
        }
    }
}

impl fmt::Debug for Loss<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loss")
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for LostLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match self.state {
            HoldState::Lost => write!(f, "lock {name} is lost: others may hold it"),
            _ => write!(
                f,
                "lock {name} was not confirmed by its server in time: others may hold it in {:.1?}",
                self.left
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A lock in a state that the test sets.
    struct Lock {
        state: Cell<HoldState>,
        watches: Cell<usize>,
    }

    impl Watched for Lock {
        fn lost(&self) -> Option<LostLock> {
            let state = self.state.get();
            (state != HoldState::Valid).then(|| lost(state, 500))
        }

        fn watch(&self) -> Vec<LostCallback> {
            self.watches.set(self.watches.get() + 1);
            Vec::new()
        }
    }

    fn lost(state: HoldState, millis: u64) -> LostLock {
        let left = Duration::from_millis(millis);
        let name = "a".to_owned();
        LostLock { name, state, left }
    }

    #[test]
    fn the_command_has_less_time_than_the_lease() {
        for millis in [1, 500, 1_500] {
            let unconfirmed = lost(HoldState::Unconfirmed, millis);
            assert!(unconfirmed.grace() < unconfirmed.left);
            assert_eq!(lost(HoldState::Lost, millis).grace(), Duration::ZERO);
        }
    }

    #[test]
    fn a_lock_that_is_valid_again_is_watched_again() {
        let lock = Lock {
            state: Cell::new(HoldState::Valid),
            watches: Cell::new(0),
        };
        let mut loss = Loss::of(OnLost::Warn, &lock);
        // (state, whether it is news, the number of times that the locks were watched)
        let looks = [
            (HoldState::Valid, false, 1),
            // It was unconfirmed for a moment, and the bells have rung.
            (HoldState::Valid, false, 2),
            (HoldState::Unconfirmed, true, 2),
            (HoldState::Unconfirmed, false, 2),
            (HoldState::Valid, false, 3),
            (HoldState::Lost, true, 3),
            (HoldState::Lost, false, 3),
        ];
        for (state, is_news, watches) in looks {
            lock.state.set(state);
            assert_eq!(loss.look().is_some(), is_news, "{state:?}");
            // An unconfirmed lock rings a process that catches the alarm.
            if state != HoldState::Unconfirmed {
                loss.watch().expect("watched");
            }
            assert_eq!(lock.watches.get(), watches, "{state:?}");
        }
    }
}
