//! Every order in which three processes can take tickets and run the plans, whatever their clocks say,
//! with a crash or a time-out possible at each step.
//!
//! The model has the kernel's rule for ranges and runs the same [`Ticket`] and the same plans as `file`.
//! Where the kernel may name any of several locks, each is tried. Each property is also checked to fail
//! without a step that it rests on.

mod explored;
mod machine;

use stateright::{Model, Property};

use super::{Call, Side, Ticket};
use crate::protocol::layout::WRITER_TICKETS;
use crate::protocol::model::kernel::{Kernel, Stepped};
use crate::protocol::plan::{self, Mode, Step};
use crate::sys::{Access, Range};
use machine::{Machine, Process};

const PROCESSES: usize = 3;

/// The answers of the clocks, in no order.
const HINTS: [u64; 2] = [1, 2];

/// The work of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Role {
    Reader,
    Writer,
    /// Locks without regard for readers in rooms.
    Exclusive,
    /// Reads, upgrades and writes.
    Upgrader,
    /// Writes, and then reads.
    Downgrader,
    /// Knows of no tickets, and does not line up.
    Barging,
    /// Locks all that there is, in one call.
    Foreign,
    /// Locks all that there is to read.
    ForeignReader,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Doing {
    Nothing,
    /// Asks whether there is anybody.
    Asking(Mode),
    /// At that step of the quick plan.
    Trying(Mode, usize),
    /// In the queue, with the byte that it waited for, if that is locked at the moment.
    LiningUp(Mode, Ticket, Option<Range>),
    /// It is the first, and at that step of the wait plan.
    First(Mode, usize),
    FirstTrying(Mode),
    /// Has everything of the plan, and the ticket.
    Arrived(Mode),
    Inside(Mode),
    UpgradeTaking,
    Upgrading(usize),
    Dead,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    /// With the clock's answer, or with the number of the lock that the kernel names.
    Go(usize, usize),
    GiveUp(usize),
    Crash(usize),
}

/// The steps that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    /// A newcomer does not ask for tickets.
    Barges,
    /// The number is the clock's, whichever were given before.
    TrustsTheClock,
    /// A process that was woken does not ask again.
    BelievesTheWakeUp,
    /// The first one drops its ticket before it is inside.
    DropsEarly,
    /// Writers don't ask for readers' tickets.
    IgnoresReaders,
    /// An upgrade lines up behind others.
    UpgradesInLine,
    /// A process that gives up leaves its ticket.
    LeavesItsTicket,
}

struct Scene {
    roles: [Role; PROCESSES],
    rounds: [u8; PROCESSES],
    flaw: Flaw,
}

impl Scene {
    /// Begins the next work of a process that is not on its way.
    fn begin(&self, machine: &mut Machine, who: usize) -> Option<()> {
        let process = &mut machine.processes[who];
        match (process.doing, process.role) {
            (Doing::Nothing, _) if process.rounds == 0 => return None,
            (Doing::Nothing, role) => {
                let mode = match role {
                    Role::Reader => Mode::Read,
                    Role::Writer | Role::Downgrader => Mode::Write,
                    Role::Exclusive => Mode::Exclusive,
                    Role::Upgrader => Mode::Upgradable,
                    Role::Barging => {
                        process.rounds -= 1;
                        process.doing = Doing::Trying(Mode::Exclusive, 0);
                        return Some(());
                    }
                    Role::Foreign => {
                        return machine.lock_everything(who, Access::Exclusive, Mode::Exclusive);
                    }
                    Role::ForeignReader => {
                        return machine.lock_everything(who, Access::Shared, Mode::Read);
                    }
                };
                process.rounds -= 1;
                process.doing = if self.flaw == Flaw::Barges {
                    Doing::Trying(mode, 0)
                } else {
                    Doing::Asking(mode)
                };
            }
            (Doing::Inside(Mode::Upgradable), Role::Upgrader) => {
                process.doing = Doing::UpgradeTaking;
            }
            (Doing::Inside(Mode::Write), Role::Downgrader) => {
                for &step in plan::WRITE_TO_READ.steps {
                    match step {
                        Step::Lock(access, part) | Step::Contend(access, part) => {
                            machine.lock(who, access, part);
                        }
                        Step::Unlock(part) => machine.unlock(who, part),
                        step => unreachable!("not to go down: {step:?}"),
                    }
                }
                machine.processes[who].doing = Doing::Inside(Mode::Read);
            }
            _ => machine.leave(who, Doing::Nothing),
        }
        Some(())
    }

    /// Wants a ticket now, with what its clock says.
    fn wants_ticket(&self, mode: Mode, choice: usize) -> Option<Ticket> {
        let &hint = HINTS.get(choice)?;
        Some(match self.flaw {
            Flaw::TrustsTheClock => Ticket::again(Side::of(mode), hint),
            _ => Ticket::new(Side::of(mode), hint),
        })
    }

