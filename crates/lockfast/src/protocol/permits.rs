//! Which bytes of a semaphore's file mean what, and why that is right.
//!
//! | bytes | name | meaning |
//! |---|---|---|
//! | `2 * i` for `i < N` | permit i | exclusive: somebody has it |
//! | `2^61` | head | exclusive: the first in the line |
//! | `2^62 + 2^61 + 3` | waiting | shared by everybody in the line |
//! | `2^62 + 2^61 + 2^60 + N` | presence | shared by everybody who has it open with N permits |
//!
//! Between two permits a byte stays free, so that the kernel never joins the locks of one
//! description into one that must be split again to release a part.
//!
//! # Beside locks of the same path
//!
//! Permits and head lie within the main bytes. So a [`Lock`](crate::Lock) or a writer of an
//! [`RwLock`](crate::RwLock) of the same path has all the permits, and gets in when all are back and
//! nobody is the head. A reader keeps others from permits too, and is kept out by them.
//!
//! The waiting byte lies outside, as it is held by somebody who waits for the head byte, and so for
//! readers: an upgrade, which keeps the main bytes shared while it waits for the rest of what a writer
//! locks, must not have to wait for it. Whoever has the head byte or a permit waits for nothing but
//! permits, and for those no reader is inside. So no circle can close; `protocol::model` explores it.
//!
//! # Never more than N
//!
//! A permit is an exclusive lock of one byte, and nothing else is relied on. The kernel sees one
//! locker in all the threads of a handle, so a handle claims a permit among them (`pool`) before it
//! asks the kernel, and gives the claim back after the kernel.
//!
//! # One N, without anything stored
//!
//! Who opens it first locks its own presence byte and then asks for those of others. Of two who
//! open it with different numbers the one that asks last sees the other: at least one fails. When
//! the last one has closed it, or died, any number is as good as another.
//!
//! # First come, first served
//!
//! Who finds too few free permits shares the waiting byte and then waits for the head byte in the
//! kernel's queue. Only the head looks for permits, keeps those it found while it needs more, and
//! leaves the line when it has enough. So two who collect several permits can't hold what the other
//! needs. Who comes later sees that the waiting byte is taken, and lines up too.
//!
//! This look costs a call. A release needs it anyway, so it is remembered, and the next acquire of
//! that handle goes by it, once. A handle can thus overtake those in the line once after each of its
//! releases at which nobody was in the line, and no more; its next release sees them. Beyond that,
//! the kernel's queue lets a newcomer who lines up in the instant of a hand-over go before the next.
//!
//! In a strict order ([`tickets`](super::tickets)) one waits for the ticket before one's own, and only
//! the first goes on to the waiting byte and the head byte, where it meets those without tickets. So
//! somebody may be in the line while the waiting byte is free; but whoever gets to it looks for permits
//! afterwards. Nothing is remembered: each newcomer asks for a head or a ticket, by one call.
//!
//! # No wake-up is lost
//!
//! A release unlocks first and then looks for a line. The head, who is in the line, hangs up its
//! bell first and then looks for permits. So either the release finds the line and rings, or the
//! head finds the permit. The same goes for what an attempt gives back because it found too few.
//!
//! The kernel tells of a dead holder's close *before* it drops its locks. So after each ring, and
//! after it has hung up its bell when it may be too late for that ring, the head looks again after
//! 1, 4, 16 and 64 ms. Then it looks ten times a second, which also finds what nobody could ring
//! for.
//!
//! `model` explores all that but the last, with a kill possible at each step.

#[cfg(test)]
mod model;

use super::plan::{Part, Plan, Step};
use crate::sys::{Access, Range};

/// The most that a semaphore can have.
pub(crate) const MAX: u32 = 1024;

/// Where the first in the line is.
pub(super) const HEAD: u64 = 1 << 61;

/// Where everybody in the line is: behind the rooms and the byte of the trial.
pub(super) const WAITING: u64 = (1 << 62) + (1 << 61) + 3;

const PRESENCE: u64 = (1 << 62) + (1 << 61) + (1 << 60);

/// Lines up, and is the head in the end.
pub(crate) const LINE_UP: Plan = Plan {
    steps: &[
        Step::Lock(Access::Shared, Part::Waiting),
        Step::Lock(Access::Exclusive, Part::Head),
    ],
    undo: Part::Line,
};

/// Where the permit of that number is.
pub(crate) fn permit(number: u32) -> Range {
    range(2 * u64::from(number), 1)
}

/// Where all the permits are.
pub(crate) fn all(permits: u32) -> Range {
    range(0, 2 * u64::from(permits))
}

/// Which permits lie in that part of `all`.
pub(crate) fn within(part: Range) -> u64 {
    (part.start + part.len).div_ceil(2) - part.start.div_ceil(2)
}

/// Is anybody in the line?
pub(crate) fn waiting() -> Range {
    range(WAITING, 1)
}

/// Is anybody the head of the line, or in the way of all? Those in the line by tickets are told, too.
pub(crate) fn line_and_beyond() -> Range {
    range(HEAD, 0)
}

/// Who has it open with that number.
pub(crate) fn presence(permits: u32) -> Range {
    range(PRESENCE + u64::from(permits), 1)
}

/// Who has it open with another number.
pub(crate) fn others(permits: u32) -> [Range; 2] {
    let above = u64::from(permits) + 1;
    [
        range(PRESENCE, u64::from(permits)),
        range(
            PRESENCE + above,
            u64::from(MAX) + 1 - above.min(u64::from(MAX)),
        ),
    ]
}

/// With which number somebody has it open whose presence byte that is.
pub(crate) fn number_of(presence: u64) -> Option<u32> {
    let number = u32::try_from(presence.checked_sub(PRESENCE)?).ok()?;
    (1..=MAX).contains(&number).then_some(number)
}

fn range(start: u64, len: u64) -> Range {
    Range { start, len }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{TRIAL, exclusive_len};

    fn end(range: Range) -> u64 {
        range.start + range.len
    }

    #[test]
    fn an_exclusive_lock_covers_permits_and_head_and_nothing_else_of_a_semaphore() {
        let whole = Part::Whole.range(exclusive_len((1 << 22) - 1, u64::MAX));
        assert!(end(all(MAX)) <= HEAD && end(Part::Head.range(0)) <= Part::Main.range(0).len);
        assert!(end(whole) <= WAITING && end(waiting()) <= PRESENCE);
        assert!(end(Part::Rooms.range(0)) <= TRIAL.start && end(TRIAL) <= WAITING);
        assert!(i64::try_from(end(presence(MAX)) + 1).is_ok());
    }

    #[test]
    fn the_others_are_all_but_ones_own() {
        for permits in [1, 2, MAX - 1, MAX] {
            let [below, above] = others(permits);
            assert_eq!(end(below), presence(permits).start);
            assert_eq!(above.start, end(presence(permits)));
            assert!(end(above) > presence(MAX).start && above.len > 0);
            assert_eq!(number_of(presence(permits).start), Some(permits));
        }
        assert_eq!(number_of(0), None);
        assert_eq!(number_of(PRESENCE), None);
    }

    #[test]
    fn permits_are_counted_wherever_a_part_begins_and_ends() {
        assert_eq!(within(all(4)), 4);
        assert_eq!(within(permit(3)), 1);
        assert_eq!(within(range(1, 1)), 0);
        assert_eq!(within(range(1, 4)), 2);
    }
}
