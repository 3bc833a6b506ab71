//! A lock that is held, whichever primitive it is of.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::file::identity;
use crate::file::owner::{self, Entry};
use crate::file::{Goal, LockFile};
use crate::handle::release;
use crate::handle::{Handle, OfProcess};
use crate::protocol::plan::{self, Mode};
use crate::queue::Handoff;
use crate::sys::Access;
use crate::types::error::{Cause, Error, Operation, Result};
use crate::types::thread::ThreadToken;
use crate::types::trace;
use crate::types::wait_limit::WaitLimit;
use crate::wait::{Wait, in_one_process, now};

/// A lock that is held, until dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    /// Taken out when it is released. One address, so that a guard is passed on in a register.
    parcel: Option<Box<HeldLock>>,
}

/// What has to be kept while a lock is held. One who releases by the lane leaves it to the next, so that
/// nothing has to be counted or allocated.
#[derive(Debug)]
pub(crate) struct HeldLock {
    /// None while nobody holds the lock and it is not in the lane.
    handle: Option<Arc<Handle>>,
    file: Arc<LockFile>,
    pub(crate) mode: Mode,
    /// Who counts as the holder.
    pub(crate) thread: ThreadToken,
    /// Was it left in the lane, or will it be?
    by_lane: bool,
    /// How often it was left there while others waited.
    turns: u32,
    /// What was written of this hold; taken out when that was ended.
    entry: Option<Box<Entry>>,
}

impl HeldLock {
    #[allow(
        clippy::unnecessary_box_returns,
        reason = "it is used again and again where it is"
    )]
    pub(crate) fn new(file: Arc<LockFile>) -> Box<Self> {
        Box::new(Self {
            handle: None,
            file,
            mode: Mode::Write,
            thread: ThreadToken::NONE,
            by_lane: false,
            turns: 0,
            entry: None,
        })
    }

    #[inline]
    pub(crate) fn handle(&self) -> &Arc<Handle> {
        self.handle.as_ref().expect("it is there while it is held")
    }

    pub(crate) fn file(&self) -> &Arc<LockFile> {
        &self.file
    }

    pub(crate) fn is_by_lane(&self) -> bool {
        self.by_lane
    }

    /// Whoever releases it needs the handle until the end.
    pub(crate) fn take_handle(&mut self) -> Arc<Handle> {
        self.handle.take().expect("it is there while it is held")
    }

    /// For the next one who comes by. What is in the lane the queue counts as nobody's.
    pub(crate) fn put_in_lane(&mut self, handle: &Arc<Handle>) {
        self.handle = Some(Arc::clone(handle));
        self.thread = ThreadToken::NONE;
        self.by_lane = true;
    }

    /// For the next one who is granted the lock by the kernel. So as not to keep the handle alive, it is
    /// not in it.
    #[allow(
        clippy::unnecessary_box_returns,
        reason = "the allocation is what is kept"
    )]
    pub(crate) fn spare(mut self: Box<Self>) -> Box<Self> {
        self.handle = None;
        self
    }

    /// Writes that it is released, if it was written that it is held.
    fn end_record(&mut self) -> Result<()> {
        let Some(mut entry) = self.entry.take() else {
            return Ok(());
        };
        if !self.file.is_own() {
            // A forked child's copy: the record is the parent's.
            return Ok(());
        }
        let ended = self.file.end_record(&mut entry);
        ended.map_err(|error| owner::failed(self.handle().path(), error))
    }

    /// Leaves it in the lane without a look at the queue, if that is allowed and this process has opened
    /// the handle; then the file is its own, too. Else it is given back.
    #[inline]
    fn leave_at_once(mut self: Box<Self>) -> std::result::Result<(), Box<Self>> {
        let process = self.handle.as_ref().and_then(|handle| handle.own_process());
        let (Some(process), true, None) = (process, self.by_lane, &self.entry) else {
            return Err(self);
        };
        if process.queue.has_waiting() {
            self.turns = self.turns.wrapping_add(1);
            if self.turns % TURNS == 0 {
                return Err(self);
            }
        }
        let mode = self.mode;
        Handoff::leave_by(self, Self::lane, mode)
    }

    #[inline]
    fn lane(&self) -> Option<&Handoff<Self>> {
        let handle = self.handle.as_ref()?;
        Some(handle.first_process().queue.lane())
    }

    fn release(mut self: Box<Self>) -> Result<()> {
        let ended = self.end_record();
        let released = release::release(self);
        ended.and(released)
    }
}

