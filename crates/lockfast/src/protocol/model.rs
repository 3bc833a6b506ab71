//! Every order in which three processes can run the plans, with a crash or a time-out possible at
//! each step.
//!
//! The model has the kernel's rule (an exclusive lock conflicts with every lock of others, a shared
//! one with exclusive ones; a call takes all its bytes or none) and runs the same [`Plan`]s as
//! `file`. Each property is checked twice: it holds for the plans, and it fails for plans in which
//! what it rests on was left out.
//!
//! A process may also take the one permit of a semaphore at the same path: lined up by the real plan,
//! it then waits for the permit, which is one of the main bytes.

use stateright::{Model, Property};

use super::permits;
use super::plan::Part;
use super::plan::{self, Mode, Plan, Step};
use crate::sys::Access;

/// The bytes that matter, each standing for all like it.
pub(crate) const MAIN: usize = 0;
pub(crate) const GATE: usize = 1;
pub(crate) const UPGRADE: usize = 2;
const TAG: usize = 3;
const FIRST_ROOM: usize = 4;
const SECOND_ROOM: usize = 5;
/// Main bytes, too.
const PERMIT: usize = 6;
const HEAD: usize = 7;
const WAITING: usize = 8;
pub(crate) const BYTES: usize = 9;

const PROCESSES: usize = 3;

/// What a process does, over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Role {
    /// Reads.
    Reader,
    /// Writes.
    Writer,
    /// Locks without regard for readers that wait.
    Exclusive,
    /// Reads, upgrades, and writes.
    Upgrader,
    /// Writes, reads on as upgradable, and then as a reader.
    Downgrader,
    /// Takes the permit.
    Taker,
}

