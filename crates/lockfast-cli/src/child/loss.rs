//! The loss of a lock while the command runs.

use std::fmt;
use std::io;
use std::time::Duration;

use lockfast::engine::Engine;
use lockfast::{HoldState, LostCallback, MemberGuard};

use crate::args::OnLost;
use crate::sys;

/// The locks of a command that may be lost, and what is done then.
pub(crate) struct Loss<'a> {
    action: OnLost,
    of_group: bool,
    guards: &'a dyn Watched,
}

/// A lock that is not held for certain any more.
pub(crate) struct LostLock {
    name: String,
    state: HoldState,
    left: Duration,
}

/// Guards of whichever engine.
pub(crate) trait Watched {
    /// The first lock that is lost, if any.
    fn lost(&self) -> Option<LostLock>;
}

impl<E: Engine> Watched for Vec<MemberGuard<E>> {
    fn lost(&self) -> Option<LostLock> {
        let is_lost = |guard: &&MemberGuard<E>| guard.state() != HoldState::Valid;
        self.iter().find(is_lost).map(|guard| LostLock {
            name: guard.resource().to_string(),
            state: guard.state(),
            left: guard.lease_left().unwrap_or_default(),
        })
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
        }
    }

    /// Has the main thread look at the locks when one is lost. What is returned must live as long as the command.
    pub(crate) fn ring_for<E: Engine>(guards: &[MemberGuard<E>]) -> Vec<LostCallback> {
        guards
            .iter()
            .map(|guard| guard.on_lost(sys::ring))
            .collect()
    }

    pub(crate) fn action(&self) -> OnLost {
        self.action
    }

    #[cfg_attr(windows, allow(dead_code, reason = "there are no process groups"))]
    pub(crate) fn is_of_group(&self) -> bool {
        self.of_group && self.action != OnLost::Warn
    }

    pub(super) fn lost(&self) -> Option<LostLock> {
        self.guards.lost()
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
    use super::*;

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
}
