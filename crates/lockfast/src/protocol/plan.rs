//! In which order a mode takes its bytes.
//!
//! A [`Plan`] is a list of kernel calls. The same plans are run on files (`file`) and explored by
//! the model (`model`): three processes, every order of their calls, a crash possible before each.
//!
//! # Exclusion
//!
//! A writer ends with an exclusive lock of the main bytes, a reader with a shared one. The kernel
//! grants no exclusive lock of bytes that another description has locked in any way; nothing else
//! is relied on for exclusion. An upgradable reader is a reader that also has the upgrade byte,
//! which makes it the only one.
//!
//! # No reader overtakes a waiting writer
//!
//! The kernel lets readers in beside readers for as long as they come, and a writer would starve.
//! So a reader locks main and gate in one call and then gives the gate back, and a writer that has to
//! wait shuts the gate first. From then on readers wait for it; those inside leave; it gets in. A
//! writer that waits for an *upgradable* reader, which may become a writer itself, does so before
//! it shuts the gate: until that one leaves, readers come and go.
//!
//! # Writers do not starve readers
//!
//! When a writer leaves, those who wait run for the lock, and the next writer may win every time. So
//! a reader that found the gate shut enters a room, and a writer that had to wait, or that upgrades,
//! empties both rooms before it shuts the gate: the gate is open then, so those in the rooms get in,
//! and those who come later pass the gate and need no room, so the rooms do get empty. A room that is
//! being emptied admits nobody, which is why there are two. A writer that found everything free takes
//! it in one call without a look at the rooms, but not more than [`QUICK_WRITES`] times in a row. A
//! reader in a room is thus overtaken by at most one writer that waits, the one that may have looked
//! before, and by each other description's next [`QUICK_WRITES`] quick ones.
//!
//! # No deadlock
//!
//! The bytes are waited for in one order: upgrade, rooms, gate, main. Nobody waits for an earlier
//! one while it holds a later one, with two exceptions that wait for nobody who could wait for
//! them: a reader in a room waits for main and gate, which are held by those who never wait for a
//! room while they do; and an upgradable reader waits for rooms and gate while it has the main bytes,
//! but it shares those with the readers in the rooms, and only the owner of the upgrade byte, which
//! is itself, shuts the gate.

use super::{TAG_START, permits};
use crate::sys::{Access, Range};

/// The mode in which a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Together with other readers.
    Read,
    /// Together with readers, and as the only one that can become the writer.
    Upgradable,
    /// Alone, among readers and writers.
    Write,
    /// Alone, for locks that have no readers.
    Exclusive,
}

/// Bytes that are locked together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// Everything there is.
    All,
    /// What a writer holds: all but the rooms.
    Whole,
    /// Main and gate.
    Entrance,
    /// The lock itself.
    Main,
    /// What readers pass.
    Gate,
    /// What the next writer has.
    Upgrade,
    /// The same and the tag, by which one who waits to write is known.
    Tagged,
    /// Everything but main.
    BeyondMain,
    /// Everything but main, gate and upgrade.
    BeyondUpgrade,
    /// Both rooms.
    Rooms,
    /// One of the rooms.
    FirstRoom,
    /// The other one.
    SecondRoom,
    /// Everybody in the line for permits shares it.
    Waiting,
    /// Whoever is first in the line for permits.
    Head,
    /// From one to the other. A semaphore's file has nothing else locked between them.
    Line,
}

/// One kernel call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Locks, or converts what is locked. A patient run waits for it.
    Lock(Access, Part),
    /// Gives back.
    Unlock(Part),
    /// Shares the first room that nobody empties; goes on without one if others have both.
    EnterRoom,
    /// If the rooms are empty and the part can be locked at once, the plan is done.
    Shortcut(Access, Part),
}

/// What is done in order, and what is given back when it fails on the way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) steps: &'static [Step],
    pub(crate) undo: Part,
}

/// How often in a row a writer may take the lock without a look at the rooms.
pub(crate) const QUICK_WRITES: u32 = 16;

impl Mode {
    /// What is locked of a file by `flock`, which knows no bytes.
    pub(crate) fn access(self) -> Access {
        match self {
            Self::Read | Self::Upgradable => Access::Shared,
            Self::Write | Self::Exclusive => Access::Exclusive,
        }
    }

    /// As those know it who read traces.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Upgradable => "upgradable",
            Self::Write => "write",
            Self::Exclusive => "exclusive",
        }
    }

    /// May nobody else be inside?
    pub(crate) fn is_alone(self) -> bool {
        self.access() == Access::Exclusive
    }
}

use Access::{Exclusive, Shared};
use Part::{
    All, BeyondMain, BeyondUpgrade, Entrance, FirstRoom, Gate, Main, SecondRoom, Tagged, Upgrade,
    Whole,
};
use Step::{EnterRoom, Lock, Shortcut, Unlock};

const WRITE_QUICK: Plan = fresh(&[Lock(Exclusive, Whole)]);
const WRITE_PATIENT: Plan = fresh(&[
    Lock(Exclusive, Tagged),
    Shortcut(Exclusive, Whole),
    Lock(Exclusive, FirstRoom),
    Unlock(FirstRoom),
    Lock(Exclusive, SecondRoom),
    Unlock(SecondRoom),
    Lock(Exclusive, Gate),
    Lock(Exclusive, Whole),
]);
const READ_QUICK: Plan = fresh(&[Lock(Shared, Entrance), Unlock(Gate)]);
const READ_PATIENT: Plan = fresh(&[EnterRoom, Lock(Shared, Entrance), Unlock(BeyondMain)]);
const UPGRADABLE: Plan = fresh(&[
    Lock(Exclusive, Upgrade),
    Lock(Shared, Entrance),
    Unlock(Gate),
]);

