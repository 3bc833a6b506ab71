//! A lock that is held, whichever primitive it is of.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::{Cause, Error, Operation, Result};
use crate::file::{Goal, LockFile};
use crate::handle::{Handle, OfProcess};
use crate::identity;
use crate::protocol::plan::{self, Mode};
use crate::thread::ThreadToken;
use crate::trace;
use crate::wait::{Patience, Wait, now};

/// A lock that is held, until dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    handle: Arc<Handle>,
    mode: Mode,
    thread: ThreadToken,
    /// Taken out when it is released.
    file: Option<Arc<LockFile>>,
}

impl Hold {
    pub(crate) fn new(
        handle: &Arc<Handle>,
        mode: Mode,
        thread: ThreadToken,
        file: Arc<LockFile>,
    ) -> Self {
        Self {
            handle: Arc::clone(handle),
            mode,
            thread,
            file: Some(file),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.handle.path()
    }

    pub(crate) fn file(&self) -> &LockFile {
        self.file.as_ref().expect("it is there until the release")
    }

    /// Is the locked file still the one at the path?
    pub(crate) fn is_current(&self) -> Result<bool> {
        let follow = self.handle.settings().follow_symlinks;
        identity::is_at(self.file(), self.path(), follow)
            .map_err(|error| self.failed(Operation::Check, error))
    }

    /// No thread counts as its holder from now on.
    pub(crate) fn disown(&mut self) {
        if self.file().is_own() && self.thread != ThreadToken::NONE {
            self.process().queue.disown(self.mode, self.thread);
            self.thread = ThreadToken::NONE;
        }
    }

    /// From upgradable to the writer; what it was when that fails.
    pub(crate) fn upgrade(&mut self, patience: Patience) -> Result<()> {
        let handle = Arc::clone(&self.handle);
        let wait = Wait::new(&handle, ThreadToken::NONE, patience, Operation::Upgrade);
        let is_forever = patience == Patience::Forever;
        now(self.upgrade_by(wait, is_forever))
    }

    /// The same as a task, waiting until it is dropped.
    pub(crate) async fn upgrade_async(&mut self) -> Result<()> {
        let handle = Arc::clone(&self.handle);
        let wait = Wait::of_task(&handle, Operation::Upgrade);
        self.upgrade_by(wait, false).await
    }

    async fn upgrade_by(&mut self, mut wait: Wait<'_>, is_forever: bool) -> Result<()> {
        self.must_be_own(Operation::Upgrade)?;
        let process = self.handle.process();
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
        let file = self.file.as_ref().expect("it is there until the release");
        let upgraded = file
            .attempt(Goal::Upgrade)
            .map_err(|error| self.failed(Operation::Upgrade, error))?;
        if !upgraded {
            wait.in_kernel(file, Goal::Upgrade).await?;
        }
        turn.keep();
        wait.acquired(Mode::Write.name());
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
            return Err(self.handle.unsupported(Operation::Downgrade));
        }
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
    pub(crate) fn release(&mut self) -> Result<()> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        if !file.is_own() {
            // A forked child's copy: the lock is the parent's.
            return Ok(());
        }
        trace::released(self.path(), self.mode.name());
        if self.mode.is_alone() {
            self.release_alone(&file)
        } else {
            self.release_shared(&file)
        }
    }

    fn release_alone(&self, file: &LockFile) -> Result<()> {
        let is_temporary = self.handle.settings().remove_on_release;
        let removed = if is_temporary {
            self.remove(file)
        } else {
            Ok(())
        };
        let released = self.let_go(file);
        let process = self.process();
        process.held.store(false, Ordering::Relaxed);
        // A file that could not be unlocked is closed instead, and so is one that was removed.
        process.queue.leave_alone(released.is_ok() && !is_temporary);
        removed.and(released)
    }

    fn release_shared(&self, file: &LockFile) -> Result<()> {
        let process = self.process();
        let stay = |file: &LockFile| {
            // What stays locked by mistake is unlocked with the rest, by the last one out.
            let _ = file.release_upgrade();
        };
        let Some(mut turn) = process.queue.leave(self.mode, self.thread, stay) else {
            return Ok(());
        };
        process.held.store(false, Ordering::Relaxed);
        let removed = self.remove_if_alone(file);
        let released = self.let_go(file);
        if released.is_err() || !matches!(removed, Ok(false)) {
            turn.replace(None);
        }
        removed.map(drop).and(released)
    }

    /// The last one out of all processes removes the file, if it is to be removed.
    fn remove_if_alone(&self, file: &LockFile) -> Result<bool> {
        if !self.handle.settings().remove_on_release || !file.can_be_alone() {
            return Ok(false);
        }
        match file.attempt(Goal::Upgrade) {
            Ok(true) => self.remove(file).map(|()| true),
            Ok(false) => Ok(false),
            Err(error) => Err(self.failed(Operation::Remove, error)),
        }
    }

    /// Removes the file while it is locked, so that whoever locks it next sees that it is gone.
    fn remove(&self, file: &LockFile) -> Result<()> {
        let follow = self.handle.settings().follow_symlinks;
        let is_current = identity::is_at(file, self.path(), follow)
            .map_err(|error| self.failed(Operation::Check, error))?;
        if !is_current {
            return Ok(());
        }
        match fs::remove_file(self.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|error| self.failed(Operation::Remove, error)),
        }
    }

    fn let_go(&self, file: &LockFile) -> Result<()> {
        file.release()
            .map_err(|error| self.failed(Operation::Release, error))
    }

    fn must_be_own(&self, operation: Operation) -> Result<()> {
        if self.file().is_own() {
            return Ok(());
        }
        let why = "this is a forked child's copy of the guard, which holds nothing";
        Err(Error::new(self.path(), operation, Cause::NotHeld(why)))
    }

    fn process(&self) -> &OfProcess {
        self.handle.process()
    }

    fn failed(&self, operation: Operation, error: io::Error) -> Error {
        Error::system(self.path(), operation, error)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // A drop has nobody to tell; `release` does.
        let _ = self.release();
    }
}
