//! Semaphores: the bytes of their files, and why the protocol is right.
//!
//! The bytes are in [`layout`](super::layout). A process that has a permit holds the permit's byte
//! exclusively. The first in the queue for permits, the *head*, holds the head byte exclusively. Everybody
//! in the queue shares the queue byte. Everybody who has a semaphore of N permits open shares the presence
//! byte of N.
//!
//! # With other locks of the same path
//!
//! Permits and head lie within the main bytes. So a [`Lock`](crate::Lock) or a writer of an
//! [`RwLock`](crate::RwLock) of the same path holds all the permits, and gets in when all are free and
//! nobody is the head. Readers and permits keep each other out too.
//!
//! The queue byte lies outside. It is held while its holder waits for the head byte, and so for readers: an
//! upgrade, which keeps the main bytes shared while it waits for the rest of the bytes of a writer,
//! must not have to wait for it. Whoever has the head byte or a permit waits for permits only, and no
//! reader is inside then. So no circle can close; `protocol::model` explores it.
//!
//! # Never more than N
//!
//! A permit is an exclusive lock of one byte, and nothing else is relied on. The kernel sees all threads of
//! a handle as one owner. So a handle claims a permit among its threads (`file::permits`) before it asks the
//! kernel, and gives the claim back after the kernel's lock.
//!
//! # One N, without anything stored
//!
//! An open first locks its own presence byte and then asks for those of other numbers. Of two opens with
//! different numbers the one that asks last sees the other: at least one fails. When the last process
//! has closed the file, or died, any number is as good as another.
//!
//! # First come, first served
//!
//! A process that finds too few free permits shares the queue byte and then waits for the head byte in the
//! kernel. Only the head looks for permits. It keeps the permits it has found while it needs more, and
//! leaves the queue when it has enough. So two processes that collect several permits never hold what the
//! other one needs. A process that comes later sees that the queue byte is locked, and joins the queue.
//!
//! That look costs a call. A release needs it anyway, so its answer is remembered, and the next acquire of
//! that handle relies on it, once. So after each of its releases that saw no queue, a handle can overtake a
//! new queue once; its next release sees the queue. Apart from that, the kernel lets a newcomer that joins
//! in the instant of a hand-over go before the next in the queue.
//!
//! In the FIFO order ([`tickets`](super::tickets)) a process waits for the ticket before its own, and only
//! the first goes on to the queue byte and the head byte, where it meets processes without tickets. So there
//! may be a queue while the queue byte is free; but whoever gets to the queue byte looks for permits
//! afterwards. Nothing is remembered: each newcomer asks for a head or a ticket, by one call.
//!
//! # No wake-up is lost
//!
//! A release unlocks first and then looks for a queue. The head, which is in the queue, first watches the
//! file and then looks for permits. So either the release finds the queue and notifies, or the head finds
//! the permit. The same holds for permits that an attempt gives back because it found too few.
//!
//! The kernel reports the close of a dead holder *before* it drops its locks. So after each notification,
//! and after it began to watch when that notification may have been missed, the head looks again after 1 ms,
//! and each time after twice as long, up to 100 ms. From then on it looks ten times a second, which also
//! covers releases that nothing notifies of.
//!
//! `model` explores all that but the last, with a kill possible at each step.

#[cfg(test)]
mod model;

use super::layout::{MAX_PERMITS, PERMIT_HEAD, PERMITS, PRESENCE};
use super::plan::{Part, Plan, Step};
use crate::sys::{Access, Range};

/// The most permits that a semaphore can have.
pub(crate) const MAX: u32 = MAX_PERMITS;

/// Joins the queue and becomes its head.
pub(crate) const JOIN_QUEUE: Plan = Plan {
    steps: &[
        Step::Lock(Access::Shared, Part::PermitQueue),
        Step::Contend(Access::Exclusive, Part::Head),
    ],
    undo: &[Part::HeadToQueue],
};

/// The byte of that permit.
pub(crate) fn permit(number: u32) -> Range {
    Range::new(PERMITS.start + 2 * u64::from(number), 1)
}

/// The bytes of all permits.
pub(crate) fn all(permits: u32) -> Range {
    Range::new(PERMITS.start, 2 * u64::from(permits))
}

/// The number of permits in that part of `all`.
pub(crate) fn within(part: Range) -> u64 {
    // Permits are the even bytes, so both ends are rounded up to one.
    part.end().div_ceil(2) - part.start.div_ceil(2)
}

/// Locked by the head of the queue, by whoever holds everything, and by those in the queue by tickets.
pub(crate) fn head_and_above() -> Range {
    Range::from_start(PERMIT_HEAD.start)
}

/// Locked by everybody who has it open with that number of permits.
pub(crate) fn presence(permits: u32) -> Range {
    Range::new(PRESENCE.start + u64::from(permits), 1)
}

/// Locked by everybody who has it open with another number of permits.
pub(crate) fn others(permits: u32) -> [Range; 2] {
    let own = presence(permits);
    [
        Range::between(PRESENCE.start, own.start),
        // One byte more than there are numbers: a length of 0 would mean something else.
        Range::between(own.end(), PRESENCE.end() + 1),
    ]
}

/// The number of permits with which a process has it open that locks this presence byte.
pub(crate) fn number_of(presence: u64) -> Option<u32> {
    let number = u32::try_from(presence.checked_sub(PRESENCE.start)?).ok()?;
    (1..=MAX).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_all_but_the_own_one() {
        for permits in [1, 2, MAX - 1, MAX] {
            let [below, above] = others(permits);
            assert_eq!(below.end(), presence(permits).start);
            assert_eq!(above.start, presence(permits).end());
            assert!(above.end() > presence(MAX).start && above.len > 0);
            assert_eq!(number_of(presence(permits).start), Some(permits));
        }
        assert_eq!(number_of(0), None);
        assert_eq!(number_of(PRESENCE.start), None);
    }

    #[test]
    fn permits_are_counted_wherever_a_part_begins_and_ends() {
        assert_eq!(within(all(4)), 4);
        assert_eq!(within(permit(3)), 1);
        assert_eq!(within(Range::new(1, 1)), 0);
        assert_eq!(within(Range::new(1, 4)), 2);
    }
}
