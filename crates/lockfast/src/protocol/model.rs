//! Every order in which three processes can run the plans, with a crash or a time-out possible at
//! each step.
//!
//! The model has the rule of the [kernel] and runs the same [`Plan`]s as `file`. Each property is checked
//! twice: it holds for the plans, and it fails for plans without a step that it rests on.
//!
//! Who waits for a [contest](Step::Contend) does so by the [line](mod@super::line), and who comes looks for the sign.
//! The model has no time: each acquire looks, as with sections that last longer than the time between two looks.
//! A waiter that was woken for the line may run late. What is assumed is that the kernel wakes the waiters of one
//! byte in the order of their requests, and that the line does not pass on between a newcomer's last look at it and
//! its request.
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
use kernel::{
    FIRST_ROOM, GATE, Kernel, LINE, Locks, MAIN, PERMIT, SECOND_ROOM, SIGN, Stepped, UPGRADE, bytes,
};

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
    /// Before the first call of an attempt.
    Looking(Aim),
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

/// How far a process is that waits for a contest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum InLine {
    Not,
    /// It has seen a sign, and lets the line move.
    Hesitates,
    /// Its sign is out.
    Signed,
    /// It waits for the line.
    Stands,
    /// It has the line, and has waited for it or not.
    Has {
        waited: bool,
    },
    /// It has won the contest, and gives back sign and line.
    Won,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Process {
    role: Role,
    in_line: InLine,
    /// How often each other process has won while this one stood in the line.
    passed_by: [u8; PROCESSES],
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
    /// The processes in the line, in order. The first gets the line when it is free and that process runs.
    line: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    Go(usize),
    GiveUp(usize),
    /// It waits no longer for a room to become empty, and goes on.
    GoOn(usize),
    Crash(usize),
}

/// The plans that the processes follow.
#[derive(Clone, Copy)]
struct Plans {
    quick: fn(Mode) -> Plan,
    patient: fn(Mode) -> Plan,
    upgrade: Plan,
    join_queue: Plan,
    /// A rule that nobody keeps.
    without: Option<Rule>,
}

/// The rules of the line and of the rooms.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Newcomers look for the sign.
    Look,
    /// Waiters stand in a line.
    StandInLine,
    /// The sign is out until the contest is won.
    KeepSign,
    /// A newcomer that has seen the sign lets the line move, before it enters the line.
    LetLineMove,
    /// A writer waits for a room however long that takes.
    WaitForRooms,
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
        join_queue: permits::JOIN_QUEUE,
        without: None,
    };
}

