//! Every order in which three processes can run the plans, with a crash or a time-out possible at
//! each step.
//!
//! The model has the rule of the [kernel] and runs the same [`Plan`]s as `file`. Each property is checked
//! twice: it holds for the plans, and it fails for plans without a step that it rests on.
//!
//! A process may also take the one permit of a semaphore at the same path: it joins the queue by the real
//! plan, and then waits for the permit, which is one of the main bytes.

mod explored;
pub(crate) mod kernel;

use stateright::{Model, Property};

use super::permits;
use super::plan::Part;
use super::plan::{self, Mode, Plan, Step};
use crate::sys::Access;
use kernel::{FIRST_ROOM, GATE, Kernel, Locks, MAIN, PERMIT, SECOND_ROOM, Stepped, bytes};

const PROCESSES: usize = 3;

/// The work of a process, over and over.
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

/// The state of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Doing {
    Nothing,
    /// At that step of a plan.
    Trying(Aim, usize),
    Waiting(Aim, usize),
    Inside(Mode),
    /// Head of the queue for the permit.
    Leading,
    HasPermit,
    Dead,
}

/// The aim of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Aim {
    Enter(Mode),
    Upgrade,
    Downgrade(Mode, Mode),
    /// To be the head of the queue for the permit.
    Lead,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Process {
    role: Role,
    rounds: u8,
    doing: Doing,
    locks: Locks,
    /// The number of writers that had waited and came in while this process was in a room.
    overtaken: u8,
    /// Whether another process wrote since this one was upgradable.
    outdated: bool,
    /// Whether it came in while a writer kept the gate shut.
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

impl Process {
    fn new(role: Role, rounds: u8) -> Self {
        Self {
            role,
            rounds,
            doing: Doing::Nothing,
            locks: Locks::default(),
            overtaken: 0,
            outdated: false,
            overtook: false,
        }
    }

    fn is_in_room(&self) -> bool {
        self.locks[FIRST_ROOM] == Some(Access::Shared)
            || self.locks[SECOND_ROOM] == Some(Access::Shared)
    }

    /// Whether it is inside as upgradable, or on its way from there to be the writer.
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

    /// Whether it reads, upgradable or not.
    fn reads(&self) -> bool {
        self.may_upgrade() || self.doing == Doing::Inside(Mode::Read)
    }

    /// Whether it waits for readers, with the gate shut.
    fn keeps_gate_shut(&self) -> bool {
        matches!(self.doing, Doing::Waiting(..)) && self.locks[GATE] == Some(Access::Exclusive)
    }
}

impl Kernel for Machine {
    fn processes(&self) -> usize {
        self.processes.len()
    }

    fn locks(&self, who: usize) -> &Locks {
        &self.processes[who].locks
    }

    fn locks_mut(&mut self, who: usize) -> &mut Locks {
        &mut self.processes[who].locks
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
}

impl Machine {
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
            // Nothing is promised of processes that lock without regard for readers.
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

    /// Begins the next work of a process that is not on its way.
    fn begin(machine: &mut Machine, who: usize) {
        let enter = |mode| Doing::Trying(Aim::Enter(mode), 0);
        let process = &mut machine.processes[who];
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
                process.locks = Locks::default();
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
                Self::begin(&mut machine, who);
                return (machine.processes[who] != before).then_some(machine);
            }
        };
        let plan = self.plan(doing);
        match machine.step(who, plan, at) {
            Stepped::Done => machine.arrive(who, aim, waits),
            Stepped::On => {
                machine.processes[who].doing = match doing {
                    Doing::Trying(..) => Doing::Trying(aim, at + 1),
                    _ => Doing::Waiting(aim, at + 1),
                };
            }
            Stepped::Blocked if waits => return None,
            Stepped::Blocked => {
                // The attempt failed, so now it waits.
                if at > 0 {
                    machine.unlock(who, plan.undo);
                }
                machine.processes[who].doing = Doing::Waiting(aim, 0);
            }
        }
        Some(machine)
    }

    /// The head takes the permit when it is free, and leaves the queue.
    fn take_permit(mut machine: Machine, who: usize) -> Option<Machine> {
        if !machine.are_free(who, Access::Exclusive, &[PERMIT]) {
            return None;
        }
        machine.locks_mut(who)[PERMIT] = Some(Access::Exclusive);
        machine.unlock(who, Part::HeadToQueue);
        machine.processes[who].doing = Doing::HasPermit;
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
        matches!(
            self.plan(process.doing).steps[at],
            Step::Lock(..) | Step::Contend(..)
        )
    }

    /// The time is over, or the wait was cancelled.
    fn give_up(&self, mut machine: Machine, who: usize) -> Machine {
        let doing = machine.processes[who].doing;
        if doing == Doing::Leading {
            machine.unlock(who, Part::HeadToQueue);
            machine.processes[who].doing = Doing::Nothing;
            return machine;
        }
        let undo = self.plan(doing).undo;
        let Doing::Waiting(aim, at) = doing else {
            unreachable!("only those who wait give up")
        };
        if at > 0 {
            machine.unlock(who, undo);
        }
        let process = &mut machine.processes[who];
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
                machine.unlock(who, Part::All);
                let process = &mut machine.processes[who];
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
const NOTHING_LEFT: &str = "a process that is gone has left nothing locked";
