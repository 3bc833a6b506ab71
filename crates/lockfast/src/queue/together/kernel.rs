//! The kernel of the model, and a process that is alone on its file.

use std::cell::RefCell;

use crate::protocol::model::kernel::{Kernel as _, Locks, MAIN, Stepped, UPGRADE};
use crate::protocol::plan::{self, Mode, Part, Plan};
use crate::sys::Access;

/// The handle whose queue is explored, as a locker.
pub(super) const HANDLE: usize = 0;

/// The other process.
const OTHER: usize = 1;

/// Which bytes each has locked.
#[derive(Debug, Default, Hash)]
pub(super) struct Kernel {
    locks: [Locks; 2],
}

/// How far a run of a plan has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Run {
    at: usize,
    /// Whether it waits for what it can't lock at once.
    pub(super) waits: bool,
}

/// The outcome of one call of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Called {
    Next(Run),
    Done,
    /// It could not be locked at once; the plan was undone.
    Failed,
    /// It still can't be locked.
    Blocked,
}

impl Run {
    pub(super) const QUICK: Self = Self {
        at: 0,
        waits: false,
    };
    pub(super) const PATIENT: Self = Self { at: 0, waits: true };
}

impl Kernel {
    /// Makes the next call of the plan.
    pub(super) fn call(&mut self, who: usize, plan: Plan, run: Run) -> Called {
        match self.step(who, plan, run.at) {
            Stepped::On => Called::Next(Run {
                at: run.at + 1,
                ..run
            }),
            Stepped::Done => Called::Done,
            Stepped::Blocked if run.waits => Called::Blocked,
            Stepped::Blocked => {
                self.undo(who, plan, run);
                Called::Failed
            }
        }
    }

    /// Whether the next call of the plan would not block.
    pub(super) fn can_call(&self, who: usize, plan: Plan, run: Run) -> bool {
        !run.waits || self.can_step(who, plan.steps[run.at])
    }

    /// Gives back what a plan has locked that does not get through.
    pub(super) fn undo(&mut self, who: usize, plan: Plan, run: Run) {
        if run.at > 0 {
            crate::protocol::model::kernel::Kernel::undo(self, who, plan);
        }
    }

    pub(super) fn release(&mut self, who: usize) {
        self.unlock(who, Part::All);
    }

    /// Whether the handle has locked what that mode needs.
    pub(super) fn has(&self, mode: Mode) -> bool {
        let [main, upgrade] = [MAIN, UPGRADE].map(|byte| self.locks[HANDLE][byte]);
        match mode {
            Mode::Read => main.is_some(),
            Mode::Upgradable => main.is_some() && upgrade == Some(Access::Exclusive),
            Mode::Write | Mode::Exclusive => main == Some(Access::Exclusive),
        }
    }

    pub(super) fn has_upgrade(&self) -> bool {
        self.locks[HANDLE][UPGRADE].is_some()
    }

    pub(super) fn has_nothing(&self) -> bool {
        self.locks[HANDLE].iter().all(Option::is_none)
    }
}

impl crate::protocol::model::kernel::Kernel for Kernel {
    fn processes(&self) -> usize {
        self.locks.len()
    }

    fn locks(&self, who: usize) -> &Locks {
        &self.locks[who]
    }

    fn locks_mut(&mut self, who: usize) -> &mut Locks {
        &mut self.locks[who]
    }
}

/// A process with one thread, which gets in once and leaves.
#[derive(Debug, Hash)]
pub(super) struct Other {
    mode: Mode,
    doing: Doing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Doing {
    Enters(Run),
    Inside,
    Through,
}

impl Other {
    pub(super) fn new(mode: Mode) -> Self {
        Self {
            mode,
            doing: Doing::Enters(Run::QUICK),
        }
    }

    pub(super) fn inside(&self) -> Option<Mode> {
        (self.doing == Doing::Inside).then_some(self.mode)
    }

    pub(super) fn is_through(&self) -> bool {
        self.doing == Doing::Through
    }

    pub(super) fn can_go(&self, kernel: &RefCell<Kernel>) -> bool {
        match self.doing {
            Doing::Enters(run) => kernel.borrow().can_call(OTHER, enter(self.mode, run), run),
            Doing::Inside => true,
            Doing::Through => false,
        }
    }

    pub(super) fn go(&mut self, kernel: &RefCell<Kernel>) {
        let mut kernel = kernel.borrow_mut();
        self.doing = match self.doing {
            Doing::Enters(run) => match kernel.call(OTHER, enter(self.mode, run), run) {
                Called::Next(run) => Doing::Enters(run),
                Called::Done => Doing::Inside,
                Called::Failed => Doing::Enters(Run::PATIENT),
                Called::Blocked => unreachable!("it can go"),
            },
            Doing::Inside | Doing::Through => {
                kernel.release(OTHER);
                Doing::Through
            }
        };
    }

    pub(super) fn can_give_up(&self) -> bool {
        matches!(self.doing, Doing::Enters(run) if run.waits)
    }

    pub(super) fn give_up(&mut self, kernel: &RefCell<Kernel>) {
        if let Doing::Enters(run) = self.doing {
            kernel.borrow_mut().undo(OTHER, enter(self.mode, run), run);
        }
        self.doing = Doing::Through;
    }

    pub(super) fn die(&mut self, kernel: &RefCell<Kernel>) {
        kernel.borrow_mut().release(OTHER);
        self.doing = Doing::Through;
    }
}

/// The plan of a run that gets in.
pub(super) fn enter(mode: Mode, run: Run) -> Plan {
    if run.waits {
        plan::wait_plan(mode)
    } else {
        plan::try_plan(mode)
    }
}
