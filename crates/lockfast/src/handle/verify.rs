//! Checks of the lock file: whether it may be locked, and is the one at the path.

use std::sync::Arc;

use super::shared::Handle;
use crate::file::identity;
use crate::file::owner::{self, Entry};
use crate::file::{Goal, LockFile};
use crate::protocol::plan::Mode;
use crate::types::error::{Cause, Error, Operation, Result};
use crate::types::verify::Verify;

impl Handle {
    /// An error if the file can't be held in this mode.
    #[inline]
    pub(super) fn ensure_allows(&self, file: &LockFile, mode: Mode) -> Result<()> {
        // Without conversions the upgrade would give up the read lock, and another writer could be in
        // between.
        if mode == Mode::Upgradable && !file.converts() {
            return Err(self.unsupported(Operation::Lock));
        }
        if mode != Mode::Read && !file.can_lock_exclusively() {
            return Err(self.read_only());
        }
        Ok(())
    }

    #[cold]
    fn read_only(&self) -> Error {
        let why = "the file could be opened for reading only, which is enough to share the lock: \
                   check its owner and mode to have it alone";
        Error::new(&self.path, Operation::Lock, Cause::ReadOnly(why))
    }

    #[cold]
    pub(super) fn unsupported(&self, operation: Operation) -> Error {
        let why = "flock can't change a lock without giving it up in between: use Protocol::Fcntl \
                   on a system that has open-file-description locks";
        Error::new(&self.path, operation, Cause::Unsupported(why, None))
    }

    /// Whether the file, which is locked now, is the one at the path.
    #[inline]
    pub(crate) fn is_current(&self, file: &LockFile, waited: bool) -> Result<bool> {
        let (follow, verify) = (self.settings.follow_symlinks, self.settings.verify);
        identity::is_current(file, &self.path, follow, verify, waited)
            .map_err(|error| Error::system(&self.path, Operation::Check, error))
    }

    /// Whether the file, locked or not, is the one at the path.
    pub(crate) fn is_at_path(&self, file: &LockFile) -> Result<bool> {
        if self.settings.verify == Verify::Off {
            return Ok(true);
        }
        identity::is_at(file, &self.path, self.settings.follow_symlinks)
            .map_err(|error| Error::system(&self.path, Operation::Check, error))
    }

    /// Writes the owner record, if the lock is exclusive and a record is wanted.
    pub(super) fn begin_record(&self, file: &LockFile, mode: Mode) -> Result<Option<Box<Entry>>> {
        if !mode.is_alone() {
            return Ok(None);
        }
        let entry = file.begin_record();
        entry.map_err(|error| owner::failed(&self.path, error))
    }

    /// Takes a read lock of readers of this handle as well, unless the kernel holds it back for others or the
    /// file is not the one at the path.
    pub(super) fn join(&self, file: &Arc<LockFile>, mode: Mode) -> Result<bool> {
        self.ensure_allows(file, mode)?;
        match file.try_acquire(Goal::Join(mode)) {
            Ok(true) => {}
            // It steps back, and waits until those inside have left (invariant 2 of the queue).
            Ok(false) => return Ok(false),
            // To be opened again, once those inside have left.
            Err(error) if file.is_void(&error) => return Ok(false),
            Err(error) => return Err(Error::system(&self.path, Operation::Lock, error)),
        }
        let current = self.is_current(file, false);
        // Those inside may stay, but a newcomer needs the file that is there now.
        if !matches!(current, Ok(true)) && mode == Mode::Upgradable {
            // Only the upgrade byte is new: the other bytes are those of the readers inside.
            file.release_upgrade()
                .map_err(|error| Error::system(&self.path, Operation::Release, error))?;
        }
        current
    }
}
