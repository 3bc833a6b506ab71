//! Conversions of a lock that is held: upgrade and downgrade.

use std::sync::Arc;

use super::hold::Hold;
use super::shared::Handle;
use crate::file::Goal;
use crate::file::owner::{self, Entry};
use crate::protocol::plan::{self, Mode, Plan};
use crate::sys::Access;
use crate::types::error::{Cause, Error, Operation, Result};
use crate::types::thread::ThreadToken;
use crate::types::trace;
use crate::types::wait_limit::WaitLimit;
use crate::wait::{Admission, Wait, in_one_process, run_blocking};

impl Hold {
    /// Upgrades to the writer; stays upgradable when that fails.
    pub(crate) fn upgrade(&mut self, limit: WaitLimit) -> Result<()> {
        let handle = Arc::clone(self.handle());
        let thread = ThreadToken::current();
        self.belongs_to(thread);
        let wait = Wait::new(&handle, thread, limit, Operation::Upgrade);
        run_blocking(self.upgrade_by(wait, thread))
    }

    /// Upgrades as a task, waiting until it is dropped.
    pub(crate) async fn upgrade_async(&mut self) -> Result<()> {
        let handle = Arc::clone(self.handle());
        self.belongs_to(ThreadToken::NONE);
        let wait = Wait::of_task(&handle, Operation::Upgrade);
        let upgrades = self.upgrade_by(wait, ThreadToken::NONE);
        in_one_process(handle.path(), Operation::Upgrade, upgrades).await
    }

    /// The caller is that thread, or a task.
    async fn upgrade_by(&mut self, mut wait: Wait<'_, Handle>, caller: ThreadToken) -> Result<()> {
        self.ensure_own(Operation::Upgrade)?;
        let process = self.process();
        wait.ensure_no_reader(|| process.queue.has_reader(caller))?;
        // A reader that is none is not in the way.
        process.queue.shut_idle_handoff();
        let enqueued = process.queue.enqueue_upgrade(self.held().thread);
        let holder = || process.holder(Access::Exclusive);
        let Admission::Turn(turn) = wait.until_admitted(enqueued, holder).await? else {
            unreachable!("an upgrade does not compete for the hand-off")
        };
        let file = self.file();
        let upgraded = file
            .try_acquire(Goal::Upgrade)
            .map_err(|error| self.failed(Operation::Upgrade, error))?;
        if !upgraded {
            // An error leaves it upgradable: the plan undoes what it took, and the drop of the turn
            // passes it on.
            wait.in_kernel(file, Goal::Upgrade).await?;
        }
        // With the kernel lock in hand, as nobody else may write now.
        let entry = match self.handle().begin_record(file, Mode::Write) {
            Ok(entry) => entry,
            Err(error) => {
                // A writer without a record would pass for the holder before it.
                file.undo_goal(Goal::Upgrade)
                    .map_err(|error| self.failed(Operation::Upgrade, error))?;
                return Err(error);
            }
        };
        turn.keep();
        wait.acquired(Mode::Write.name());
        // Last: after each error above the guard is still upgradable.
        let held = self.held_mut();
        held.entry = entry;
        held.mode = Mode::Write;
        Ok(())
    }

    /// Downgrades; keeps its mode when that fails.
    pub(crate) fn downgrade(&mut self, to: Mode) -> Result<()> {
        self.ensure_own(Operation::Downgrade)?;
        let plan = match (self.held().mode, to) {
            (Mode::Write, Mode::Read) => plan::WRITE_TO_READ,
            (Mode::Write, Mode::Upgradable) => plan::WRITE_TO_UPGRADABLE,
            (Mode::Upgradable, Mode::Read) => plan::UPGRADABLE_TO_READ,
            _ => unreachable!("no guard does that"),
        };
        if !self.file().converts() {
            return Err(self.handle().unsupported(Operation::Downgrade));
        }
        // The slot has one mode, and this guard will have another.
        self.held_mut().leave_slot();
        let mut entry = self.held_mut().entry.take();
        if let Err(error) = self.weaken(plan, entry.as_deref_mut()) {
            self.held_mut().entry = entry;
            return Err(error);
        }
        self.belongs_to(ThreadToken::current());
        // After the kernel's call. From here on others of this process join, and their calls are for
        // the same description.
        self.process()
            .queue
            .change(self.held().mode, to, self.held().thread);
        trace::released(self.path(), self.held().mode.name());
        trace::acquired(self.path(), to.name());
        self.held_mut().mode = to;
        Ok(())
    }

    /// Ends the owner record, and changes the kernel's locks. The record is as before when that fails.
    fn weaken(&self, plan: Plan, mut entry: Option<&mut Entry>) -> Result<()> {
        let file = self.file();
        // While it is still exclusive: afterwards others could write.
        let ended = match &mut entry {
            Some(entry) => file.end_record(entry),
            None => Ok(()),
        };
        let changed = ended
            .map_err(|error| owner::failed(self.path(), error))
            .and_then(|()| {
                let changed = file.downgrade(plan);
                changed.map_err(|error| self.failed(Operation::Downgrade, error))
            });
        if let (Err(_), Some(entry)) = (&changed, entry) {
            // It still keeps writers out, so nobody else has written. That first error is the one to report.
            let _ = file.resume_record(entry);
        }
        changed
    }

    /// Makes that thread the holder: it converts the guard, wherever the guard was taken. A guard that belongs
    /// to no thread, because it was handed over or is a task's, stays so.
    fn belongs_to(&mut self, thread: ThreadToken) {
        let held = self.held_mut();
        if held.thread != ThreadToken::NONE {
            held.thread = thread;
        }
    }

    fn ensure_own(&self, operation: Operation) -> Result<()> {
        if self.file().is_own() {
            return self.file().ensure_there(self.path(), operation);
        }
        let why = "this is a forked child's copy of the guard, which holds nothing";
        Err(Error::new(self.path(), operation, Cause::NotHeld(why)))
    }
}
