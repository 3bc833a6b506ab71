//! The kernel calls of a lock file, by the plans of the protocol.

use std::fs::File;
use std::io;

use super::LockFile;
use super::goal::Goal;
use crate::protocol::line::Contest;
#[cfg(doc)]
use crate::protocol::plan::ROOM_PATIENCE;
use crate::protocol::plan::{self, Mode, Part, Plan, Step};
use crate::sys::{self, Access, Target};

/// The way to wait for a kernel lock.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WaitWay {
    Plain,
    /// In the line, if there is one.
    Line(Contest),
    /// A room, which must not be waited for much longer than [`ROOM_PATIENCE`].
    Room,
}

impl LockFile {
    /// Tries once; `false` when somebody else is in the way or comes before, and then nothing more
    /// is held than before.
    pub(crate) fn try_acquire(&self, goal: Goal) -> io::Result<bool> {
        let lock = |access, target, _| self.try_lock(access, target);
        Ok(self.is_first(goal, lock, &|error| error)? && self.try_plan(goal)?)
    }

    /// Tries once, without a look for those in the line.
    pub(super) fn try_without_look(&self, goal: Goal) -> io::Result<bool> {
        let lock = |access, target, _| self.try_lock(access, target);
        Ok(self.is_first(goal, lock, &|error| error)? && self.try_run(goal)?)
    }