/// Beside readers of the same description.
const JOIN_READ: Plan = Plan {
    steps: READ_QUICK.steps,
    undo: Gate,
};
const JOIN_UPGRADABLE: Plan = Plan {
    steps: UPGRADABLE.steps,
    undo: Upgrade,
};

/// From an upgradable reader to the writer, beside whom there was no other in between.
pub(crate) const UPGRADE: Plan = Plan {
    steps: &[
        Lock(Exclusive, FirstRoom),
        Unlock(FirstRoom),
        Lock(Exclusive, SecondRoom),
        Unlock(SecondRoom),
        Lock(Exclusive, Gate),
        Lock(Exclusive, Whole),
    ],
    undo: Gate,
};
pub(crate) const UPGRADE_QUICK: Plan = Plan {
    steps: &[Lock(Exclusive, Whole)],
    undo: Gate,
};

pub(crate) const WRITE_TO_READ: Plan = downgrade(&[Lock(Shared, Main), Unlock(BeyondMain)]);
pub(crate) const WRITE_TO_UPGRADABLE: Plan =
    downgrade(&[Lock(Shared, Main), Unlock(BeyondUpgrade), Unlock(Gate)]);
pub(crate) const UPGRADABLE_TO_READ: Plan = downgrade(&[Unlock(Upgrade)]);

/// What is tried at once.
pub(crate) fn quick(mode: Mode) -> Plan {
    match mode {
        Mode::Exclusive | Mode::Write => WRITE_QUICK,
        Mode::Read => READ_QUICK,
        Mode::Upgradable => UPGRADABLE,
    }
}

/// What is done when that failed and there is time.
pub(crate) fn patient(mode: Mode) -> Plan {
    match mode {
        Mode::Exclusive => WRITE_QUICK,
        Mode::Write => WRITE_PATIENT,
        Mode::Read => READ_PATIENT,
        Mode::Upgradable => UPGRADABLE,
    }
}

/// What is tried when the description is a reader already.
pub(crate) fn join(mode: Mode) -> Plan {
    match mode {
        Mode::Upgradable => JOIN_UPGRADABLE,
        _ => JOIN_READ,
    }
}

/// For those who hold nothing yet.
const fn fresh(steps: &'static [Step]) -> Plan {
    Plan { steps, undo: All }
}

/// Never has to wait, so nothing is to be undone but what it gives back anyway.
const fn downgrade(steps: &'static [Step]) -> Plan {
    Plan { steps, undo: Gate }
}

impl Part {
    /// Where it is, for an exclusive holder whose range is that long.
    pub(crate) fn range(self, exclusive_len: u64) -> Range {
        const GATE: u64 = TAG_START - 2;
        const UPGRADE: u64 = TAG_START - 1;
        const ROOMS: u64 = TAG_START + (1 << 61);
        let (start, len) = match self {
            Self::All => (0, 0),
            Self::Whole => (0, exclusive_len),
            Self::Entrance => (0, GATE + 1),
            Self::Main => (0, GATE),
            Self::Gate => (GATE, 1),
            Self::Upgrade => (UPGRADE, 1),
            Self::Tagged => (UPGRADE, exclusive_len - UPGRADE),
            Self::BeyondMain => (GATE, 0),
            Self::BeyondUpgrade => (TAG_START, 0),
            Self::Rooms => (ROOMS, 2),
            Self::FirstRoom => (ROOMS, 1),
            Self::SecondRoom => (ROOMS + 1, 1),
            Self::Waiting => (permits::WAITING, 1),
            Self::Head => (permits::HEAD, 1),
            Self::Line => (permits::HEAD, permits::WAITING + 1 - permits::HEAD),
        };
        Range { start, len }
    }

    /// Are the tickets above it a part of it?
    pub(crate) fn reaches_tickets(self) -> bool {
        self.range(TAG_START).len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::exclusive_len;

    #[test]
    fn the_longest_exclusive_range_ends_before_the_rooms() {
        let rooms = Part::Rooms.range(0).start;
        for pid in [1, (1 << 22) - 1] {
            for namespace in [0, 1 << 40, u64::MAX] {
                let whole = Part::Whole.range(exclusive_len(pid, namespace));
                assert!(whole.len <= rooms, "{pid} {namespace}");
                assert!(whole.len > Part::Upgrade.range(0).start);
                let tagged = Part::Tagged.range(whole.len);
                assert_eq!(tagged.start, Part::Upgrade.range(0).start);
                assert_eq!(tagged.start + tagged.len, whole.len);
            }
        }
    }

    #[test]
    fn the_parts_lie_side_by_side() {
        let end = |part: Part| part.range(0).start + part.range(0).len;
        assert_eq!(end(Main), Gate.range(0).start);
        assert_eq!(end(Entrance), end(Gate));
        assert_eq!(end(Gate), Upgrade.range(0).start);
        assert_eq!(end(Upgrade), BeyondUpgrade.range(0).start);
        assert_eq!(end(FirstRoom), SecondRoom.range(0).start);
        assert_eq!(end(Part::Rooms), end(SecondRoom));
        assert!(i64::try_from(end(Part::Rooms)).is_ok());
    }
}
