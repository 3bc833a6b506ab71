//! A thread or a task of the handle: what `handle::acquire` and `handle::release` do, one step at a time.

use std::cell::RefCell;
use std::hash::Hash;
use std::mem::discriminant;
use std::time::Instant;

use super::File;
use super::kernel::{Called, HANDLE, Kernel, Run, enter};
use crate::protocol::model::kernel::Kernel as _;
use crate::protocol::plan::{self, Mode, Part, Plan};
use crate::queue::wait_list::Position;
use crate::queue::{Enqueued, Leave, Queue, QueuedWaiter, TryEnter, Turn};
use crate::sys::Parked;
use crate::types::thread::ThreadToken;

/// The task of a party, done once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Role {
    Reads,
    Writes,
    /// Reads as upgradable.
    ReadsUpgradable,
    /// Reads as upgradable, and then writes.
    Upgrades,
    /// Writes, then reads as upgradable, then as a reader.
    Downgrades,
}

pub(super) struct Party<'q> {
    queue: &'q Queue<File>,
    kernel: &'q RefCell<Kernel>,
    role: Role,
    thread: ThreadToken,
    doing: Doing<'q>,
    /// Whether it stepped back and nobody else has moved since.
    stepped_back: bool,
}

enum Doing<'q> {
    /// Before it asks for the turn.
    Asks,
    /// Found others there.
    LinesUp,
    Waits(QueuedWaiter<'q, File>),
    Joins(Turn<'q, File>, Run),
    /// Enqueued in the kernel; it looks whether the file is at its path.
    Looks(Turn<'q, File>),
    Enters(Turn<'q, File>, Run),
    Inside(Mode),
    WaitsToUpgrade(QueuedWaiter<'q, File>),
    Upgrades(Turn<'q, File>, Run),
    /// The last one out, before it lets go.
    Closes(Turn<'q, File>),
    /// The last one out, after that.
    HasClosed(Turn<'q, File>),
    Through,
}

use Doing::{
    Asks, Closes, Enters, HasClosed, Inside, Joins, LinesUp, Looks, Through, Upgrades, Waits,
    WaitsToUpgrade,
};

impl Role {
    fn mode(self) -> Mode {
        match self {
            Self::Reads => Mode::Read,
            Self::Writes | Self::Downgrades => Mode::Write,
            Self::ReadsUpgradable | Self::Upgrades => Mode::Upgradable,
        }
    }
}

impl<'q> Party<'q> {
    pub(super) fn new(
        queue: &'q Queue<File>,
        kernel: &'q RefCell<Kernel>,
        role: Role,
        thread: ThreadToken,
    ) -> Self {
        Self {
            queue,
            kernel,
            role,
            thread,
            doing: Asks,
            stepped_back: false,
        }
    }

    /// Takes a step; tells whether it stepped back again with nobody else moving in between.
    pub(super) fn go(&mut self) -> bool {
        let mode = self.role.mode();
        self.doing = match std::mem::replace(&mut self.doing, Through) {
            Asks => match self.queue.try_enter(mode, self.thread) {
                TryEnter::Turn(turn) => begin(turn),
                TryEnter::Inside(_) => Inside(mode),
                TryEnter::Full => LinesUp,
            },
            LinesUp => match self.queue.enqueue(mode, self.thread, false) {
                Enqueued::Turn(turn) => begin(turn),
                Enqueued::QueuedWaiter(place) => Waits(place),
            },
            Waits(place) => match place.enter() {
                Ok(turn) => begin(turn),
                Err(called_off) => Waits(called_off),
            },
            Joins(turn, run) => match self.call(plan::join_plan(mode), run) {
                Called::Next(run) => Joins(turn, run),
                Called::Done => Looks(turn),
                Called::Failed | Called::Blocked => {
                    let place = turn.step_back();
                    let again = std::mem::replace(&mut self.stepped_back, true);
                    self.doing = Waits(place);
                    return again;
                }
            },
            Looks(turn) => {
                turn.keep();
                Inside(mode)
            }
            Enters(turn, run) => match self.call(enter(mode, run), run) {
                Called::Next(run) => Enters(turn, run),
                Called::Done => {
                    turn.keep();
                    Inside(mode)
                }
                Called::Failed => Enters(turn, Run::PATIENT),
                Called::Blocked => Enters(turn, run),
            },
            Inside(mode) => self.go_on(mode),
            WaitsToUpgrade(place) => match place.enter() {
                Ok(turn) => Upgrades(turn, Run::QUICK),
                Err(called_off) => WaitsToUpgrade(called_off),
            },
            Upgrades(turn, run) => match self.call(upgrade(run), run) {
                Called::Next(run) => Upgrades(turn, run),
                Called::Done => {
                    turn.keep();
                    Inside(Mode::Write)
                }
                Called::Failed => Upgrades(turn, Run::PATIENT),
                Called::Blocked => Upgrades(turn, run),
            },
            Closes(turn) => {
                self.kernel.borrow_mut().release(HANDLE);
                HasClosed(turn)
            }
            HasClosed(turn) => {
                drop(turn);
                Through
            }
            Through => Through,
        };
        false
    }

    /// Leaves, or changes how it is inside.
    fn go_on(&mut self, mode: Mode) -> Doing<'q> {
        match (mode, self.role) {
            (Mode::Upgradable, Role::Upgrades) => {
                self.role = Role::Writes;
                match self.queue.enqueue_upgrade(self.thread) {
                    Enqueued::Turn(turn) => Upgrades(turn, Run::QUICK),
                    Enqueued::QueuedWaiter(place) => WaitsToUpgrade(place),
                }
            }
            (Mode::Write, Role::Downgrades) => {
                self.change(plan::WRITE_TO_UPGRADABLE, mode, Mode::Upgradable)
            }
            (Mode::Upgradable, Role::Downgrades) => {
                self.role = Role::Reads;
                self.change(plan::UPGRADABLE_TO_READ, mode, Mode::Read)
            }
            _ => {
                let stay = |file: &File| file.kernel.borrow_mut().unlock(HANDLE, Part::Upgrade);
                match self.queue.leave(mode, self.thread, stay) {
                    Leave::Last(turn) => Closes(turn),
                    Leave::Stays(after) => {
                        after.run();
                        Through
                    }
                }
            }
        }
    }

    fn change(&mut self, plan: Plan, from: Mode, to: Mode) -> Doing<'q> {
        let mut run = Run::QUICK;
        while let Called::Next(next) = self.call(plan, run) {
            run = next;
        }
        self.queue.change(from, to, self.thread);
        Inside(to)
    }

    /// Drops a wait, ends one in the kernel, or fails.
    pub(super) fn give_up(&mut self) {
        let mode = self.role.mode();
        self.doing = match std::mem::replace(&mut self.doing, Through) {
            Waits(place) => {
                drop(place);
                Through
            }
            Joins(turn, _) => {
                drop(turn);
                Through
            }
            // The file is not at its path any more.
            Looks(turn) => {
                if mode == Mode::Upgradable {
                    self.kernel.borrow_mut().unlock(HANDLE, Part::Upgrade);
                }
                Waits(turn.step_back())
            }
            Enters(turn, run) => {
                self.kernel.borrow_mut().undo(HANDLE, enter(mode, run), run);
                self.kernel.borrow_mut().release(HANDLE);
                drop(turn);
                Through
            }
            WaitsToUpgrade(place) => {
                drop(place);
                Inside(Mode::Upgradable)
            }
            Upgrades(turn, run) => {
                self.kernel.borrow_mut().undo(HANDLE, upgrade(run), run);
                drop(turn);
                Inside(Mode::Upgradable)
            }
            other => other,
        };
    }

    pub(super) fn others_moved(&mut self, they_did: bool) {
        self.stepped_back &= !they_did;
    }

    pub(super) fn can_go(&self) -> bool {
        match &self.doing {
            Waits(place) | WaitsToUpgrade(place) => is_woken(place),
            Enters(_, run) => self.can_call(enter(self.role.mode(), *run), *run),
            Upgrades(_, run) => self.can_call(upgrade(*run), *run),
            Through => false,
            _ => true,
        }
    }

    pub(super) fn can_give_up(&self) -> bool {
        match &self.doing {
            Enters(_, run) | Upgrades(_, run) => run.waits,
            Joins(_, run) => *run == Run::QUICK,
            Waits(_) | WaitsToUpgrade(_) | Looks(_) => true,
            _ => false,
        }
    }

    pub(super) fn is_through(&self) -> bool {
        matches!(self.doing, Through)
    }

    pub(super) fn inside(&self) -> Option<Mode> {
        match self.doing {
            Inside(mode) => Some(mode),
            WaitsToUpgrade(_) | Upgrades(..) => Some(Mode::Upgradable),
            _ => None,
        }
    }

    /// Whether the kernel may have something locked on its behalf. Those who wait for the turn are asleep.
    pub(super) fn uses_lock(&self) -> bool {
        !matches!(self.doing, Asks | LinesUp | Waits(_) | Through)
    }

    /// Whether that may be the upgrade byte.
    pub(super) fn uses_upgrade(&self) -> bool {
        match self.doing {
            Inside(mode) => mode != Mode::Read,
            Closes(_) => true,
            _ => self.uses_lock() && self.role.mode() != Mode::Read,
        }
    }

    pub(super) fn position(&self) -> Option<Position> {
        match &self.doing {
            Waits(place) => place.position(),
            _ => None,
        }
    }

    fn call(&self, plan: Plan, run: Run) -> Called {
        self.kernel.borrow_mut().call(HANDLE, plan, run)
    }

    fn can_call(&self, plan: Plan, run: Run) -> bool {
        self.kernel.borrow().can_call(HANDLE, plan, run)
    }
}

impl Hash for Party<'_> {
    fn hash<H: std::hash::Hasher>(&self, hasher: &mut H) {
        (self.role, self.stepped_back).hash(hasher);
        discriminant(&self.doing).hash(hasher);
        match &self.doing {
            Waits(place) | WaitsToUpgrade(place) => is_woken(place).hash(hasher),
            Joins(_, run) | Enters(_, run) | Upgrades(_, run) => run.hash(hasher),
            Inside(mode) => mode.hash(hasher),
            _ => {}
        }
    }
}

fn begin(turn: Turn<'_, File>) -> Doing<'_> {
    if turn.joins() {
        Joins(turn, Run::QUICK)
    } else {
        Enters(turn, Run::QUICK)
    }
}

fn upgrade(run: Run) -> Plan {
    if run.waits {
        plan::UPGRADE
    } else {
        plan::UPGRADE_TRY
    }
}

fn is_woken(place: &QueuedWaiter<'_, File>) -> bool {
    place.park(Some(Instant::now())) == Parked::Granted
}