    /// The next kernel call; `None` while the process is blocked in it, or when there is no such
    /// choice.
    fn go(&self, mut machine: Machine, who: usize, choice: usize) -> Option<Machine> {
        let is_only_choice = (choice == 0).then_some(());
        match machine.processes[who].doing {
            Doing::Dead => return None,
            Doing::Nothing | Doing::Inside(_) => {
                is_only_choice?;
                self.begin(&mut machine, who)?;
            }
            Doing::Asking(mode) => {
                let before: Vec<_> = machine.processes.iter().map(Process::is_queued).collect();
                for (other, &is_queued) in before.iter().enumerate() {
                    machine.processes[who].before[other] = is_queued && other != who;
                }
                let Call::Find(access, range) = Side::of(mode).anybody() else {
                    unreachable!("it asks")
                };
                if machine.in_the_way(who, access, range).is_empty() {
                    is_only_choice?;
                    machine.processes[who].doing = Doing::Trying(mode, 0);
                } else {
                    let ticket = self.wants_ticket(mode, choice)?;
                    machine.processes[who].doing = Doing::LiningUp(mode, ticket, None);
                }
            }
            Doing::Trying(mode, at) => {
                if self.flaw == Flaw::Barges && at == 0 {
                    let before: Vec<_> = machine.processes.iter().map(Process::is_queued).collect();
                    for (other, &is_queued) in before.iter().enumerate() {
                        machine.processes[who].before[other] = is_queued && other != who;
                    }
                }
                let plan = plan::try_plan(mode);
                match machine.step(who, plan, at) {
                    Stepped::On => machine.processes[who].doing = Doing::Trying(mode, at + 1),
                    Stepped::Done => machine.arrive(who, mode),
                    Stepped::Blocked if machine.processes[who].role == Role::Barging => {
                        return None;
                    }
                    Stepped::Blocked => {
                        machine.undo(who, plan);
                        let ticket = self.wants_ticket(mode, choice)?;
                        machine.processes[who].doing = Doing::LiningUp(mode, ticket, None);
                        return Some(machine);
                    }
                }
                is_only_choice?;
            }
            Doing::LiningUp(mode, ticket, awaited) => {
                self.join_queue(&mut machine, who, mode, ticket, awaited, choice)?;
            }
            Doing::FirstTrying(mode) => {
                is_only_choice?;
                match machine.step(who, plan::try_plan(mode), 0) {
                    Stepped::Done => machine.arrive(who, mode),
                    _ => machine.processes[who].doing = Doing::First(mode, 0),
                }
            }
            Doing::First(mode, at) => {
                is_only_choice?;
                match machine.step(who, plan::wait_plan(mode), at) {
                    Stepped::On => machine.processes[who].doing = Doing::First(mode, at + 1),
                    Stepped::Done => machine.arrive(who, mode),
                    Stepped::Blocked => return None,
                }
            }
            Doing::Arrived(mode) => {
                is_only_choice?;
                machine.processes[who].tickets.clear();
                machine.processes[who].doing = Doing::Inside(mode);
            }
            Doing::UpgradeTaking if self.flaw == Flaw::UpgradesInLine => {
                let ticket = self.wants_ticket(Mode::Write, choice)?;
                machine.processes[who].doing = Doing::LiningUp(Mode::Write, ticket, None);
            }
            Doing::UpgradeTaking => {
                is_only_choice?;
                let Call::Try(access, range) = super::upgrade() else {
                    unreachable!("it tries")
                };
                if machine.in_the_way(who, access, range).is_empty() {
                    machine.processes[who].lock_ticket(range, access);
                }
                machine.processes[who].doing = Doing::Upgrading(0);
            }
            Doing::Upgrading(at) => {
                is_only_choice?;
                match machine.step(who, plan::UPGRADE, at) {
                    Stepped::On => machine.processes[who].doing = Doing::Upgrading(at + 1),
                    Stepped::Done => machine.arrive(who, Mode::Write),
                    Stepped::Blocked => return None,
                }
            }
        }
        Some(machine)
    }

