//! How a lock that was held is released: by the lane, or to the kernel.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::{Error, Operation, Result};
use crate::file::{Goal, LockFile};
use crate::handle::{Handle, OfProcess};
use crate::hold::Parcel;
use crate::identity;
use crate::protocol::plan::Mode;
use crate::thread::ThreadToken;
use crate::trace;

/// One who releases, and what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Releasing<'h> {
    pub(crate) handle: &'h Arc<Handle>,
    pub(crate) file: &'h Arc<LockFile>,
    pub(crate) mode: Mode,
    pub(crate) thread: ThreadToken,
}

impl Releasing<'_> {
    /// For one who did not take it from the lane.
    pub(crate) fn release(self) -> Result<()> {
        if !self.file.is_own() {
            // A forked child's copy: the lock is the parent's.
            return Ok(());
        }
        trace::released(self.handle.path(), self.mode.name());
        if !self.mode.is_alone() {
            return self.release_shared();
        }
        if self.process().queue.has_waiting() && self.handle.has_lane() {
            return self.leave_lane(Box::new(Parcel::new(self.handle, self.file)));
        }
        self.release_alone()
    }

    /// Leaves by the lane, if somebody comes by there, else to the kernel.
    #[cold]
    pub(crate) fn leave_lane(self, parcel: Box<Parcel>) -> Result<()> {
        match self.process().queue.pass_by_lane(parcel) {
            None => Ok(()),
            Some(_) => self.release_alone(),
        }
    }

    fn release_alone(self) -> Result<()> {
        let is_temporary = self.handle.settings().remove_on_release;
        let removed = if is_temporary { self.remove() } else { Ok(()) };
        let released = self.let_go();
        let process = self.process();
        process.held.store(false, Ordering::Relaxed);
        // A file that could not be unlocked is closed instead, and so is one that was removed.
        process.queue.leave_alone(released.is_ok() && !is_temporary);
        removed.and(released)
    }

    fn release_shared(self) -> Result<()> {
        let process = self.process();
        let stay = |file: &LockFile| {
            // What stays locked by mistake is unlocked with the rest, by the last one out.
            let _ = file.release_upgrade();
        };
        let Some(mut turn) = process.queue.leave(self.mode, self.thread, stay) else {
            return Ok(());
        };
        process.held.store(false, Ordering::Relaxed);
        let removed = self.remove_if_alone();
        let released = self.let_go();
        if released.is_err() || !matches!(removed, Ok(false)) {
            turn.replace(None);
        }
        removed.map(drop).and(released)
    }

    /// The last one out of all processes removes the file, if it is to be removed.
    fn remove_if_alone(self) -> Result<bool> {
        if !self.handle.settings().remove_on_release || !self.file.can_be_alone() {
            return Ok(false);
        }
        match self.file.attempt(Goal::Upgrade) {
            Ok(true) => self.remove().map(|()| true),
            Ok(false) => Ok(false),
            Err(error) => Err(self.failed(Operation::Remove, error)),
        }
    }

    /// Removes the file while it is locked, so that whoever locks it next sees that it is gone.
    fn remove(self) -> Result<()> {
        let path = self.handle.path();
        let follow = self.handle.settings().follow_symlinks;
        let is_current = identity::is_at(self.file, path, follow)
            .map_err(|error| self.failed(Operation::Check, error))?;
        if !is_current {
            return Ok(());
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|error| self.failed(Operation::Remove, error)),
        }
    }

    fn let_go(self) -> Result<()> {
        self.file
            .release()
            .map_err(|error| self.failed(Operation::Release, error))
    }

    fn process(&self) -> &OfProcess {
        self.handle.process()
    }

    fn failed(self, operation: Operation, error: io::Error) -> Error {
        Error::system(self.handle.path(), operation, error)
    }
}
