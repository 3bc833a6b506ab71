//! The kernel of the models: its rule for locks, and the steps of a plan.

use crate::protocol::plan::{Part, Plan, Step};
use crate::sys::Access;

/// The bytes that matter, each standing for all like it.
pub(crate) const MAIN: usize = 0;
pub(crate) const GATE: usize = 1;
pub(crate) const UPGRADE: usize = 2;
const TAG: usize = 3;
pub(super) const FIRST_ROOM: usize = 4;
pub(super) const SECOND_ROOM: usize = 5;
/// Main bytes, too.
pub(super) const PERMIT: usize = 6;
const HEAD: usize = 7;
const QUEUE: usize = 8;
pub(super) const SIGN: usize = 9;
pub(super) const LINE: usize = 10;
const FIRST_DOOR: usize = 11;
const SECOND_DOOR: usize = 12;
/// No byte: whether a reader has chosen the second room, as it saw its door locked.
const CHOSE_SECOND: usize = 13;
pub(crate) const BYTES: usize = 14;

const GATE_AND_ABOVE: [usize; 10] = [
    GATE,
    UPGRADE,
    TAG,
    FIRST_ROOM,
    SECOND_ROOM,
    QUEUE,
    SIGN,
    LINE,
    FIRST_DOOR,
    SECOND_DOOR,
];

/// The locks of one process, by byte.
pub(crate) type Locks = [Option<Access>; BYTES];

pub(crate) fn bytes(part: Part) -> &'static [usize] {
    match part {
        Part::All => &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13],
        Part::MainToTag => &[MAIN, PERMIT, HEAD, GATE, UPGRADE, TAG],
        Part::MainAndGate => &[MAIN, PERMIT, HEAD, GATE],
        Part::Main => &[MAIN, PERMIT, HEAD],
        Part::Gate => &[GATE],
        Part::Upgrade => &[UPGRADE],
        Part::UpgradeAndTag => &[UPGRADE, TAG],
        Part::GateAndAbove => &GATE_AND_ABOVE,
        // Without gate and upgrade.
        Part::TagAndAbove => &GATE_AND_ABOVE[2..],
        Part::Rooms => &[FIRST_ROOM, SECOND_ROOM],
        Part::FirstRoom => &[FIRST_ROOM],
        Part::SecondRoom => &[SECOND_ROOM],
        Part::Doors => &[FIRST_DOOR, SECOND_DOOR],
        Part::FirstDoor => &[FIRST_DOOR],
        Part::SecondDoor => &[SECOND_DOOR],
        Part::PermitQueue => &[QUEUE],
        Part::Head => &[HEAD],
        Part::HeadToQueue => &[HEAD, QUEUE],
    }
}

fn room(is_second: bool) -> Part {
    if is_second {
        Part::SecondRoom
    } else {
        Part::FirstRoom
    }
}

pub(crate) fn conflicts(one: Access, other: Access) -> bool {
    one == Access::Exclusive || other == Access::Exclusive
}

/// The outcome of a step of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stepped {
    On,
    Done,
    Blocked,
}

/// Processes with locks. An exclusive lock conflicts with every lock of others, a shared one with exclusive
/// ones; a call takes all its bytes or none.
pub(crate) trait Kernel {
    fn processes(&self) -> usize;

    fn locks(&self, who: usize) -> &Locks;

    fn locks_mut(&mut self, who: usize) -> &mut Locks;

    /// Whether the kernel would grant it.
    fn is_free(&self, who: usize, access: Access, part: Part) -> bool {
        self.are_free(who, access, bytes(part))
    }

    fn are_free(&self, who: usize, access: Access, wanted: &[usize]) -> bool {
        let mut others = (0..self.processes()).filter(|&other| other != who);
        !others.any(|other| {
            let mut locks = wanted.iter().filter_map(|&byte| self.locks(other)[byte]);
            locks.any(|lock| conflicts(lock, access))
        })
    }

    fn lock(&mut self, who: usize, access: Access, part: Part) {
        for &byte in bytes(part) {
            self.locks_mut(who)[byte] = Some(access);
        }
    }

    fn unlock(&mut self, who: usize, part: Part) {
        for &byte in bytes(part) {
            self.locks_mut(who)[byte] = None;
        }
    }

    /// Gives back what a plan has locked that fails.
    fn undo(&mut self, who: usize, plan: Plan) {
        for &part in plan.undo {
            self.unlock(who, part);
        }
    }

    /// Whether the step is not blocked.
    fn can_step(&self, who: usize, step: Step) -> bool {
        match step {
            Step::Lock(access, part) | Step::Contend(access, part) => {
                self.is_free(who, access, part)
            }
            Step::PassDoor => {
                let is_second = self.locks(who)[SECOND_ROOM].is_some();
                self.is_free(who, Access::Shared, room(is_second).door())
            }
            Step::AwaitEmpty(room) => self.is_free(who, Access::Exclusive, room),
            Step::Unlock(_) | Step::ChooseRoom | Step::EnterRoom | Step::Shortcut(..) => true,
        }
    }

    /// Makes one call of the plan.
    fn step(&mut self, who: usize, plan: Plan, at: usize) -> Stepped {
        let step = plan.steps[at];
        if !self.can_step(who, step) {
            return Stepped::Blocked;
        }
        match step {
            Step::Lock(access, part) | Step::Contend(access, part) => self.lock(who, access, part),
            Step::Unlock(part) => self.unlock(who, part),
            Step::ChooseRoom => {
                let is_open = self.is_free(who, Access::Shared, Part::SecondDoor);
                self.locks_mut(who)[CHOSE_SECOND] = (!is_open).then_some(Access::Shared);
            }
            Step::EnterRoom => {
                let is_second = self.locks_mut(who)[CHOSE_SECOND].take().is_some();
                self.lock(who, Access::Shared, room(is_second));
            }
            Step::PassDoor | Step::AwaitEmpty(_) => {}
            Step::Shortcut(access, part) => {
                let rooms_are_empty = self.is_free(who, Access::Exclusive, Part::Rooms);
                if rooms_are_empty && self.is_free(who, access, part) {
                    self.lock(who, access, part);
                    return Stepped::Done;
                }
            }
        }
        if at + 1 == plan.steps.len() {
            Stepped::Done
        } else {
            Stepped::On
        }
    }
}
