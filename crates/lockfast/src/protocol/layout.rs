//! The byte layout of a lock file: one table of all offsets that have a meaning.
//!
//! The content of a lock file is irrelevant. Kernel locks cover ranges of offsets, and the offsets are a
//! name space of 2^63 bytes that need not exist in the file. With `R = 2^62 + 2^61`:
//!
//! | bytes | name | meaning |
//! |---|---|---|
//! | `[0, 2^62 - 2)` | main | the lock itself: shared by readers, exclusive for a writer |
//! | `2 * i` for `i < 1024`, in main | permits | exclusive: permit `i` of a semaphore is taken |
//! | `2^61`, in main | permit head | exclusive: the first in the queue for permits |
//! | `2^62 - 2` | gate | readers pass it on their way in; a writer that waits for readers keeps it shut |
//! | `2^62 - 1` | upgrade | held by the process that is, or may become, the next writer |
//! | `[2^62, R - 1)` | tag | an exclusive holder locks `[0, 2^62 + tag)`: the length names it |
//! | `R`, `R + 1` | waiting rooms | readers that found the gate shut wait in one of the two |
//! | `R + 2` | trial | locked for an instant, where it is doubtful whether locks conflict |
//! | `R + 3` | permit queue | shared by everybody in the queue for permits |
//! | `R + 4` | sign | shared by everybody who waits, but for readers |
//! | `R + 5` | line | exclusive: the waiter that is the next, until the release if it keeps its place |
//! | `R + 6` | flock sign | shared by everybody who waits for the file by `flock` |
//! | `R + 7`, `R + 8` | doors | a door is locked by a writer that waits while the other room becomes empty |
//! | `R + 2^60 + n`, `n <= 1024` | presence | shared by everybody who has a semaphore of `n` permits open |
//! | `R + 2^60 + 2^57` | wanted | shared by waiters while a process may have the lock cached |
//! | the next byte | cache mark | shared, with all waiter marks, by a process that caches the lock |
//! | the next `2^42` bytes | waiter marks | exclusive: the waiter with this pid and descriptor |
//! | `[2^63 - 2^59 - 2^58, 2^63 - 2^59)` | readers' tickets | shared: a reader's place in the FIFO order |
//! | `[2^63 - 2^59, 2^63 - 2^59 + 2^58)` | writers' tickets | exclusive: a writer's place |
//!
//! Programs that lock the whole file, or byte 0, conflict with every holder of the main bytes.
//!
//! On Windows nobody can read or write locked bytes. There the main bytes but byte 0 lie `2^60` higher, and
//! nothing else lies in `[2^60, 2^61)`. There is no tag (`sys/pieces.rs`).
//!
//! # When offsets may change
//!
//! Two builds of lockfast may meet on one file at any time, so the table is a protocol between versions:
//!
//! 1. An offset, a length or a meaning changes only with a major version. Others only add ranges, where
//!    none was before and no holder locks.
//! 2. A byte that had a meaning never gets another one.
//! 3. Main starts at byte 0 in every version. So a lock of one version always keeps out all others.
//! 4. Builds with different layouts never meet silently. A version that moves a range asks for locks on the
//!    old bytes (`F_OFD_GETLK`) before it waits, and fails with an error when it finds one.
//!
//! The table's order is checked at compile time, and a test has every offset as a number. To change the
//! test is to change the protocol.
//!
//! # Signs and lines
//!
//! They are explained in [`line`](mod@super::line). They lie next to the waiting rooms, so that one question of the
//! kernel covers both, and above what any holder needs, so that a waiter can have them while it waits for the
//! holder. A release of everything, and of everything from the gate or from the tag on, gives them back.

use crate::sys::Range;

pub(super) const MAIN: Range = Range::new(0, (1 << 62) - 2);
pub(super) const GATE: Range = Range::new(MAIN.end(), 1);
pub(super) const UPGRADE: Range = Range::new(GATE.end(), 1);
// The longest tag ends a byte before the first room. A holder that locked the rooms, too, would keep readers
// out of them.
pub(super) const TAG: Range = Range::new(UPGRADE.end(), (1 << TAG_BITS) - 1);
// From here to the doors lies nothing that a holder needs, so a waiter can have these bytes while it waits for
// one.
pub(super) const FIRST_ROOM: Range = Range::new((1 << 62) + (1 << 61), 1);
pub(super) const SECOND_ROOM: Range = Range::new(FIRST_ROOM.end(), 1);
pub(crate) const TRIAL: Range = Range::new(SECOND_ROOM.end(), 1);
pub(super) const PERMIT_QUEUE: Range = Range::new(TRIAL.end(), 1);
pub(super) const BYTES_SIGN: Range = Range::new(PERMIT_QUEUE.end(), 1);
pub(super) const BYTES_LINE: Range = Range::new(BYTES_SIGN.end(), 1);
pub(super) const FLOCK_SIGN: Range = Range::new(BYTES_LINE.end(), 1);
pub(super) const FIRST_DOOR: Range = Range::new(FLOCK_SIGN.end(), 1);
pub(super) const SECOND_DOOR: Range = Range::new(FIRST_DOOR.end(), 1);
/// Byte `n` is for semaphores of `n` permits; byte 0 is unused.
pub(super) const PRESENCE: Range =
    Range::new((1 << 62) + (1 << 61) + (1 << 60), MAX_PERMITS as u64 + 1);
