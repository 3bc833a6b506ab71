//! Plans: the order in which each mode takes its bytes.
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
//! The kernel grants shared locks for as long as readers come, and a writer would starve. So a reader
//! locks main and gate in one call and then gives the gate back, and a writer that has to wait shuts the
//! gate first. From then on readers wait for it; those inside leave; it gets in. Readers that pass the gate all
//! the time could keep it from shutting the gate. So a writer on its way there has always one *door* locked, and
//! readers ask once in a millisecond whether one is, and if so, wait for it. A writer that waits for an
//! *upgradable* reader, which may become a writer itself, does so before it locks a door: until that
//! reader leaves, readers come and go.
//!
//! # Writers do not starve readers
//!
//! When a writer leaves, all waiters race for the lock, and the next writer may win every time. So
//! a reader that found the gate shut, or a door, enters a waiting room, and a writer that had to wait, or that
//! upgrades, lets both rooms become empty before it shuts the gate: the gate is open then, so the readers in the
//! rooms get in. Each room has a door. The writer locks the second one while the first room becomes empty, and then
//! the first one while the second does. Readers that come enter the room whose door is locked, and wait there: so
//! the room that becomes empty does so, even if those in it take their time to wake up, and nobody who comes
//! meanwhile passes the writer more than once. A reader in a room that does not run for [`ROOM_PATIENCE`] was
//! stopped, most likely, and is overtaken. A writer that found everything free takes it in one call, and
//! looks at the rooms once in a millisecond, together with the [sign](mod@super::line) of writers that wait. A
//! reader in a room is thus overtaken by at most one writer that waits, the one that may have looked before,
//! and for a millisecond by each other description's quick ones.
//!
//! # Writers do not starve each other
//!
//! A writer and an upgradable reader wait for the upgrade byte before all others, and a lock without readers
//! for all of its bytes at once. There newcomers could overtake for ever; see [`line`](mod@super::line).
//!
//! # No deadlock
//!
//! The bytes are waited for in one order: upgrade, doors and rooms, gate, main. Nobody waits for an
//! earlier byte while it holds a later one, with three exceptions. A reader in a room waits for its door, which
//! is free while a writer waits for that room. A reader in a room waits for main and gate, whose
//! holders never wait for a room meanwhile. An upgradable reader waits for rooms and gate while it has the
//! main bytes, but it shares those with the readers in the rooms, and only the owner of the upgrade byte,
//! which is itself, locks doors and shuts the gate.

use std::time::Duration;

use crate::sys::Access;

pub(crate) use super::part::Part;

/// The time that a reader in a waiting room has to wake up and get in, once it can.
pub(crate) const ROOM_PATIENCE: Duration = Duration::from_millis(50);

/// The mode in which a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Together with other readers.
    Read,
    /// Together with readers, and as the only one that can become the writer.
    Upgradable,
    /// Alone, where others read.
    Write,
    /// Alone, for locks that have no readers.
    Exclusive,
}

/// A step of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Locks, or converts what is locked. A wait plan waits for it.
    Lock(Access, Part),
    /// As `Lock`, with nothing in hand that others wait for: where newcomers and waiters compete. A wait for it
    /// goes by the [line](mod@super::line).
    Contend(Access, Part),
    Unlock(Part),
    /// Chooses a room: the second one if its door is locked, else the first one.
    ChooseRoom,
    /// Shares the chosen room, or the other one if a writer has that.
    EnterRoom,
    /// Waits until the door of the room that was entered is open.
    PassDoor,
    /// Waits until nobody is in the room, but not much longer than it takes those in it to wake up.
    AwaitEmpty(Part),
    /// Ends the plan if the rooms are empty and the part can be locked at once.
    Shortcut(Access, Part),
}

impl Step {
    /// Whether a wait for it may end without what it is for.
    #[cfg(test)]
    pub(super) fn may_wait(self) -> bool {
        matches!(
            self,
            Self::Lock(..) | Self::Contend(..) | Self::PassDoor | Self::AwaitEmpty(_)
        )
    }
}

/// The kernel calls of one operation, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) steps: &'static [Step],
    /// The bytes to release when it fails after the first step.
    pub(crate) undo: &'static [Part],
}

impl Mode {
    /// The access to main, or to the file by `flock`, which knows no bytes.
    pub(crate) fn access(self) -> Access {
        match self {
            Self::Read | Self::Upgradable => Access::Shared,
            Self::Write | Self::Exclusive => Access::Exclusive,
        }
    }

    /// The name of the mode in traces.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Upgradable => "upgradable",
            Self::Write => "write",
            Self::Exclusive => "exclusive",
        }
    }

    /// Whether nobody else may be inside.
    pub(crate) fn is_alone(self) -> bool {
        self.access() == Access::Exclusive
    }
}

use Access::{Exclusive, Shared};
use Part::{
    All, Doors, FirstDoor, FirstRoom, Gate, GateAndAbove, Main, MainAndGate, MainToTag, SecondDoor,
    SecondRoom, TagAndAbove, Upgrade, UpgradeAndTag,
};
use Step::{AwaitEmpty, ChooseRoom, Contend, EnterRoom, Lock, PassDoor, Shortcut, Unlock};

