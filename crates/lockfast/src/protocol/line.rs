//! The line: bounded overtaking without a strict order.
//!
//! The kernel wakes a waiter when a lock is released, but whoever asks before the waiter runs gets the lock. A
//! process that comes back at once can so win for as long as it likes. The line ends that:
//!
//! 1. Before it sleeps, a waiter shares the *sign*. Nobody waits for this byte; it only shows.
//! 2. It waits for the *line*, exclusively: waiters go one after the other.
//! 3. It waits for the lock. If it had to wait for the line, others most likely stand behind it. Then it keeps sign
//!    and line, and they go with the lock: that one call wakes the next one. If the line was free, it gives both back
//!    as soon as it has the lock, which wakes nobody, and the next one sleeps for the lock itself. So does whoever
//!    does not lock alone: not each of its releases would give them back.
//!
//! A newcomer that finds the lock free takes it. But once in [`LOOK_EVERY`] it first asks whether the sign is
//! out. If it is, the newcomer goes to the end of the line. Its turn in the line counts as a look: whoever has
//! waited may come back at once for a while, so that not each short section has to wait until another process
//! is awake.
//!
//! | who | may get the lock before a waiter |
//! |---|---|
//! | those before it in the line | once each, and then for [`LOOK_EVERY`] |
//! | a newcomer that looked before the sign was out | until it is due to look again |
//! | any other newcomer | never |
//!
//! The line is the kernel's queue for one byte. Its waiters are woken in the order in which they came. Until the
//! woken one runs, nobody has the line, and the lock is free. Whoever releases it and comes back at once sees the sign
//! and no line, and waits until the line is taken again. A newcomer that is not due to look can be before the woken
//! one in the line, but not the next time.
//!
//! # No standstill
//!
//! The line comes before all bytes of the contest. Whoever waits for it holds none of them: a step of a plan is a
//! contest only where nothing is locked yet that others wait for. An upgrade and a reader's way through the gate are
//! no contests. So nobody that is waited for with the line in hand waits for the line.
//!
//! Readers ask for no sign. They must get in beside an upgradable reader while a writer waits for that one. Their
//! own sign are the waiting rooms, and the gate keeps them from overtaking.
//!
//! # With `flock`
//!
//! A file that is only locked by `flock` is open for reading, so nobody can lock a byte of it exclusively: there is a
//! sign and no line. Waiters sleep on the `flock` itself. A newcomer that sees their sign gives them the time to wake
//! up before it asks, and then sleeps behind them. Readers of a `flock` can keep a writer out, as the kernel has no
//! order between them. What takes both kinds has its bytes when it waits for the `flock`.
//!
//! # What is left behind
//!
//! A waiter that dies, gives up or is cancelled leaves nothing: all bytes are kernel locks. A waiter that is
//! stopped keeps the line. A waiter behind it that finds the lock itself free, twice and a while apart, does
//! without the line, and heeds no sign for a while. A newcomer that finds nobody in the line for as long goes on.

use std::time::Duration;

use super::layout::{BYTES_LINE, BYTES_SIGN, FIRST_ROOM, FLOCK_SIGN, PERMIT_QUEUE};
use crate::sys::Range;

/// The time between two looks for the sign.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(1);

/// A kernel lock for which newcomers and waiters compete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contest {
    /// The first bytes of a plan that others wait for.
    Bytes,
    /// The file by `flock`.
    Flock,
}

impl Contest {
    /// The byte that waiters share.
    pub(crate) fn sign(self) -> Range {
        match self {
            Self::Bytes => BYTES_SIGN,
            Self::Flock => FLOCK_SIGN,
        }
    }

    /// The byte for which waiters wait, one after the other.
    pub(crate) fn line(self) -> Option<Range> {
        (self == Self::Bytes).then_some(BYTES_LINE)
    }

    /// The sign and the line.
    pub(crate) fn both(self) -> Range {
        let last = self.line().unwrap_or(self.sign());
        Range::between(self.sign().start, last.end())
    }
}

/// All signs of those that wait for bytes, with the waiting rooms of readers, and for a `flock`.
pub(crate) fn signs(of_bytes: bool, of_flock: bool) -> Range {
    let first = if of_bytes { FIRST_ROOM } else { FLOCK_SIGN };
    let last = if of_flock { FLOCK_SIGN } else { BYTES_SIGN };
    Range::between(first.start, last.end())
}

/// Whether a lock that begins there may be a sign. Another program that locks the whole file has none, and
/// is no obstacle for a `flock`.
pub(crate) fn is_within(start: u64) -> bool {
    start >= FIRST_ROOM.start
}

/// The queue for permits, and the sign of others that wait for the file.
pub(crate) fn permit_queue_and_sign() -> Range {
    Range::between(PERMIT_QUEUE.start, BYTES_SIGN.end())
}
