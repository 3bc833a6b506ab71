//! The bytes that the plans lock together, by name.

use super::layout;
use crate::sys::Range;

/// Bytes that are locked or released by one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    All,
    /// All that a writer holds: main, gate, upgrade and its tag.
    MainToTag,
    /// All that a reader locks on its way in.
    MainAndGate,
    Main,
    Gate,
    Upgrade,
    /// By these a process that waits to write is known.
    UpgradeAndTag,
    /// Everything but main.
    GateAndAbove,
    /// Everything but main, gate and upgrade.
    TagAndAbove,
    /// Both waiting rooms.
    Rooms,
    FirstRoom,
    SecondRoom,
    /// The doors of both rooms.
    Doors,
    FirstDoor,
    SecondDoor,
    /// Shared by everybody in the queue for permits.
    PermitQueue,
    /// The place of the first in that queue.
    Head,
    /// From the head to the queue. A semaphore's file has nothing else locked between them.
    HeadToQueue,
}

impl Part {
    /// The range of these bytes, for an exclusive holder whose range is that long.
    pub(crate) const fn range(self, exclusive_len: u64) -> Range {
        use layout::{
            FIRST_DOOR, FIRST_ROOM, GATE, MAIN, PERMIT_HEAD, PERMIT_QUEUE, SECOND_DOOR,
            SECOND_ROOM, TAG, UPGRADE,
        };
        match self {
            Self::All => Range::ALL,
            Self::MainToTag => Range::new(0, exclusive_len),
            Self::MainAndGate => Range::between(MAIN.start, GATE.end()),
            Self::Main => MAIN,
            Self::Gate => GATE,
            Self::Upgrade => UPGRADE,
            Self::UpgradeAndTag => Range::between(UPGRADE.start, exclusive_len),
            Self::GateAndAbove => Range::from_start(GATE.start),
            Self::TagAndAbove => Range::from_start(TAG.start),
            Self::Rooms => Range::between(FIRST_ROOM.start, SECOND_ROOM.end()),
            Self::FirstRoom => FIRST_ROOM,
            Self::SecondRoom => SECOND_ROOM,
            Self::Doors => Range::between(FIRST_DOOR.start, SECOND_DOOR.end()),
            Self::FirstDoor => FIRST_DOOR,
            Self::SecondDoor => SECOND_DOOR,
            Self::PermitQueue => PERMIT_QUEUE,
            Self::Head => PERMIT_HEAD,
            // Permits lie below the head, and sign and line above the queue: both outlast this.
            Self::HeadToQueue => Range::between(PERMIT_HEAD.start, PERMIT_QUEUE.end()),
        }
    }

    /// The door of a room.
    ///
    /// # Panics
    ///
    /// If it is no room.
    pub(crate) fn door(self) -> Self {
        match self {
            Self::FirstRoom => Self::FirstDoor,
            Self::SecondRoom => Self::SecondDoor,
            _ => unreachable!("{self:?} has no door"),
        }
    }

    /// The range of these bytes without the tickets.
    pub(crate) const fn below_tickets(self, exclusive_len: u64) -> Range {
        let range = self.range(exclusive_len);
        if self.reaches_tickets() {
            Range::between(range.start, layout::READER_TICKETS.start)
        } else {
            range
        }
    }

    /// Whether the tickets, which lie above all other bytes, are a part of it.
    pub(crate) const fn reaches_tickets(self) -> bool {
        matches!(self, Self::All | Self::GateAndAbove | Self::TagAndAbove)
    }
}