// One call: a writer that finds everything free never has a part of it.
const WRITE_TRY: Plan = fresh(&[Contend(Exclusive, MainToTag)]);
const WRITE_WAIT: Plan = fresh(&[
    // From here on no other writer is on its way, so none is met by the steps below.
    Contend(Exclusive, UpgradeAndTag),
    // Nobody reads or wants to: no room has to become empty.
    Shortcut(Exclusive, MainToTag),
    // From here to the gate one door is always locked: readers that see it stay away from the gate.
    Lock(Exclusive, SecondDoor),
    // The readers in this room can get in, as its door and the gate are open.
    AwaitEmpty(FirstRoom),
    Lock(Exclusive, FirstDoor),
    Unlock(SecondDoor),
    AwaitEmpty(SecondRoom),
    // From here on no reader gets in.
    Lock(Exclusive, Gate),
    Unlock(FirstDoor),
    // Waits until the readers inside have left.
    Lock(Exclusive, MainToTag),
]);
// Main and gate in one call, so whoever is inside has passed the gate. Then the gate is given back: a
// writer could not shut it while anybody reads.
const READ_TRY: Plan = fresh(&[Lock(Shared, MainAndGate), Unlock(Gate)]);
const READ_WAIT: Plan = fresh(&[
    ChooseRoom,
    // In a room before the gate: the next writer waits until the room is empty.
    EnterRoom,
    // Waits while a writer is about to shut the gate.
    PassDoor,
    // Inside with this call; the next one gives back the room together with the gate.
    Lock(Shared, MainAndGate),
    Unlock(GateAndAbove),
]);
const UPGRADABLE: Plan = fresh(&[
    // One at a time: whoever has this byte may become the next writer.
    Contend(Exclusive, Upgrade),
    Lock(Shared, MainAndGate),
    Unlock(Gate),
]);

/// For a description that reads already: only what it takes in addition is undone.
const JOIN_READ: Plan = Plan {
    steps: READ_TRY.steps,
    undo: &[Gate],
};
const JOIN_UPGRADABLE: Plan = Plan {
    steps: UPGRADABLE.steps,
    // Main and gate are locked by one call or not at all, so only the upgrade byte can be left.
    undo: &[Upgrade],
};

/// From upgradable reader to writer, without another writer in between.
pub(crate) const UPGRADE: Plan = Plan {
    // Main stays shared until the last call converts it, so no other writer gets in between.
    steps: &[
        Lock(Exclusive, SecondDoor),
        AwaitEmpty(FirstRoom),
        Lock(Exclusive, FirstDoor),
        Unlock(SecondDoor),
        AwaitEmpty(SecondRoom),
        Lock(Exclusive, Gate),
        Unlock(FirstDoor),
        Lock(Exclusive, MainToTag),
    ],
    undo: &[Gate, Doors],
};
pub(crate) const UPGRADE_TRY: Plan = Plan {
    steps: &[Lock(Exclusive, MainToTag)],
    undo: &[Gate],
};

// Main is converted first: other writers are kept out by it when the upgrade byte is given back.
pub(crate) const WRITE_TO_READ: Plan = downgrade(&[Lock(Shared, Main), Unlock(GateAndAbove)]);
pub(crate) const WRITE_TO_UPGRADABLE: Plan =
    // Two calls, as the upgrade byte, which stays, lies between gate and tag.
    downgrade(&[Lock(Shared, Main), Unlock(TagAndAbove), Unlock(Gate)]);
pub(crate) const UPGRADABLE_TO_READ: Plan = downgrade(&[Unlock(Upgrade)]);

/// The plan of an attempt.
pub(crate) fn try_plan(mode: Mode) -> Plan {
    match mode {
        Mode::Exclusive | Mode::Write => WRITE_TRY,
        Mode::Read => READ_TRY,
        Mode::Upgradable => UPGRADABLE,
    }
}

/// The plan of a wait, after the attempt failed.
pub(crate) fn wait_plan(mode: Mode) -> Plan {
    match mode {
        Mode::Exclusive => WRITE_TRY,
        Mode::Write => WRITE_WAIT,
        Mode::Read => READ_WAIT,
        Mode::Upgradable => UPGRADABLE,
    }
}

/// The attempt of a description that reads already.
pub(crate) fn join_plan(mode: Mode) -> Plan {
    match mode {
        Mode::Upgradable => JOIN_UPGRADABLE,
        _ => JOIN_READ,
    }
}

/// A plan of a description that holds nothing yet.
const fn fresh(steps: &'static [Step]) -> Plan {
    Plan {
        steps,
        undo: &[All],
    }
}

/// A plan that never has to wait: it undoes only what it releases anyway.
const fn downgrade(steps: &'static [Step]) -> Plan {
    Plan {
        steps,
        undo: &[Gate],
    }
}
