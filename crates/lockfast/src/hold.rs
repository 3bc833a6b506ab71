//! A lock that is held, whichever primitive it is of.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Cause, Error, Operation, Result};
use crate::file::{Goal, LockFile};
use crate::handle::{Handle, OfProcess};
use crate::identity;
use crate::owner::{self, Entry};
use crate::protocol::plan::{self, Mode};
use crate::queue::Lane;
use crate::release::Releasing;
use crate::thread::ThreadToken;
use crate::trace;
use crate::wait::{Patience, Wait, now};

/// A lock that is held, until dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    mode: Mode,
    thread: ThreadToken,
    /// Taken out when it is released.
    grip: Option<Grip>,
    /// What was written of it; taken out when that was ended.
    entry: Option<Box<Entry>>,
}

/// What has to be kept while a lock is held.
#[derive(Debug)]
enum Grip {
    /// Of one who was granted it by the kernel, or joined those inside.
    Own(Arc<Handle>, Arc<LockFile>),
    /// Of one who took it from the lane.
    Lane(Box<Parcel>),
}

/// What one who releases leaves in the lane to the next: nothing has to be counted then.
#[derive(Debug)]
pub(crate) struct Parcel {
    handle: Arc<Handle>,
    file: Arc<LockFile>,
    /// How often it was left there.
    turns: u32,
}

impl Parcel {
    pub(crate) fn new(handle: &Arc<Handle>, file: &Arc<LockFile>) -> Self {
        Self {
            handle: Arc::clone(handle),
            file: Arc::clone(file),
            turns: 0,
        }
    }

    fn lane(&self) -> &Lane<Self> {
        self.handle.process().queue.lane()
    }
}

/// Every so many turns one who leaves looks at the queue in any case: a thread that is awake may not
/// have a processor.
const TURNS: u32 = 64;

impl Hold {
    pub(crate) fn new(
        handle: &Arc<Handle>,
        mode: Mode,
        thread: ThreadToken,
        file: Arc<LockFile>,
        entry: Option<Box<Entry>>,
    ) -> Self {
        Self {
            mode,
            thread,
            grip: Some(Grip::Own(Arc::clone(handle), file)),
            entry,
        }
    }

