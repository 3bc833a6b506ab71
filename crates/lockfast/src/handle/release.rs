//! How a lock that was held is released: by the lane, or to the kernel.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::file::LockFile;
use crate::file::identity;
use crate::handle::hold::HeldLock;
use crate::handle::{Handle, OfProcess};
use crate::protocol::plan::Mode;
use crate::sys;
use crate::types::error::{Error, Operation, Result};

/// Releases what was held: leaves it in the lane, if somebody comes by there or it lingers, else gives
/// it back to the kernel.
#[inline(never)]
pub(crate) fn release(mut parcel: Box<HeldLock>) -> Result<()> {
    if !parcel.file().is_own() {
        // A forked child's copy: the lock is the parent's.
        return Ok(());
    }
    let handle = parcel.take_handle();
    Releasing {
        handle: &handle,
        mode: parcel.mode,
    }
    .release(parcel)
}

/// One who releases.
#[derive(Clone, Copy, Debug)]
struct Releasing<'h> {
    handle: &'h Arc<Handle>,
    mode: Mode,
}

impl<'h> Releasing<'h> {
    fn release(self, mut parcel: Box<HeldLock>) -> Result<()> {
        let queue = &self.process().queue;
        let is_awaited = || self.mode.is_alone() && queue.has_waiting() && self.handle.has_lane();
        if parcel.is_by_lane() || is_awaited() {
            parcel.put_in_lane(self.handle);
            match queue.pass_by_lane(parcel, self.mode.access()) {
                None => return Ok(()),
                Some(again) => parcel = again,
            }
        }
        if self.mode.is_alone() {
            self.release_alone(parcel)
        } else {
            self.release_shared(parcel)
        }
    }

    fn release_alone(self, mut parcel: Box<HeldLock>) -> Result<()> {
        let process = self.process();
        if let Some(begun) = self.handle.may_linger(process, parcel.file()) {
            parcel.put_in_lane(self.handle);
            let is_allowed = || process.lingering.is_allowed_since(begun);
            match process.queue.linger(parcel, is_allowed) {
                None => return Ok(()),
                Some(again) => parcel = again,
            }
        }
        let is_temporary = self.handle.settings().remove_on_release;
        let removed = if is_temporary {
            self.remove(parcel.file())
        } else {
            Ok(())
        };
        let released = self.let_go(parcel.file());
        process.held.store(false, Ordering::Relaxed);
        // A file that could not be unlocked is closed instead, and so is one that was removed.
        let keep = released.is_ok() && !is_temporary;
        process.queue.leave_alone(keep, Some(parcel.spare()));
        removed.and(released)
    }

    fn release_shared(self, mut parcel: Box<HeldLock>) -> Result<()> {
        let process = self.process();
        let stay = |file: &LockFile| {
            // What stays locked by mistake is unlocked with the rest, by the last one out.
            let _ = file.release_upgrade();
        };
        let Some(mut turn) = process.queue.leave(self.mode, parcel.thread, stay) else {
            return Ok(());
        };
        let to_keep = self.mode == Mode::Read;
        let begun = to_keep.then(|| self.handle.may_linger(process, parcel.file()));
        if let Some(begun) = begun.flatten() {
            parcel.put_in_lane(self.handle);
            match turn.linger(parcel, || process.lingering.is_allowed_since(begun)) {
                Ok(()) => return Ok(()),
                Err((again, kept)) => (turn, parcel) = (again, kept),
            }
        }
        process.held.store(false, Ordering::Relaxed);
        let removed = self.remove_if_alone(parcel.file());
        let released = self.let_go(parcel.file());
        if released.is_err() || !matches!(removed, Ok(false)) {
            turn.replace(None);
        } else {
            turn.spare(parcel.spare());
        }
        removed.map(drop).and(released)
    }

    /// The last one out of all processes removes the file, if it is to be removed.
    fn remove_if_alone(self, file: &LockFile) -> Result<bool> {
        if !self.handle.settings().remove_on_release || !file.can_lock_exclusively() {
            return Ok(false);
        }
        match file.try_to_be_last() {
            Ok(true) => self.remove(file).map(|()| true),
            Ok(false) => Ok(false),
            Err(error) => Err(self.failed(Operation::Remove, error)),
        }
    }

    /// Removes the file while it is locked, so that whoever locks it next sees that it is gone.
    fn remove(self, file: &LockFile) -> Result<()> {
        let path = self.handle.path();
        let follow = self.handle.settings().follow_symlinks;
        let is_current = identity::is_at(file, path, follow)
            .map_err(|error| self.failed(Operation::Check, error))?;
        if !is_current {
            return Ok(());
        }
        match sys::file::remove(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|error| self.failed(Operation::Remove, error)),
        }
    }

    fn let_go(self, file: &LockFile) -> Result<()> {
        file.release()
            .map_err(|error| file.failed(self.handle.path(), Operation::Release, error))
    }

    fn process(self) -> &'h OfProcess {
        self.handle.process()
    }

    fn failed(self, operation: Operation, error: io::Error) -> Error {
        Error::system(self.handle.path(), operation, error)
    }
}