/// What a process is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Doing {
    Nothing,
    /// At that step of a plan.
    Trying(Aim, usize),
    Waiting(Aim, usize),
    Inside(Mode),
    /// First in the line for the permit.
    Leading,
    HasPermit,
    Dead,
}

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Aim {
    Enter(Mode),
    Upgrade,
    Downgrade(Mode, Mode),
    /// To be the first in the line for the permit.
    Lead,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Process {
    role: Role,
    rounds: u8,
    doing: Doing,
    locks: [Option<Access>; BYTES],
    /// How many writers that had waited came in while this one was in a room.
    overtaken: u8,
    /// Did somebody else write since this one was upgradable?
    outdated: bool,
    /// Did this one come in while a writer kept the gate shut?
    overtook: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Machine {
    processes: Vec<Process>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    Go(usize),
    GiveUp(usize),
    Crash(usize),
}

/// The plans that the processes follow.
#[derive(Clone, Copy)]
struct Plans {
    quick: fn(Mode) -> Plan,
    patient: fn(Mode) -> Plan,
    upgrade: Plan,
    line_up: Plan,
}

struct Scene {
    roles: [Role; PROCESSES],
    rounds: u8,
    plans: Plans,
}

impl Plans {
    const REAL: Self = Self {
        quick: plan::try_plan,
        patient: plan::wait_plan,
        upgrade: plan::UPGRADE,
        line_up: permits::JOIN_QUEUE,
    };
}

pub(crate) fn bytes(part: Part) -> &'static [usize] {
    match part {
        Part::All => &[0, 1, 2, 3, 4, 5, 6, 7, 8],
        Part::MainToTag => &[MAIN, PERMIT, HEAD, GATE, UPGRADE, TAG],
        Part::MainAndGate => &[MAIN, PERMIT, HEAD, GATE],
        Part::Main => &[MAIN, PERMIT, HEAD],
        Part::Gate => &[GATE],
        Part::Upgrade => &[UPGRADE],
        Part::UpgradeAndTag => &[UPGRADE, TAG],
        Part::GateAndAbove => &[GATE, UPGRADE, TAG, FIRST_ROOM, SECOND_ROOM, WAITING],
        Part::TagAndAbove => &[TAG, FIRST_ROOM, SECOND_ROOM, WAITING],
        Part::Rooms => &[FIRST_ROOM, SECOND_ROOM],
        Part::FirstRoom => &[FIRST_ROOM],
        Part::SecondRoom => &[SECOND_ROOM],
        Part::PermitQueue => &[WAITING],
        Part::Head => &[HEAD],
        Part::HeadToQueue => &[HEAD, WAITING],
    }
}

impl Process {
    fn new(role: Role, rounds: u8) -> Self {
        Self {
            role,
            rounds,
            doing: Doing::Nothing,
            locks: [None; BYTES],
            overtaken: 0,
            outdated: false,
            overtook: false,
        }
    }

    fn unlock(&mut self, part: Part) {
        for &byte in bytes(part) {
            self.locks[byte] = None;
        }
    }

    fn is_in_room(&self) -> bool {
        self.locks[FIRST_ROOM] == Some(Access::Shared)
            || self.locks[SECOND_ROOM] == Some(Access::Shared)
    }

    /// Is it inside as upgradable, or on its way from there to be the writer?
    fn may_upgrade(&self) -> bool {
        matches!(
            self.doing,
            Doing::Inside(Mode::Upgradable)
                | Doing::Trying(Aim::Upgrade, _)
                | Doing::Waiting(Aim::Upgrade, _)
        )
    }

    fn is_alone(&self) -> bool {
        matches!(self.doing, Doing::Inside(mode) if mode.is_alone())
    }

    /// Does it read, in whichever way?
    fn reads(&self) -> bool {
        self.may_upgrade() || self.doing == Doing::Inside(Mode::Read)
    }

    /// Does it wait for readers, with the gate shut?
    fn keeps_gate_shut(&self) -> bool {
        matches!(self.doing, Doing::Waiting(..)) && self.locks[GATE] == Some(Access::Exclusive)
    }
}

impl Machine {
    /// Would the kernel grant it?
    fn is_free(&self, who: usize, access: Access, part: Part) -> bool {
        self.are_free(who, access, bytes(part))
    }

    fn are_free(&self, who: usize, access: Access, wanted: &[usize]) -> bool {
        let conflicts = |lock: Option<Access>| match lock {
            None => false,
            Some(Access::Shared) => access == Access::Exclusive,
            Some(Access::Exclusive) => true,
        };
        let mut others = self.processes.iter().enumerate().filter(|&(i, _)| i != who);
        !others.any(|(_, other)| wanted.iter().any(|&byte| conflicts(other.locks[byte])))
    }

    fn lock(&mut self, who: usize, access: Access, part: Part) {
        for &byte in bytes(part) {
            self.processes[who].locks[byte] = Some(access);
        }
        let reads = access == Access::Shared && bytes(part).contains(&MAIN);
        let gate_is_shut = self.processes.iter().any(Process::keeps_gate_shut);
        let is_new = !self.processes[who].reads() && !self.processes[who].is_alone();
        if reads && gate_is_shut && is_new {
            self.processes[who].overtook = true;
        }
    }

    /// It has reached what it aimed at.
    fn arrive(&mut self, who: usize, aim: Aim, waited: bool) {
        let mode = match aim {
            Aim::Enter(mode) | Aim::Downgrade(_, mode) => mode,
            Aim::Upgrade => Mode::Write,
            Aim::Lead => {
                self.processes[who].doing = Doing::Leading;
                return;
            }
        };
        self.processes[who].doing = Doing::Inside(mode);
        if mode == Mode::Upgradable {
            self.processes[who].outdated = false;
        }
        if !mode.is_alone() {
            self.processes[who].overtaken = 0;
            return;
        }
        for (_, other) in self
            .processes
            .iter_mut()
            .enumerate()
            .filter(|&(i, _)| i != who)
        {
            other.outdated |= other.may_upgrade();
            // Whoever locks without regard for readers is not promised anything of.
            if waited && mode == Mode::Write && other.is_in_room() {
                other.overtaken += 1;
            }
        }
    }
}

impl Scene {
    fn plan(&self, doing: Doing) -> Plan {
        match doing {
            Doing::Trying(Aim::Enter(mode), _) => (self.plans.quick)(mode),
            Doing::Waiting(Aim::Enter(mode), _) => (self.plans.patient)(mode),
            Doing::Trying(Aim::Upgrade, _) => plan::UPGRADE_TRY,
            Doing::Waiting(Aim::Upgrade, _) => self.plans.upgrade,
            Doing::Trying(Aim::Lead, _) | Doing::Waiting(Aim::Lead, _) => self.plans.line_up,
            Doing::Trying(Aim::Downgrade(from, to), _)
            | Doing::Waiting(Aim::Downgrade(from, to), _) => match (from, to) {
                (Mode::Write, Mode::Upgradable) => plan::WRITE_TO_UPGRADABLE,
                (Mode::Upgradable, Mode::Read) => plan::UPGRADABLE_TO_READ,
                _ => plan::WRITE_TO_READ,
            },
            Doing::Nothing | Doing::Inside(_) | Doing::Leading | Doing::HasPermit | Doing::Dead => {
                unreachable!("it follows no plan")
            }
        }
    }

    /// What a process begins with that is not on its way.
    fn begin(process: &mut Process) {
        let enter = |mode| Doing::Trying(Aim::Enter(mode), 0);
        process.doing = match (process.doing, process.role) {
            (Doing::Nothing, _) if process.rounds == 0 => return,
            (Doing::Nothing, Role::Taker) => {
                process.rounds -= 1;
                Doing::Waiting(Aim::Lead, 0)
            }
            (Doing::Nothing, role) => {
                process.rounds -= 1;
                enter(match role {
                    Role::Reader => Mode::Read,
                    Role::Writer | Role::Downgrader => Mode::Write,
                    Role::Exclusive => Mode::Exclusive,
                    Role::Upgrader => Mode::Upgradable,
                    Role::Taker => unreachable!("it begins above"),
                })
            }
            (Doing::Inside(Mode::Upgradable), Role::Upgrader) => Doing::Trying(Aim::Upgrade, 0),
            (Doing::Inside(Mode::Write), Role::Downgrader) => {
                Doing::Trying(Aim::Downgrade(Mode::Write, Mode::Upgradable), 0)
            }
            (Doing::Inside(Mode::Upgradable), Role::Downgrader) => {
                Doing::Trying(Aim::Downgrade(Mode::Upgradable, Mode::Read), 0)
            }
            _ => {
                process.unlock(Part::All);
                Doing::Nothing
            }
        };
    }

    /// The next kernel call of a plan; `None` while the process is blocked in it.
    fn go(&self, mut machine: Machine, who: usize) -> Option<Machine> {
        let doing = machine.processes[who].doing;
        let (aim, at, waits) = match doing {
            Doing::Trying(aim, at) => (aim, at, false),
            Doing::Waiting(aim, at) => (aim, at, true),
            Doing::Dead => return None,
            Doing::Leading => return Self::take_permit(machine, who),
            Doing::Nothing | Doing::Inside(_) | Doing::HasPermit => {
                let before = machine.processes[who].clone();
                Self::begin(&mut machine.processes[who]);
                return (machine.processes[who] != before).then_some(machine);
            }
        };
        let plan = self.plan(doing);
        let mut arrived = at + 1 == plan.steps.len();
        match plan.steps[at] {
            Step::Lock(access, part) if machine.is_free(who, access, part) => {
                machine.lock(who, access, part);
            }
            Step::Lock(..) if waits => return None,
            Step::Lock(..) => {
                // The attempt failed, so now it waits.
                if at > 0 {
                    machine.processes[who].unlock(plan.undo);
                }
                machine.processes[who].doing = Doing::Waiting(aim, 0);
                return Some(machine);
            }
            Step::Unlock(part) => machine.processes[who].unlock(part),
            Step::EnterRoom => {
                let rooms = [Part::FirstRoom, Part::SecondRoom];
                let open = |&part: &Part| machine.is_free(who, Access::Shared, part);
                if let Some(room) = rooms.into_iter().find(open) {
                    machine.lock(who, Access::Shared, room);
                }
            }
            Step::Shortcut(access, part) => {
                let rooms_are_empty = machine.is_free(who, Access::Exclusive, Part::Rooms);
                if rooms_are_empty && machine.is_free(who, access, part) {
                    machine.lock(who, access, part);
                    arrived = true;
                }
            }
        }
        if arrived {
            machine.arrive(who, aim, waits);
        } else {
            machine.processes[who].doing = match doing {
                Doing::Trying(..) => Doing::Trying(aim, at + 1),
                _ => Doing::Waiting(aim, at + 1),
            };
        }
        Some(machine)
    }

    /// The head takes the permit when it is free, and leaves the line.
    fn take_permit(mut machine: Machine, who: usize) -> Option<Machine> {
        if !machine.are_free(who, Access::Exclusive, &[PERMIT]) {
            return None;
        }
        let process = &mut machine.processes[who];
        process.locks[PERMIT] = Some(Access::Exclusive);
        process.unlock(Part::HeadToQueue);
        process.doing = Doing::HasPermit;
        Some(machine)
    }

    /// Only a call that may have to wait comes back without what it is for.
    fn may_give_up(&self, process: &Process) -> bool {
        if process.doing == Doing::Leading {
            return true;
        }
        let Doing::Waiting(_, at) = process.doing else {
            return false;
        };
        matches!(self.plan(process.doing).steps[at], Step::Lock(..))
    }

    /// The time is over, or the wait was cancelled.
    fn give_up(&self, mut machine: Machine, who: usize) -> Machine {
        let doing = machine.processes[who].doing;
        if doing == Doing::Leading {
            let process = &mut machine.processes[who];
            process.unlock(Part::HeadToQueue);
            process.doing = Doing::Nothing;
            return machine;
        }
        let undo = self.plan(doing).undo;
        let process = &mut machine.processes[who];
        let Doing::Waiting(aim, at) = doing else {
            unreachable!("only those who wait give up")
        };
        if at > 0 {
            process.unlock(undo);
        }
        process.overtaken = 0;
        process.doing = match aim {
            Aim::Enter(_) | Aim::Lead => Doing::Nothing,
            Aim::Upgrade => {
                // It reads on, and then leaves.
                process.role = Role::Downgrader;
                Doing::Inside(Mode::Upgradable)
            }
            Aim::Downgrade(from, _) => Doing::Inside(from),
        };
        machine
    }
}

impl Model for Scene {
    type State = Machine;
    type Action = Action;

    fn init_states(&self) -> Vec<Machine> {
        let new = |&role: &Role| Process::new(role, self.rounds);
        vec![Machine {
            processes: self.roles.iter().map(new).collect(),
        }]
    }

    fn actions(&self, machine: &Machine, actions: &mut Vec<Action>) {
        for (who, process) in machine.processes.iter().enumerate() {
            actions.push(Action::Go(who));
            if self.may_give_up(process) {
                actions.push(Action::GiveUp(who));
            }
            if process.doing != Doing::Dead && process.doing != Doing::Nothing {
                actions.push(Action::Crash(who));
            }
        }
    }

    fn next_state(&self, machine: &Machine, action: Action) -> Option<Machine> {
        let mut machine = machine.clone();
        match action {
            Action::Go(who) => self.go(machine, who),
            Action::GiveUp(who) => Some(self.give_up(machine, who)),
            Action::Crash(who) => {
                let process = &mut machine.processes[who];
                process.unlock(Part::All);
                process.doing = Doing::Dead;
                process.overtaken = 0;
                Some(machine)
            }
        }
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(EXCLUSION, |_, machine: &Machine| {
                let count = |is: fn(&Process) -> bool| {
                    machine.processes.iter().filter(|one| is(one)).count()
                };
                let alone = count(Process::is_alone) + count(|one| one.doing == Doing::HasPermit);
                alone == 0 || (alone == 1 && count(Process::reads) == 0)
            }),
            Property::always(ONE_UPGRADABLE, |_, machine: &Machine| {
                let upgradable = machine.processes.iter().filter(|one| one.may_upgrade());
                upgradable.count() <= 1
            }),
            Property::always(ATOMIC_UPGRADE, |_, machine: &Machine| {
                let outdated = |one: &Process| one.may_upgrade() && one.outdated;
                !machine.processes.iter().any(outdated)
            }),
            Property::always(NO_READER_OVERTAKES, |_, machine: &Machine| {
                !machine.processes.iter().any(|one| one.overtook)
            }),
            Property::always(NO_STARVING_READER, |_, machine: &Machine| {
                machine.processes.iter().all(|one| one.overtaken <= 1)
            }),
            Property::always(NO_DEADLOCK, |scene: &Scene, machine: &Machine| {
                let waits =
                    |one: &Process| matches!(one.doing, Doing::Waiting(..) | Doing::Leading);
                let can_go = |who| scene.go(machine.clone(), who).is_some();
                !machine.processes.iter().any(waits) || (0..PROCESSES).any(can_go)
            }),
            Property::always(NOTHING_LEFT, |_, machine: &Machine| {
                let gone = |one: &&Process| matches!(one.doing, Doing::Nothing | Doing::Dead);
                let mut gone = machine.processes.iter().filter(gone);
                gone.all(|one| one.locks.iter().all(Option::is_none))
            }),
        ]
    }
}

const EXCLUSION: &str = "a writer is alone";
const ONE_UPGRADABLE: &str = "there is one upgradable reader";
const ATOMIC_UPGRADE: &str = "nobody writes between upgradable reading and the upgrade";
const NO_READER_OVERTAKES: &str = "no reader overtakes a writer that keeps the gate shut";
const NO_STARVING_READER: &str = "a reader in a room is overtaken by one waiting writer at most";
const NO_DEADLOCK: &str = "somebody can go on";
const NOTHING_LEFT: &str = "whoever is gone has left nothing locked";

mod explored;