/// Every so many turns while others wait, one who leaves looks at the queue in any case: a thread that is
/// awake may not have a processor.
const TURNS: u32 = 256;

impl Hold {
    pub(crate) fn new(
        handle: &Arc<Handle>,
        mode: Mode,
        thread: ThreadToken,
        file: Arc<LockFile>,
    ) -> Self {
        Self::again(HeldLock::new(file), handle, mode, thread, None)
    }

    /// With what may be left of another one, for one who was granted it by the kernel.
    #[inline]
    pub(crate) fn again(
        mut parcel: Box<HeldLock>,
        handle: &Arc<Handle>,
        mode: Mode,
        thread: ThreadToken,
        entry: Option<Box<Entry>>,
    ) -> Self {
        parcel.handle = Some(Arc::clone(handle));
        parcel.by_lane = false;
        parcel.entry = entry;
        Self::from_lane(parcel, mode, thread)
    }

    /// For one who took it from the lane.
    #[inline]
    pub(crate) fn from_lane(mut parcel: Box<HeldLock>, mode: Mode, thread: ThreadToken) -> Self {
        // To write what is there already takes longer than to look.
        if parcel.mode != mode {
            parcel.mode = mode;
        }
        if parcel.thread != thread {
            parcel.thread = thread;
        }
        Self {
            parcel: Some(parcel),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.handle().path()
    }

    pub(crate) fn file(&self) -> &Arc<LockFile> {
        &self.parcel().file
    }

    /// Is the locked file still the one at the path?
    pub(crate) fn is_current(&self) -> Result<bool> {
        let follow = self.handle().settings().follow_symlinks;
        identity::is_at(self.file(), self.path(), follow)
            .map_err(|error| self.failed(Operation::Check, error))
    }

    /// No thread counts as its holder from now on.
    pub(crate) fn disown(&mut self) {
        let parcel = self.parcel_mut();
        if parcel.file.is_own() && parcel.thread != ThreadToken::NONE {
            let queue = &parcel.handle().process().queue;
            if parcel.by_lane {
                queue.disown_lane();
            } else {
                queue.disown(parcel.mode, parcel.thread);
            }
            parcel.thread = ThreadToken::NONE;
        }
    }

    /// From upgradable to the writer; what it was when that fails.
    pub(crate) fn upgrade(&mut self, patience: WaitLimit) -> Result<()> {
        let handle = Arc::clone(self.handle());
        let thread = ThreadToken::current();
        self.belongs_to(thread);
        let wait = Wait::new(&handle, thread, patience, Operation::Upgrade);
        now(self.upgrade_by(wait, thread))
    }

    /// The same as a task, waiting until it is dropped.
    pub(crate) async fn upgrade_async(&mut self) -> Result<()> {
        let handle = Arc::clone(self.handle());
        self.belongs_to(ThreadToken::NONE);
        let wait = Wait::of_task(&handle, Operation::Upgrade);
        let upgrades = self.upgrade_by(wait, ThreadToken::NONE);
        in_one_process(handle.path(), Operation::Upgrade, upgrades).await
    }

    /// The caller is that thread, or a task.
    async fn upgrade_by(&mut self, mut wait: Wait<'_>, caller: ThreadToken) -> Result<()> {
        self.must_be_own(Operation::Upgrade)?;
        let process = self.process();
        wait.unless_reader(|| process.queue.has_reader(caller))?;
        // A reader that is none is not in the way.
        process.queue.close_idle_lane();
        let joined = process.queue.line_up_to_upgrade(self.thread());
        let turn = wait
            .for_turn(joined, || process.holder(Access::Exclusive))
            .await?;
        let file = self.file();
        let upgraded = file
            .try_acquire(Goal::Upgrade)
            .map_err(|error| self.failed(Operation::Upgrade, error))?;
        if !upgraded {
            wait.in_kernel(file, Goal::Upgrade).await?;
        }
        let entry = match self.handle().begin_record(file, Mode::Write) {
            Ok(entry) => entry,
            Err(error) => {
                file.undo_goal(Goal::Upgrade)
                    .map_err(|error| self.failed(Operation::Upgrade, error))?;
                return Err(error);
            }
        };
        turn.keep();
        wait.acquired(Mode::Write.name());
        let parcel = self.parcel_mut();
        parcel.entry = entry;
        parcel.mode = Mode::Write;
        Ok(())
    }

    /// From stronger to weaker; what it was when that fails.
    pub(crate) fn downgrade(&mut self, to: Mode) -> Result<()> {
        self.must_be_own(Operation::Downgrade)?;
        let plan = match (self.mode(), to) {
            (Mode::Write, Mode::Read) => plan::WRITE_TO_READ,
            (Mode::Write, Mode::Upgradable) => plan::WRITE_TO_UPGRADABLE,
            (Mode::Upgradable, Mode::Read) => plan::UPGRADABLE_TO_READ,
            _ => unreachable!("no guard does that"),
        };
        if !self.file().converts() {
            return Err(self.handle().unsupported(Operation::Downgrade));
        }
        self.leave_lane();
        self.parcel_mut().end_record()?;
        self.file()
            .downgrade(plan)
            .map_err(|error| self.failed(Operation::Downgrade, error))?;
        self.belongs_to(ThreadToken::current());
        self.process().queue.change(self.mode(), to, self.thread());
        trace::released(self.path(), self.mode().name());
        trace::acquired(self.path(), to.name());
        self.parcel_mut().mode = to;
        Ok(())
    }

    /// Releases it and tells of errors. Once is enough; what comes after does nothing.
    #[inline]
    pub(crate) fn release(&mut self) -> Result<()> {
        let Some(parcel) = self.parcel.take() else {
            return Ok(());
        };
        if trace::TELLS && parcel.file.is_own() {
            trace::released(parcel.handle().path(), parcel.mode.name());
        }
        match parcel.leave_at_once() {
            Ok(()) => Ok(()),
            Err(parcel) => parcel.release(),
        }
    }

    /// Writes that it is released, for those who will not release it: others inherited the lock.
    pub(crate) fn end_record(&mut self) -> Result<()> {
        self.parcel_mut().end_record()
    }

    /// What was written of this hold, if anything was.
    #[inline]
    pub(crate) fn entry(&self) -> Option<&Entry> {
        self.parcel.as_ref()?.entry.as_deref()
    }

    /// The thread that converts the guard has it, wherever it was taken. A guard that belongs to no thread,
    /// because it was handed over or is a task's, stays so.
    fn belongs_to(&mut self, thread: ThreadToken) {
        let parcel = self.parcel_mut();
        if parcel.thread != ThreadToken::NONE {
            parcel.thread = thread;
        }
    }

    /// Holds it as one who did not take it from the lane.
    fn leave_lane(&mut self) {
        let parcel = self.parcel_mut();
        if parcel.by_lane {
            parcel.handle().process().queue.leave_lane(parcel.thread);
            parcel.by_lane = false;
        }
    }

    fn must_be_own(&self, operation: Operation) -> Result<()> {
        if self.file().is_own() {
            return self.file().ensure_there(self.path(), operation);
        }
        let why = "this is a forked child's copy of the guard, which holds nothing";
        Err(Error::new(self.path(), operation, Cause::NotHeld(why)))
    }

    fn handle(&self) -> &Arc<Handle> {
        self.parcel().handle()
    }

    fn process(&self) -> &OfProcess {
        self.handle().process()
    }

    fn mode(&self) -> Mode {
        self.parcel().mode
    }

    fn thread(&self) -> ThreadToken {
        self.parcel().thread
    }

    fn parcel(&self) -> &HeldLock {
        self.parcel.as_ref().expect("it is there until the release")
    }

    fn parcel_mut(&mut self) -> &mut HeldLock {
        self.parcel.as_mut().expect("it is there until the release")
    }

    fn failed(&self, operation: Operation, error: io::Error) -> Error {
        self.file().failed(self.path(), operation, error)
    }
}

impl Drop for Hold {
    #[inline]
    fn drop(&mut self) {
        // A drop has nobody to tell; `release` does.
        let _ = self.release();
    }
}