pub(super) const WANTED: Range = Range::new((1 << 62) + (1 << 61) + (1 << 60) + (1 << 57), 1);
/// Shared with all waiter marks by a process that caches the lock, and never locked by a waiter.
pub(super) const CACHE_MARK: Range = Range::new(WANTED.end(), 1);
pub(super) const WAITER_MARKS: Range = Range::new(CACHE_MARK.end(), 1 << 42);
/// Number `n` is `n + 1` bytes below the end, so that everything earlier than a writer's ticket is one range.
pub(super) const READER_TICKETS: Range = Range::new(WRITER_TICKETS.start - TICKETS, TICKETS);
pub(super) const WRITER_TICKETS: Range = Range::new((1 << 63) - (1 << 59), TICKETS);

/// Every other byte, so that the kernel never joins the locks of two permits into one that must be split
/// again for a release.
pub(super) const PERMITS: Range = Range::new(0, 2 * MAX_PERMITS as u64);
pub(super) const PERMIT_HEAD: Range = Range::new(1 << 61, 1);

/// The bits of a tag.
pub(super) const TAG_BITS: u32 = 61;

/// The most permits that a semaphore can have.
pub(crate) const MAX_PERMITS: u32 = 1024;

/// The number of tickets of readers, and of writers.
pub(super) const TICKETS: u64 = 1 << 58;

/// Ranges that must not overlap, in the order of their offsets.
const APART: [Range; 18] = [
    MAIN,
    GATE,
    UPGRADE,
    TAG,
    FIRST_ROOM,
    SECOND_ROOM,
    TRIAL,
    PERMIT_QUEUE,
    BYTES_SIGN,
    BYTES_LINE,
    FLOCK_SIGN,
    FIRST_DOOR,
    SECOND_DOOR,
    PRESENCE,
    WANTED,
    CACHE_MARK,
    WAITER_MARKS,
    READER_TICKETS,
];

/// Main bytes are moved there on Windows, and nothing else may lie there.
const MOVED_MAIN: Range = Range::between(1 << 60, 1 << 61);

const _: () = {
    let mut next = 1;
    while next < APART.len() {
        assert!(APART[next - 1].end() <= APART[next].start, "ranges overlap");
        next += 1;
    }
    // Side by side, so that all tickets before a writer's are one range, and one question.
    assert!(READER_TICKETS.end() == WRITER_TICKETS.start);
    // The last offset that the kernel knows is 2^63 - 1.
    assert!(WRITER_TICKETS.end() < Range::LIMIT);
    // Whoever holds main exclusively has all permits, and waits for their queue's head.
    assert!(MAIN.contains(PERMITS) && MAIN.contains(PERMIT_HEAD));
    assert!(!PERMITS.overlaps(PERMIT_HEAD));
    assert!(!PERMITS.overlaps(MOVED_MAIN) && !PERMIT_HEAD.overlaps(MOVED_MAIN));
    assert!(MOVED_MAIN.end() <= GATE.start);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offset_is_what_other_builds_expect() {
        let table = [
            (MAIN, 0, 0x3fff_ffff_ffff_fffe),
            (PERMITS, 0, 2048),
            (PERMIT_HEAD, 0x2000_0000_0000_0000, 1),
            (GATE, 0x3fff_ffff_ffff_fffe, 1),
            (UPGRADE, 0x3fff_ffff_ffff_ffff, 1),
            (TAG, 0x4000_0000_0000_0000, 0x1fff_ffff_ffff_ffff),
            (FIRST_ROOM, 0x6000_0000_0000_0000, 1),
            (SECOND_ROOM, 0x6000_0000_0000_0001, 1),
            (TRIAL, 0x6000_0000_0000_0002, 1),
            (PERMIT_QUEUE, 0x6000_0000_0000_0003, 1),
            (BYTES_SIGN, 0x6000_0000_0000_0004, 1),
            (BYTES_LINE, 0x6000_0000_0000_0005, 1),
            (FLOCK_SIGN, 0x6000_0000_0000_0006, 1),
            (FIRST_DOOR, 0x6000_0000_0000_0007, 1),
            (SECOND_DOOR, 0x6000_0000_0000_0008, 1),
            (PRESENCE, 0x7000_0000_0000_0000, 1025),
            (WANTED, 0x7200_0000_0000_0000, 1),
            (CACHE_MARK, 0x7200_0000_0000_0001, 1),
            (WAITER_MARKS, 0x7200_0000_0000_0002, 0x400_0000_0000),
            (READER_TICKETS, 0x7400_0000_0000_0000, 0x400_0000_0000_0000),
            (WRITER_TICKETS, 0x7800_0000_0000_0000, 0x400_0000_0000_0000),
        ];
        for (range, start, len) in table {
            assert_eq!(range, Range::new(start, len));
        }
    }
}
