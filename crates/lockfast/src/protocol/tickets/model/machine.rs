//! The state of the kernel and of the processes.

use super::{Doing, PROCESSES, Role};
use crate::protocol::Blocker;
use crate::protocol::model::kernel::{Kernel, Locks, bytes, conflicts};
use crate::protocol::plan::{Mode, Part};
use crate::sys::{Access, Range};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Process {
    pub(super) role: Role,
    pub(super) rounds: u8,
    pub(super) doing: Doing,
    pub(super) locks: Locks,
    /// Above those bytes.
    pub(super) tickets: Vec<(Range, Access)>,
    /// The processes that had a ticket when this one began, and have not got in or given up since.
    pub(super) before: [bool; PROCESSES],
    pub(super) overtook: bool,
    /// Whether another process wrote since this one was upgradable.
    pub(super) outdated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Machine {
    pub(super) processes: Vec<Process>,
}

impl Process {
    pub(super) fn new(role: Role, rounds: u8) -> Self {
        Self {
            role,
            rounds,
            doing: Doing::Nothing,
            locks: Locks::default(),
            tickets: Vec::new(),
            before: [false; PROCESSES],
            overtook: false,
            outdated: false,
        }
    }

    pub(super) fn unlock_ticket(&mut self, range: Range) {
        self.tickets.retain(|(held, _)| held.start != range.start);
    }

    pub(super) fn lock_ticket(&mut self, range: Range, access: Access) {
        self.unlock_ticket(range);
        self.tickets.push((range, access));
        self.tickets.sort_by_key(|(held, _)| held.start);
    }

    /// Whether it has a ticket and is not inside yet.
    pub(super) fn is_queued(&self) -> bool {
        match self.doing {
            Doing::LiningUp(_, ticket, _) => ticket.is_taken(),
            Doing::First(..) | Doing::FirstTrying(_) => true,
            Doing::Upgrading(_) => !self.tickets.is_empty(),
            _ => false,
        }
    }

    pub(super) fn is_upgradable(&self) -> bool {
        matches!(
            self.doing,
            Doing::Arrived(Mode::Upgradable)
                | Doing::Inside(Mode::Upgradable)
                | Doing::UpgradeTaking
                | Doing::Upgrading(_)
        )
    }

    pub(super) fn is_alone(&self) -> bool {
        matches!(self.doing, Doing::Arrived(mode) | Doing::Inside(mode) if mode.is_alone())
    }

    pub(super) fn reads(&self) -> bool {
        self.is_upgradable()
            || matches!(
                self.doing,
                Doing::Arrived(Mode::Read) | Doing::Inside(Mode::Read)
            )
    }

    /// Whether it reads only.
    pub(super) fn is_reader(&self) -> bool {
        self.role == Role::Reader
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

    fn unlock(&mut self, who: usize, part: Part) {
        let process = &mut self.processes[who];
        for &byte in bytes(part) {
            process.locks[byte] = None;
        }
        if part.reaches_tickets() {
            process.tickets.clear();
        }
    }
}

impl Machine {
    pub(super) fn others(&self, who: usize) -> impl Iterator<Item = &Process> {
        let others = self.processes.iter().enumerate();
        others
            .filter(move |&(i, _)| i != who)
            .map(|(_, other)| other)
    }

    /// The locks of others that the kernel may name.
    pub(super) fn in_the_way(&self, who: usize, access: Access, range: Range) -> Vec<Blocker> {
        let mut found = Vec::new();
        for other in self.others(who) {
            for &(held, lock) in &other.tickets {
                if held.overlaps(range) && conflicts(lock, access) {
                    let (Range { start, len }, pid) = (held, None);
                    found.push(Blocker { start, len, pid });
                }
            }
        }
        found
    }

    /// In one call, and without a ticket.
    pub(super) fn lock_everything(&mut self, who: usize, access: Access, mode: Mode) -> Option<()> {
        let is_free = self.is_free(who, access, Part::All)
            && self.in_the_way(who, access, Range::ALL).is_empty();
        is_free.then_some(())?;
        self.lock(who, access, Part::All);
        let process = &mut self.processes[who];
        process.lock_ticket(Range::ALL, access);
        process.rounds -= 1;
        process.doing = Doing::Inside(mode);
        Some(())
    }

    /// It is not in the line any more.
    pub(super) fn leave_queue(&mut self, who: usize) {
        for process in &mut self.processes {
            process.before[who] = false;
        }
    }

    /// It has reached what it aimed at.
    pub(super) fn arrive(&mut self, who: usize, mode: Mode) {
        let is_reader = self.processes[who].is_reader();
        let overtakes = |other: usize| {
            self.processes[who].before[other] && !(is_reader && self.processes[other].is_reader())
        };
        let overtook = (0..PROCESSES).any(overtakes);
        for other in 0..PROCESSES {
            if mode.is_alone() && other != who && self.processes[other].is_upgradable() {
                self.processes[other].outdated = true;
            }
        }
        let process = &mut self.processes[who];
        process.overtook |= overtook;
        process.before = [false; PROCESSES];
        process.outdated &= mode != Mode::Upgradable;
        process.doing = if process.tickets.is_empty() || mode.is_alone() {
            Doing::Inside(mode)
        } else {
            Doing::Arrived(mode)
        };
        self.leave_queue(who);
    }

    pub(super) fn leave(&mut self, who: usize, doing: Doing) {
        self.unlock(who, Part::All);
        let process = &mut self.processes[who];
        process.doing = doing;
        process.before = [false; PROCESSES];
        self.leave_queue(who);
    }
}