    /// Tries once to get in alone, where nothing is held yet; `false` when somebody else is in the way.
    #[allow(
        clippy::inline_always,
        reason = "one caller, of which this is most of what it does"
    )]
    #[inline(always)]
    pub(crate) fn try_alone(&self, mode: Mode) -> io::Result<bool> {
        match self.alone {
            Some(_) if self.gives_way(mode) => Ok(false),
            Some(target) => sys::lock::try_lock(self, Access::Exclusive, target),
            None => self.try_acquire(Goal::Enter(mode)),
        }
    }

    /// Releases everything, where it was locked alone.
    #[inline]
    pub(crate) fn release_alone(&self) -> io::Result<()> {
        if !matches!(self.alone, Some(Target::Bytes(_))) {
            return self.release();
        }
        // The marks lie in that range too. There is no ticket, as a FIFO lock has no `alone`.
        sys::lock::release(self, Target::Bytes(Part::All.range(self.exclusive_len)))?;
        self.marks.forget();
        Ok(())
    }

    /// Calls `wait` for each kernel lock that may have to be waited for, with the way to wait for it. `wait` returns
    /// whether it is locked; only of a room it may be `false`. When one fails, nothing more is held than before.
    pub(crate) fn acquire_blocking<E>(
        &self,
        goal: Goal,
        mut wait: impl FnMut(&File, Access, Target, WaitWay) -> Result<bool, E>,
        fail: &impl Fn(io::Error) -> E,
    ) -> Result<(), E> {
        let mut lock = |access, target, way| wait(self, access, target, way);
        self.is_first(goal, &mut lock, fail)?;
        // The holder of the ticket before has mostly just left.
        let may_be_free = self.fifo().is_some() && goal == Goal::Enter(Mode::Write);
        if may_be_free && self.try_plan(goal).map_err(fail)? {
            return Ok(());
        }
        self.run(goal, goal.wait_plan(), lock, fail).map(drop)
    }

    /// Changes what is held to something weaker.
    pub(crate) fn downgrade(&self, plan: Plan) -> io::Result<()> {
        self.try_steps(plan).map(drop)
    }

    /// Gives up what an upgradable reader has beyond a reader.
    pub(crate) fn release_upgrade(&self) -> io::Result<()> {
        if self.bytes {
            self.downgrade(plan::UPGRADABLE_TO_READ)
        } else {
            Ok(())
        }
    }

    /// Tries to make the lock of a reader that leaves exclusive; `false` when others read or wait.
    ///
    /// The reader's share may be gone in either case, and others may have been in between: on a file
    /// that is locked now and still at its path nobody else is inside.
    pub(crate) fn try_to_be_last(&self) -> io::Result<bool> {
        if self.bytes && (self.is_room_taken() || !self.try_steps(plan::UPGRADE_TRY)?) {
            return Ok(false);
        }
        if self.flock {
            // Some servers refuse an exclusive lock to a description that shares the file.
            sys::lock::release(self, Target::File)?;
            return self.try_lock(Access::Exclusive, Target::File);
        }
        Ok(true)
    }

    /// Gives up a goal that was reached.
    pub(crate) fn undo_goal(&self, goal: Goal) -> io::Result<()> {
        match goal {
            Goal::Enter(_) => self.release(),
            Goal::Join(_) => unreachable!("nobody waits for that"),
            Goal::Upgrade => self.downgrade(plan::WRITE_TO_UPGRADABLE),
            Goal::LeadQueue => self.leave_permit_queue(),
        }
    }

    /// Releases everything.
    pub(crate) fn release(&self) -> io::Result<()> {
        if self.flock {
            sys::lock::release(self, Target::File)?;
        }
        if self.bytes {
            // The marks are bytes, too, and lie in that range.
            self.unlock(Part::All)?;
            self.marks.forget();
        }
        self.marks.release(self)
    }

    /// Leaves the queue for permits, and then the FIFO order: whoever comes next finds the head's place free.
    pub(crate) fn leave_permit_queue(&self) -> io::Result<()> {
        self.unlock(Part::HeadToQueue)?;
        self.leave_fifo()
    }

    fn is_first<E>(
        &self,
        goal: Goal,
        mut lock: impl FnMut(Access, Target, WaitWay) -> Result<bool, E>,
        fail: &impl Fn(io::Error) -> E,
    ) -> Result<bool, E> {
        match self.fifo() {
            Some(fifo) => {
                let lock = |access, target| lock(access, target, WaitWay::Plain);
                fifo.is_first(self, goal, lock, fail)
            }
            None => Ok(true),
        }
    }

    fn try_plan(&self, goal: Goal) -> io::Result<bool> {
        let gives_way = match goal {
            Goal::Enter(mode) => self.gives_way(mode),
            Goal::Upgrade => self.bytes && self.is_room_taken(),
            Goal::Join(mode) => mode == Mode::Read && self.gives_way(mode),
            Goal::LeadQueue => false,
        };
        if gives_way {
            return Ok(false);
        }
        self.try_run(goal)
    }

    fn try_run(&self, goal: Goal) -> io::Result<bool> {
        let lock = |access, target, _| self.try_lock(access, target);
        self.run(goal, goal.try_plan(), lock, &|error| error)
    }

    /// Runs the plan on the bytes, and then locks the file by `flock`, if both are wanted.
    fn run<E>(
        &self,
        goal: Goal,
        plan: Plan,
        mut lock: impl FnMut(Access, Target, WaitWay) -> Result<bool, E>,
        fail: &impl Fn(io::Error) -> E,
    ) -> Result<bool, E> {
        if self.bytes && !self.steps(plan, &mut lock, fail)? {
            return Ok(false);
        }
        if !self.flock {
            return Ok(true);
        }
        match goal {
            Goal::Enter(_) => {}
            // Its bytes are locked, or the file is shared already.
            Goal::Join(_) | Goal::LeadQueue => return Ok(true),
            // A `flock` can't be converted without giving it up in between.
            Goal::Upgrade => return Err(fail(io::ErrorKind::Unsupported.into())),
        }
        // After the bytes, in every process. In two orders, two of them could wait for each other.
        let way = WaitWay::Line(Contest::Flock);
        let locked = lock(goal.access(), Target::File, way);
        if self.bytes && !matches!(locked, Ok(true)) {
            self.undo(plan).map_err(fail)?;
        }
        locked
    }

    fn try_steps(&self, plan: Plan) -> io::Result<bool> {
        let lock = |access, target, _| self.try_lock(access, target);
        self.steps(plan, lock, &|error| error)
    }

    fn steps<E>(
        &self,
        plan: Plan,
        mut lock: impl FnMut(Access, Target, WaitWay) -> Result<bool, E>,
        fail: &impl Fn(io::Error) -> E,
    ) -> Result<bool, E> {
        let mut room = Part::FirstRoom;
        for (number, &step) in plan.steps.iter().enumerate() {
            let done = match step {
                Step::Lock(access, part) => lock(access, self.target(part), WaitWay::Plain),
                Step::Contend(access, part) => {
                    lock(access, self.target(part), WaitWay::Line(Contest::Bytes))
                }
                Step::Unlock(part) => self.unlock(part).map(|()| true).map_err(fail),
                Step::ChooseRoom => {
                    room = self.room_of_newcomers();
                    Ok(true)
                }
                Step::EnterRoom => self.enter_room(&mut room).map(|()| true).map_err(fail),
                Step::PassDoor => self.pass_door(room.door(), &mut lock, fail),
                Step::AwaitEmpty(room) => self.await_empty(room, &mut lock, fail),
                Step::Shortcut(access, part) => match self.shortcut(access, part) {
                    Ok(true) => return Ok(true),
                    Ok(false) => Ok(true),
                    Err(error) => Err(fail(error)),
                },
            };
            if !matches!(done, Ok(true)) {
                // The first step has locked nothing.
                if number > 0 {
                    // By the plan, however far it came: to unlock what is not locked does no harm, and the
                    // plan lists nothing that was locked before it began.
                    let undone = self.undo(plan);
                    // Nobody releases the file after a failed attempt. After an error the caller does, and
                    // that first error is the one to report.
                    if let (Ok(false), Err(error)) = (&done, undone) {
                        return Err(fail(error));
                    }
                }
                return done;
            }
        }
        Ok(true)
    }

    #[inline]
    pub(super) fn unlock(&self, part: Part) -> io::Result<()> {
        sys::lock::release(self, self.target(part))?;
        if let Some(fifo) = self.fifo().filter(|_| part.reaches_tickets()) {
            fifo.forget();
        }
        Ok(())
    }

    /// Gives back what a plan has locked that fails.
    fn undo(&self, plan: Plan) -> io::Result<()> {
        let mut undone = Ok(());
        for &part in plan.undo {
            undone = undone.and(self.unlock_but_ticket(part));
        }
        undone
    }

    /// Unlocks a part, and keeps the ticket: a failed attempt is no reason to give up the place.
    fn unlock_but_ticket(&self, part: Part) -> io::Result<()> {
        let range = if self.fifo().is_some() {
            part.below_tickets(self.exclusive_len)
        } else {
            part.range(self.exclusive_len)
        };
        sys::lock::release(self, Target::Bytes(range))
    }

    #[inline]
    pub(super) fn try_lock(&self, access: Access, target: Target) -> io::Result<bool> {
        sys::lock::try_lock(self, access, target)
    }

    pub(super) fn target(&self, part: Part) -> Target {
        Target::Bytes(part.range(self.exclusive_len))
    }
}
