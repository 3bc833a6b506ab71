//! The bytes of the tickets.

use crate::protocol::layout::{READER_TICKETS, TICKETS, WRITER_TICKETS};
use crate::protocol::plan::Mode;
use crate::sys::{Access, Range};

/// The two kinds of tickets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    Readers,
    Writers,
}

impl Side {
    /// The side of a newcomer with that mode.
    pub(crate) fn of(mode: Mode) -> Self {
        match mode {
            Mode::Read => Self::Readers,
            Mode::Upgradable | Mode::Write | Mode::Exclusive => Self::Writers,
        }
    }

    /// The question whether anybody is before a newcomer.
    pub(crate) fn anybody(self) -> Call {
        match self {
            Self::Readers => Call::Find(Access::Shared, WRITER_TICKETS),
            Self::Writers => {
                let all = Range::between(READER_TICKETS.start, WRITER_TICKETS.end());
                Call::Find(Access::Exclusive, all)
            }
        }
    }

    /// The access by which a ticket of that side is locked.
    pub(super) fn taking(self) -> Access {
        match self {
            Self::Readers => Access::Shared,
            Self::Writers => Access::Exclusive,
        }
    }

    /// The access that conflicts with a ticket of that side, and not with those that wait for one.
    pub(super) fn finding(self) -> Access {
        match self {
            // Readers share their tickets, so a shared question would not see them.
            Self::Readers => Access::Exclusive,
            // Several may wait for one ticket of a writer. Shared, they do not keep each other waiting.
            Self::Writers => Access::Shared,
        }
    }
}

/// The call that takes the ticket of an upgrade.
pub(crate) fn upgrade() -> Call {
    Call::Try(Access::Exclusive, bytes(Side::Writers, 0, 1))
}

/// All tickets, and everything above them.
pub(crate) fn all() -> Range {
    Range::from_start(READER_TICKETS.start)
}

/// The side of the tickets in a range, if nothing else is in it.
#[cfg(feature = "inspect")]
pub(crate) fn side_of(range: Range) -> Option<Side> {
    if READER_TICKETS.contains(range) {
        Some(Side::Readers)
    } else {
        WRITER_TICKETS.contains(range).then_some(Side::Writers)
    }
}

/// The number to begin with at that instant, in nanoseconds since 1970: it grows by 1 in 64 ns, and lasts
/// for 584 years.
pub(crate) fn number_at(nanoseconds: u64) -> u64 {
    // Number 0 is that of an upgrade, which is before all others.
    (nanoseconds >> 6).clamp(1, TICKETS - 1)
}

/// A kernel call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Asks for a lock of others that is in the way.
    Find(Access, Range),
    /// Locks the range if that is possible at once.
    Try(Access, Range),
    /// Waits until the range can be locked, and unlocks it.
    Await(Access, Range),
}

/// The tickets with these numbers.
pub(super) fn bytes(side: Side, low: u64, high: u64) -> Range {
    match side {
        Side::Writers => Range::between(WRITER_TICKETS.start + low, WRITER_TICKETS.start + high),
        // Counted downwards from the writers' tickets, so that low numbers of both sides meet in the middle.
        Side::Readers => Range::between(READER_TICKETS.end() - high, READER_TICKETS.end() - low),
    }
}

/// All tickets before that number: one range, as the sides grow away from each other.
pub(super) fn earlier(number: u64) -> Range {
    Range::between(READER_TICKETS.end() - number, WRITER_TICKETS.start + number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_is_left_to_upgrades() {
        assert_eq!(number_at(0), 1);
        assert_eq!(number_at(u64::MAX), TICKETS - 1);
        assert!(number_at(1_000) < number_at(1_100));
        let Call::Try(_, upgrade) = upgrade() else {
            panic!("it tries")
        };
        assert_eq!(upgrade.end(), bytes(Side::Writers, 1, 2).start);
    }

    #[cfg(feature = "inspect")]
    #[test]
    fn a_ticket_names_its_side() {
        for side in [Side::Readers, Side::Writers] {
            for number in [0, 1, TICKETS - 1] {
                assert_eq!(side_of(bytes(side, number, number + 1)), Some(side));
            }
        }
        let below = Range::new(READER_TICKETS.start - 1, 1);
        let beyond = Range::new(WRITER_TICKETS.end(), 1);
        let middle = Range::new(WRITER_TICKETS.start - 1, 2);
        for other in [all(), below, beyond, middle, Range::ALL] {
            assert_eq!(side_of(other), None, "{other:?}");
        }
    }

    #[test]
    fn earlier_tickets_are_one_range() {
        let readers = bytes(Side::Readers, 0, 7);
        let writers = bytes(Side::Writers, 0, 7);
        assert_eq!(readers.end(), writers.start);
        assert_eq!(earlier(7), Range::between(readers.start, writers.end()));
    }
}