impl Process {
    fn new(role: Role, rounds: u8) -> Self {
        Self {
            role,
            in_line: InLine::Not,
            passed_by: [0; PROCESSES],
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

    /// Whether it waits for the rooms or for the gate.
    fn is_on_its_way(&self) -> bool {
        matches!(self.doing, Doing::Waiting(..))
            && self.locks[UPGRADE] == Some(Access::Exclusive)
            && self.locks[GATE] != Some(Access::Exclusive)
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
        if access == Access::Exclusive && bytes(part).contains(&GATE) {
            self.processes[who].passed_by = [0; PROCESSES];
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
    /// Whether a newcomer sees that others wait.
    fn sees_sign(&self, who: usize, aim: Aim) -> bool {
        match aim {
            Aim::Enter(Mode::Read) => !self.is_free(who, Access::Shared, Part::Doors),
            Aim::Enter(_) => {
                !self.are_free(who, Access::Exclusive, &[FIRST_ROOM, SECOND_ROOM, SIGN])
            }
            _ => false,
        }
    }

    /// It has won a contest that others stand in line for.
    fn win(&mut self, who: usize) {
        for process in &mut self.processes {
            if matches!(process.in_line, InLine::Stands | InLine::Has { .. }) {
                process.passed_by[who] += 1;
            }
        }
        self.processes[who].passed_by = [0; PROCESSES];
    }

    /// Whether others wait and nobody has the line.
    fn is_line_passing(&self, who: usize) -> bool {
        let is_free = |byte| self.are_free(who, Access::Exclusive, &[byte]);
        is_free(LINE) && !is_free(SIGN)
    }

    /// It gives back sign and line, if it has them.
    fn leave_line(&mut self, who: usize) {
        self.line.retain(|&other| other != who);
        let process = &mut self.processes[who];
        process.in_line = InLine::Not;
        process.passed_by = [0; PROCESSES];
        process.locks[SIGN] = None;
        process.locks[LINE] = None;
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
            // Nothing is promised of processes that lock without regard for readers.
            if waited && mode == Mode::Write && other.is_in_room() {
                other.overtaken += 1;
            }
        }
    }
}

impl Scene {
    fn keeps(&self, rule: Rule) -> bool {
        match self.plans.without {
            // A line in which nobody stands does not move.
            Some(Rule::StandInLine) => !matches!(rule, Rule::StandInLine | Rule::LetLineMove),
            without => without != Some(rule),
        }
    }

    fn plan(&self, doing: Doing) -> Plan {
        match doing {
            Doing::Trying(Aim::Enter(mode), _) => (self.plans.quick)(mode),
            Doing::Waiting(Aim::Enter(mode), _) => (self.plans.patient)(mode),
            Doing::Trying(Aim::Upgrade, _) => plan::UPGRADE_TRY,
            Doing::Waiting(Aim::Upgrade, _) => self.plans.upgrade,
            Doing::Trying(Aim::Lead, _) | Doing::Waiting(Aim::Lead, _) => self.plans.join_queue,
            Doing::Trying(Aim::Downgrade(from, to), _)
            | Doing::Waiting(Aim::Downgrade(from, to), _) => match (from, to) {
                (Mode::Write, Mode::Upgradable) => plan::WRITE_TO_UPGRADABLE,
                (Mode::Upgradable, Mode::Read) => plan::UPGRADABLE_TO_READ,
                _ => plan::WRITE_TO_READ,
            },
            Doing::Nothing
            | Doing::Looking(_)
            | Doing::Inside(_)
            | Doing::Leading
            | Doing::HasPermit
            | Doing::Dead => {
                unreachable!("it follows no plan")
            }
        }
    }

    /// Begins the next work of a process that is not on its way.
    fn begin(machine: &mut Machine, who: usize) {
        let enter = |mode| Doing::Looking(Aim::Enter(mode));
        let process = &mut machine.processes[who];
        process.doing = match (process.doing, process.role) {
            (Doing::Nothing, _) if process.rounds == 0 => return,
            (Doing::Nothing, Role::Taker) => {
                process.rounds -= 1;
                process.in_line = InLine::Hesitates;
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
            Doing::Looking(aim) => {
                let waits = self.keeps(Rule::Look) && machine.sees_sign(who, aim);
                machine.processes[who].doing = if waits {
                    machine.processes[who].in_line = InLine::Hesitates;
                    Doing::Waiting(aim, 0)
                } else {
                    Doing::Trying(aim, 0)
                };
                return Some(machine);
            }
            Doing::Dead => return None,
            Doing::Leading => return Self::take_permit(machine, who),
            Doing::Nothing | Doing::Inside(_) | Doing::HasPermit => {
                let before = machine.processes[who].clone();
                Self::begin(&mut machine, who);
                return (machine.processes[who] != before).then_some(machine);
            }
        };
        let plan = self.plan(doing);
        let is_contest = matches!(plan.steps[at], Step::Contend(..));
        if is_contest && waits && !self.comes_first(&mut machine, who)? {
            return Some(machine);
        }
        let held_up = self.held_up(&machine);
        let was_at_gate = machine.locks(who)[GATE].is_some();
        let stepped = machine.step(who, plan, at);
        if !was_at_gate && machine.locks(who)[GATE] == Some(Access::Shared) {
            for other in held_up {
                machine.processes[other].passed_by[who] += 1;
            }
        }
        if is_contest && waits && stepped != Stepped::Blocked {
            machine.win(who);
            let process = &mut machine.processes[who];
            let is_alone = matches!(aim, Aim::Enter(mode) if mode.is_alone());
            if !is_alone || process.in_line != (InLine::Has { waited: true }) {
                // Sign and line are given back by a call of their own.
                process.in_line = InLine::Won;
                return Some(machine);
            }
            // They go with the lock.
            process.in_line = InLine::Not;
        }
        match stepped {
            Stepped::Done => {
                if !waits && matches!(plan.steps[0], Step::Contend(..)) {
                    machine.win(who);
                }
                machine.arrive(who, aim, waits);
            }
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
                    machine.undo(who, plan);
                }
                machine.processes[who].doing = Doing::Waiting(aim, 0);
            }
        }
        Some(machine)
    }

    /// Goes on in the line, or gives it back; true when the next call is the one for the contest, and none while
    /// it is blocked.
    fn comes_first(&self, machine: &mut Machine, who: usize) -> Option<bool> {
        let line_is_free = machine.are_free(who, Access::Exclusive, &[LINE]);
        match machine.processes[who].in_line {
            InLine::Hesitates if self.keeps(Rule::LetLineMove) && machine.is_line_passing(who) => {
                return None;
            }
            InLine::Hesitates => {
                machine.locks_mut(who)[SIGN] = Some(Access::Shared);
                self.enter_line(machine, who);
            }
            InLine::Not => {
                machine.locks_mut(who)[SIGN] = Some(Access::Shared);
                machine.processes[who].in_line = InLine::Signed;
            }
            InLine::Signed => self.enter_line(machine, who),
            InLine::Stands if !self.keeps(Rule::StandInLine) => return Some(true),
            InLine::Stands if !line_is_free || machine.line[0] != who => return None,
            InLine::Stands => {
                machine.line.remove(0);
                machine.locks_mut(who)[LINE] = Some(Access::Exclusive);
                machine.processes[who].in_line = InLine::Has { waited: true };
            }
            InLine::Has { .. } => return Some(true),
            InLine::Won => {
                machine.leave_line(who);
                let Doing::Waiting(aim, at) = machine.processes[who].doing else {
                    unreachable!("it has waited")
                };
                if at + 1 == self.plan(machine.processes[who].doing).steps.len() {
                    machine.arrive(who, aim, true);
                } else {
                    machine.processes[who].doing = Doing::Waiting(aim, at + 1);
                }
            }
        }
        Some(false)
    }

    /// It takes the line if it is free, and else stands in it.
    fn enter_line(&self, machine: &mut Machine, who: usize) {
        if self.keeps(Rule::StandInLine) && machine.are_free(who, Access::Exclusive, &[LINE]) {
            machine.locks_mut(who)[LINE] = Some(Access::Exclusive);
            machine.processes[who].in_line = InLine::Has { waited: false };
        } else {
            machine.line.push(who);
            machine.processes[who].in_line = InLine::Stands;
        }
        if !self.keeps(Rule::KeepSign) {
            machine.locks_mut(who)[SIGN] = None;
        }
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
        if process.in_line == InLine::Won {
            return false;
        }
        self.plan(process.doing).steps[at].may_wait()
    }

    /// Returns the processes that are blocked at the rooms or at the gate.
    fn held_up(&self, machine: &Machine) -> Vec<usize> {
        let is_held_up = |&who: &usize| {
            let process = &machine.processes[who];
            let Doing::Waiting(_, at) = process.doing else {
                return false;
            };
            let step = self.plan(process.doing).steps[at];
            process.is_on_its_way() && !machine.can_step(who, step)
        };
        (0..PROCESSES).filter(is_held_up).collect()
    }

    fn awaits_empty_room(&self, process: &Process) -> bool {
        let Doing::Waiting(_, at) = process.doing else {
            return false;
        };
        matches!(self.plan(process.doing).steps[at], Step::AwaitEmpty(_))
    }

    /// The time is over, or the wait was cancelled.
    fn give_up(&self, mut machine: Machine, who: usize) -> Machine {
        let doing = machine.processes[who].doing;
        if doing == Doing::Leading {
            machine.unlock(who, Part::HeadToQueue);
            machine.processes[who].doing = Doing::Nothing;
            return machine;
        }
        let plan = self.plan(doing);
        let Doing::Waiting(aim, at) = doing else {
            unreachable!("only those who wait give up")
        };
        machine.leave_line(who);
        if at > 0 {
            machine.undo(who, plan);
        }
        let process = &mut machine.processes[who];
        process.overtaken = 0;
        process.passed_by = [0; PROCESSES];
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
            line: Vec::new(),
        }]
    }

    fn actions(&self, machine: &Machine, actions: &mut Vec<Action>) {
        for (who, process) in machine.processes.iter().enumerate() {
            actions.push(Action::Go(who));
            if self.may_give_up(process) {
                actions.push(Action::GiveUp(who));
            }
            if self.plans.without == Some(Rule::WaitForRooms) && self.awaits_empty_room(process) {
                actions.push(Action::GoOn(who));
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
            Action::GoOn(who) => {
                if let Doing::Waiting(_, at) = &mut machine.processes[who].doing {
                    *at += 1;
                }
                Some(machine)
            }
            Action::Crash(who) => {
                machine.leave_line(who);
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
            Property::always(NO_STARVING_WAITER, |_, machine: &Machine| {
                machine.processes.iter().all(|one| {
                    // Once by a look before the door was locked, or from the first room; once from the second.
                    let most = if one.is_on_its_way() { 2 } else { 1 };
                    one.passed_by.iter().all(|&count| count <= most)
                })
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
const NO_STARVING_WAITER: &str =
    "who waits is overtaken by each other once in the line, and twice on the way to the gate";
const NO_DEADLOCK: &str = "somebody can go on";
const NOTHING_LEFT: &str = "a process that is gone has left nothing locked";
