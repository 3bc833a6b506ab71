//! The starving bytes: bounded overtaking without a strict order.
//!
//! The kernel wakes a waiter when a lock is released, but whoever asks before the waiter runs gets the lock. A
//! process that comes back at once can so win for as long as it likes. A waiter that has waited for
//! [`PATIENCE`] therefore *starves*, and ends that:
//!
//! 1. It shares the *sign*. Nobody waits for this byte; it only shows.
//! 2. It waits for the *line*, exclusively: the starving go one after the other.
//! 3. It waits for the lock, and gives back both bytes when it has it.
//!
//! A newcomer asks once in [`PATIENCE`] whether the sign is out. If it is, the newcomer starves at once: it
//! goes to the end of the line instead of taking the lock. An acquire that is not due to ask costs nothing.
//!
//! | who | may get the lock before a starving waiter |
//! |---|---|
//! | those before it in the line | once each |
//! | those that sleep on the lock itself | until they starve, too |
//! | a newcomer that asked before the sign was out | until it is due to ask again |
//! | any other newcomer | never |
//!
//! The line is the kernel's queue for one byte. Its waiters are woken in the order in which they came. A
//! newcomer that asks in the instant between a wake-up and the run of the woken can be before it in the line,
//! but not before the sign.
//!
//! # No standstill
//!
//! The line comes before all bytes of the contest, so whoever waits for the line or has it holds none of
//! them: a step of a plan is a contest only where nothing is locked yet that others wait for. An upgrade and a
//! reader's way through the gate are no contests. Readers ask for no sign: they must get in beside an upgradable
//! reader while a writer waits for that one. Their own sign are the waiting rooms, and what keeps them from
//! overtaking is the gate.
//!
//! A `flock` has a contest of its own, as a program that takes both kinds holds its bytes when it waits for
//! the `flock`. So the order is: line for bytes, bytes, line for `flock`, `flock`.
//!
//! A waiter that dies, gives up or is cancelled leaves nothing: the bytes are kernel locks. One that is stopped
//! keeps the line. A starving waiter that finds the lock itself free, twice and a while apart, does without
//! the line, and heeds no sign for a while.

use std::time::Duration;

use super::layout::{BYTES_LINE, BYTES_SIGN, FIRST_ROOM, FLOCK_LINE, FLOCK_SIGN};
use crate::sys::Range;

/// The time that a waiter has waited when it starves, and the time between two looks for the sign.
pub(crate) const PATIENCE: Duration = Duration::from_millis(1);

/// A kernel lock for which newcomers and waiters compete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contest {
    /// The first bytes of a plan that a holder locks.
    Bytes,
    /// The file by `flock`.
    Flock,
}

impl Contest {
    /// The byte that the starving share.
    pub(crate) fn sign(self) -> Range {
        match self {
            Self::Bytes => BYTES_SIGN,
            Self::Flock => FLOCK_SIGN,
        }
    }

    /// The byte for which the starving wait, one after the other.
    pub(crate) fn line(self) -> Range {
        match self {
            Self::Bytes => BYTES_LINE,
            Self::Flock => FLOCK_LINE,
        }
    }

    /// The sign and the line.
    pub(crate) fn both(self) -> Range {
        Range::between(self.sign().start, self.line().end())
    }
}

/// All signs, also those of readers in the waiting rooms.
pub(crate) fn all_signs(of_readers: bool, of_flock: bool) -> Range {
    let first = if of_readers { FIRST_ROOM } else { BYTES_SIGN };
    let last = if of_flock { FLOCK_SIGN } else { BYTES_SIGN };
    Range::between(first.start, last.end())
}