    fn join_queue(
        &self,
        machine: &mut Machine,
        who: usize,
        mode: Mode,
        mut ticket: Ticket,
        mut awaited: Option<Range>,
        choice: usize,
    ) -> Option<()> {
        let is_only_choice = (choice == 0).then_some(());
        match ticket.call() {
            _ if awaited.is_some() => {
                is_only_choice?;
                machine.processes[who].unlock_ticket(awaited.take()?);
                ticket.granted(true);
                if self.flaw == Flaw::BelievesTheWakeUp && ticket.is_taken() {
                    machine.processes[who].doing = Doing::First(mode, 0);
                    return Some(());
                }
            }
            None => {
                is_only_choice?;
                if self.flaw == Flaw::DropsEarly {
                    machine.processes[who].tickets.clear();
                }
                machine.processes[who].doing = match mode {
                    Mode::Write => Doing::FirstTrying(mode),
                    _ => Doing::First(mode, 0),
                };
                return Some(());
            }
            Some(Call::Find(access, range)) => {
                let mut found = machine.in_the_way(who, access, range);
                if self.flaw == Flaw::IgnoresReaders && access == Access::Exclusive {
                    found.retain(|blocker| blocker.start >= WRITER_TICKETS.start);
                }
                if found.is_empty() {
                    is_only_choice?;
                    ticket.found(None);
                } else {
                    ticket.found(Some(*found.get(choice)?));
                }
            }
            Some(Call::Try(access, range)) => {
                is_only_choice?;
                let is_free = machine.in_the_way(who, access, range).is_empty();
                if is_free {
                    machine.processes[who].lock_ticket(range, access);
                }
                ticket.granted(is_free);
            }
            Some(Call::Await(access, range)) => {
                is_only_choice?;
                if !machine.in_the_way(who, access, range).is_empty() {
                    return None;
                }
                machine.processes[who].lock_ticket(range, access);
                awaited = Some(range);
            }
        }
        machine.processes[who].doing = Doing::LiningUp(mode, ticket, awaited);
        Some(())
    }

    /// Only a call that may have to wait comes back without what it is for.
    fn may_give_up(process: &Process) -> bool {
        match process.doing {
            Doing::LiningUp(_, ticket, None) => matches!(ticket.call(), Some(Call::Await(..))),
            Doing::First(mode, at) => plan::wait_plan(mode).steps[at].may_wait(),
            Doing::Upgrading(at) => plan::UPGRADE.steps[at].may_wait(),
            _ => false,
        }
    }

    /// The time is over, or the wait was cancelled.
    fn give_up(&self, mut machine: Machine, who: usize) -> Machine {
        let left = machine.processes[who].tickets.clone();
        if matches!(machine.processes[who].doing, Doing::Upgrading(_)) {
            machine.undo(who, plan::UPGRADE);
            let process = &mut machine.processes[who];
            process.tickets.clear();
            // It reads on, and then leaves.
            process.role = Role::Downgrader;
            process.doing = Doing::Inside(Mode::Upgradable);
            machine.leave_queue(who);
        } else {
            machine.leave(who, Doing::Nothing);
        }
        if self.flaw == Flaw::LeavesItsTicket {
            machine.processes[who].tickets = left;
        }
        machine
    }
}

impl Model for Scene {
    type State = Machine;
    type Action = Action;

    fn init_states(&self) -> Vec<Machine> {
        let all = self.roles.into_iter().zip(self.rounds);
        vec![Machine {
            processes: all
                .map(|(role, rounds)| Process::new(role, rounds))
                .collect(),
        }]
    }

    fn actions(&self, machine: &Machine, actions: &mut Vec<Action>) {
        for (who, process) in machine.processes.iter().enumerate() {
            actions.extend((0..CHOICES).map(|choice| Action::Go(who, choice)));
            if Self::may_give_up(process) {
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
            Action::Go(who, choice) => self.go(machine, who, choice),
            Action::GiveUp(who) => Some(self.give_up(machine, who)),
            Action::Crash(who) => {
                machine.leave(who, Doing::Dead);
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
                let alone = count(Process::is_alone);
                alone == 0 || (alone == 1 && count(Process::reads) == 0)
            }),
            Property::always(ATOMIC_UPGRADE, |_, machine: &Machine| {
                let outdated = |one: &Process| one.is_upgradable() && one.outdated;
                !machine.processes.iter().any(outdated)
            }),
            Property::always(NO_OVERTAKING, |_, machine: &Machine| {
                !machine.processes.iter().any(|one| one.overtook)
            }),
            Property::always(NO_DEADLOCK, |scene: &Self, machine: &Machine| {
                let is_on_its_way =
                    |one: &Process| !matches!(one.doing, Doing::Nothing | Doing::Dead);
                let can_go = |who| {
                    (0..CHOICES).any(|choice| scene.go(machine.clone(), who, choice).is_some())
                };
                !machine.processes.iter().any(is_on_its_way) || (0..PROCESSES).any(can_go)
            }),
            Property::always(NOTHING_LEFT, |_, machine: &Machine| {
                machine.processes.iter().all(|one| match one.doing {
                    Doing::Nothing | Doing::Dead => {
                        one.tickets.is_empty() && one.locks.iter().all(Option::is_none)
                    }
                    Doing::Inside(Mode::Read | Mode::Upgradable) => {
                        one.tickets.is_empty() || one.role == Role::ForeignReader
                    }
                    _ => one.tickets.len() <= 2,
                })
            }),
        ]
    }
}

/// As many as there are clocks' answers, or locks that the kernel may name.
const CHOICES: usize = 4;

const EXCLUSION: &str = "a writer is alone";
const ATOMIC_UPGRADE: &str = "nobody writes between upgradable reading and the upgrade";
const NO_OVERTAKING: &str = "nobody gets in before one that had a ticket when it began";
const NO_DEADLOCK: &str = "somebody can go on";
const NOTHING_LEFT: &str = "a process that is gone has left nothing locked";
