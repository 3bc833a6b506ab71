//! Waiter marks and cache marks of an open file (see [`crate::protocol::linger`]).

use std::fmt;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::protocol::linger;
use crate::sys::notifier;
use crate::sys::{self, Access, Range, Target};

/// A watch of a file, which ends when this is dropped.
pub(crate) trait CacheWatch: fmt::Debug + Send + Sync {
    /// Revokes the cached lock at that instant, unless it was cached anew; `false` when nobody would do that,
    /// nor see who wants it.
    fn revoke_at(&self, until: Instant) -> bool;
}

/// Whether this open file has locked some of these bytes.
///
/// Only the thread with the turn of the handle changes it.
#[derive(Debug, Default)]
pub(super) struct Marks(AtomicBool);

impl Marks {
    /// Shows that the lock is cached; `false` when somebody wants it. The marks go with the release of the
    /// lock, in either case.
    pub(super) fn show_cached(&self, file: &File) -> bool {
        self.0.store(true, Ordering::Relaxed);
        // In this order: a waiter locks its mark or the wanted byte before it waits.
        matches!(try_bytes(file, Access::Shared, linger::marks()), Ok(true))
            && sys::lock::blocker(file, Access::Exclusive, linger::wanted()).is_none()
    }

    /// Shows that the lock is wanted, and notifies if somebody may cache it.
    pub(super) fn show_wanted(&self, file: &File) {
        // Before the call: of a call that failed it is not known what is locked.
        self.0.store(true, Ordering::Relaxed);
        let own = linger::waiter_mark(std::process::id(), sys::file::number(file));
        if !matches!(try_bytes(file, Access::Exclusive, own), Ok(true)) {
            // Should this fail, a cached lock is given up when its time is over.
            let _ = try_bytes(file, Access::Shared, linger::wanted());
            notifier::notify(file);
        }
    }

    /// Releases the marks.
    #[inline]
    pub(super) fn release(&self, file: &File) -> io::Result<()> {
        // Relaxed: the turn passes through a mutex.
        if self.0.load(Ordering::Relaxed) {
            sys::lock::release(file, Target::Bytes(linger::all()))?;
            // After the call: marks that could not be unlocked are still there.
            self.forget();
        }
        Ok(())
    }

    /// Notes that the marks were released together with other bytes.
    pub(super) fn forget(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Whether another process may have the lock cached.
pub(super) fn is_cached(file: &File) -> bool {
    sys::lock::blocker(file, Access::Exclusive, linger::cache_mark()).is_some()
}

/// The interest of a waiter, shown to processes that may cache the lock until this is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Interest<'f> {
    file: &'f File,
    marks: &'f Marks,
    access: Access,
    /// Whether the marks stay until the lock is released.
    stays: bool,
}

impl<'f> Interest<'f> {
    pub(super) fn new(file: &'f File, marks: &'f Marks, access: Access) -> Self {
        Self {
            file,
            marks,
            access,
            stays: false,
        }
    }

    /// Ends it with the lock in hand. An exclusive holder releases everything together, and its mark
    /// hinders nobody until then.
    pub(crate) fn acquired(mut self) {
        self.stays = self.access == Access::Exclusive;
    }
}

impl Drop for Interest<'_> {
    fn drop(&mut self) {
        if !self.stays {
            // Should this fail, the next release does it.
            let _ = self.marks.release(self.file);
        }
    }
}

fn try_bytes(file: &File, access: Access, range: Range) -> io::Result<bool> {
    sys::lock::try_lock(file, access, Target::Bytes(range))
}

#[cfg(all(test, target_os = "linux", not(lockfast_unsupported)))]
mod tests {
    use nix::fcntl::{OFlag, open};
    use nix::sys::stat::Mode;

    use super::*;

    #[test]
    fn marks_that_could_not_be_released_are_released_the_next_time() {
        let place = tempfile::NamedTempFile::new().expect("a file");
        let (file, marks) = (place.as_file(), Marks::default());
        marks.show_wanted(file);
        let other = place.reopen().expect("opened");
        let is_shown = || sys::lock::blocker(&other, Access::Exclusive, linger::all()).is_some();
        assert!(is_shown());
        // The kernel refuses lock calls by such a descriptor.
        let refused = open(place.path(), OFlag::O_PATH, Mode::empty()).expect("opened");
        assert!(marks.release(&File::from(refused)).is_err());
        marks.release(file).expect("released");
        assert!(!is_shown());
    }
}