    /// For one who took it from the lane.
    #[inline]
    pub(crate) fn from_lane(parcel: Box<Parcel>, mode: Mode, thread: ThreadToken) -> Self {
        Self {
            mode,
            thread,
            grip: Some(Grip::Lane(parcel)),
            entry: None,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.handle().path()
    }

    pub(crate) fn file(&self) -> &Arc<LockFile> {
        match self.grip() {
            Grip::Own(_, file) => file,
            Grip::Lane(parcel) => &parcel.file,
        }
    }

    /// Is the locked file still the one at the path?
    pub(crate) fn is_current(&self) -> Result<bool> {
        let follow = self.handle().settings().follow_symlinks;
        identity::is_at(self.file(), self.path(), follow)
            .map_err(|error| self.failed(Operation::Check, error))
    }

    /// No thread counts as its holder from now on.
    pub(crate) fn disown(&mut self) {
        if self.file().is_own() && self.thread != ThreadToken::NONE {
            let queue = &self.process().queue;
            match self.grip() {
                Grip::Own(..) => queue.disown(self.mode, self.thread),
                Grip::Lane(_) => queue.disown_lane(),
            }
            self.thread = ThreadToken::NONE;
        }
    }

    /// From upgradable to the writer; what it was when that fails.
    pub(crate) fn upgrade(&mut self, patience: Patience) -> Result<()> {
        let handle = Arc::clone(self.handle());
        let wait = Wait::new(&handle, ThreadToken::NONE, patience, Operation::Upgrade);
        let is_forever = patience == Patience::Forever;
        now(self.upgrade_by(wait, is_forever))
    }

    /// The same as a task, waiting until it is dropped.
    pub(crate) async fn upgrade_async(&mut self) -> Result<()> {
        let handle = Arc::clone(self.handle());
        let wait = Wait::of_task(&handle, Operation::Upgrade);
        self.upgrade_by(wait, false).await
    }

    async fn upgrade_by(&mut self, mut wait: Wait<'_>, is_forever: bool) -> Result<()> {
        self.must_be_own(Operation::Upgrade)?;
        let process = self.process();
        if is_forever && process.queue.has_reader(self.thread) {
            let why = "this thread also reads, and would wait for itself";
            return Err(Error::new(
                self.path(),
                Operation::Upgrade,
                Cause::Deadlock(why),
            ));
        }
        let joined = process.queue.line_up_to_upgrade(self.thread);
        let turn = wait.for_turn(joined, || process.holder()).await?;
        let file = self.file();
        let upgraded = file
            .attempt(Goal::Upgrade)
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
        self.entry = entry;
        self.mode = Mode::Write;
        Ok(())
    }

    /// From stronger to weaker; what it was when that fails.
    pub(crate) fn downgrade(&mut self, to: Mode) -> Result<()> {
        self.must_be_own(Operation::Downgrade)?;
        let plan = match (self.mode, to) {
            (Mode::Write, Mode::Read) => plan::WRITE_TO_READ,
            (Mode::Write, Mode::Upgradable) => plan::WRITE_TO_UPGRADABLE,
            (Mode::Upgradable, Mode::Read) => plan::UPGRADABLE_TO_READ,
            _ => unreachable!("no guard does that"),
        };
        if !self.file().converts() {
            return Err(self.handle().unsupported(Operation::Downgrade));
        }
        self.leave_lane();
        self.end_record()?;
        self.file()
            .downgrade(plan)
            .map_err(|error| self.failed(Operation::Downgrade, error))?;
        self.process().queue.change(self.mode, to, self.thread);
        trace::released(self.path(), self.mode.name());
        trace::acquired(self.path(), to.name(), None);
        self.mode = to;
        Ok(())
    }

    /// Releases it and tells of errors. Once is enough; what comes after does nothing.
    #[inline]
    pub(crate) fn release(&mut self) -> Result<()> {
        let ended = if self.entry.is_some() {
            self.end_record()
        } else {
            Ok(())
        };
        let Some(grip) = self.grip.take() else {
            return Ok(());
        };
        let released = match grip {
            Grip::Lane(parcel) => self.leave_parcel(parcel),
            Grip::Own(handle, file) => self.releasing(&handle, &file).release(),
        };
        ended.and(released)
    }

    /// What was written of this hold, if anything was.
    pub(crate) fn entry(&self) -> Option<&Entry> {
        self.entry.as_deref()
    }

    /// Writes that it is released, if it was written that it is held.
    fn end_record(&mut self) -> Result<()> {
        let Some(mut entry) = self.entry.take() else {
            return Ok(());
        };
        if !self.file().is_own() {
            // A forked child's copy: the record is the parent's.
            return Ok(());
        }
        let ended = entry.end(self.file());
        ended.map_err(|error| owner::failed(self.path(), error))
    }

    #[inline]
    fn leave_parcel(&self, mut parcel: Box<Parcel>) -> Result<()> {
        if !parcel.file.is_own() {
            // A forked child's copy: the lock is the parent's.
            return Ok(());
        }
        trace::released(parcel.handle.path(), self.mode.name());
        parcel.turns = parcel.turns.wrapping_add(1);
        if parcel.turns % TURNS != 0 {
            match Lane::leave_by(parcel, Parcel::lane, self.mode) {
                Ok(()) => return Ok(()),
                Err(again) => parcel = again,
            }
        }
        let (handle, file) = (Arc::clone(&parcel.handle), Arc::clone(&parcel.file));
        self.releasing(&handle, &file).leave_lane(parcel)
    }

    fn releasing<'h>(&self, handle: &'h Arc<Handle>, file: &'h Arc<LockFile>) -> Releasing<'h> {
        Releasing {
            handle,
            file,
            mode: self.mode,
            thread: self.thread,
        }
    }

    /// Holds it as one who did not take it from the lane.
    fn leave_lane(&mut self) {
        if let Some(Grip::Lane(parcel)) = &self.grip {
            let (handle, file) = (Arc::clone(&parcel.handle), Arc::clone(&parcel.file));
            handle.process().queue.leave_lane(self.thread);
            self.grip = Some(Grip::Own(handle, file));
        }
    }

    fn must_be_own(&self, operation: Operation) -> Result<()> {
        if self.file().is_own() {
            return Ok(());
        }
        let why = "this is a forked child's copy of the guard, which holds nothing";
        Err(Error::new(self.path(), operation, Cause::NotHeld(why)))
    }

    fn handle(&self) -> &Arc<Handle> {
        match self.grip() {
            Grip::Own(handle, _) => handle,
            Grip::Lane(parcel) => &parcel.handle,
        }
    }

    fn grip(&self) -> &Grip {
        self.grip.as_ref().expect("it is there until the release")
    }

    fn process(&self) -> &OfProcess {
        self.handle().process()
    }

    fn failed(&self, operation: Operation, error: io::Error) -> Error {
        Error::system(self.path(), operation, error)
    }
}

impl Drop for Hold {
    #[inline]
    fn drop(&mut self) {
        // A drop has nobody to tell; `release` does.
        let _ = self.release();
    }
}
