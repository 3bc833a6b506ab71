//! What is held of a semaphore.

use std::fmt;
use std::fs::File;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::sync::Arc;

use crate::file::identity;
use crate::file::permits::Taken;
use crate::handle::Handle;
use crate::types::error::{Error, Operation, Result};
use crate::types::trace;

use super::acquire::PERMIT;

/// One or more permits of a [`Semaphore`](crate::Semaphore), held until this is dropped.
///
/// It may be sent to another thread and dropped there. Dropping never panics; use
/// [`release`](Self::release) to see errors.
#[must_use = "the permit is given back when this is dropped, which is at once if it is not kept"]
pub struct SemaphorePermit {
    handle: Arc<Handle>,
    taken: Taken,
    count: u32,
}

impl SemaphorePermit {
    pub(super) fn new(handle: &Arc<Handle>, taken: Taken) -> Self {
        Self {
            handle: Arc::clone(handle),
            count: taken.count(),
            taken,
        }
    }

    /// Gives the permits back and tells of errors.
    ///
    /// # Errors
    ///
    /// When the kernel could not release one. The kernel then frees it when all permits are dropped that
    /// this process took from the same file; the handle opens the file again for the next ones.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// let pool = lockfast::Semaphore::open(&path, 1)?;
    /// pool.acquire()?.release()?;
    /// assert_eq!(pool.available()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn release(mut self) -> Result<()> {
        self.taken
            .give_back()
            .map_err(|error| Error::system(self.path(), Operation::Release, error))
    }

    /// The path of the lock file, absolute.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// let permit = lockfast::Semaphore::open(&path, 1)?.acquire()?;
    /// assert_eq!(permit.path(), path);
    /// # Ok(())
    /// # }
    /// ```
    pub fn path(&self) -> &Path {
        self.handle.path()
    }

    /// Whether the file that the permits are of is still the one at the path: see
    /// [`LockGuard::is_current`](crate::LockGuard::is_current).
    ///
    /// # Errors
    ///
    /// When the path can't be looked up.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// let permit = lockfast::Semaphore::open(&path, 1)?.acquire()?;
    /// assert!(permit.is_current()?);
    /// # #[cfg(unix)] {
    /// std::fs::remove_file(&path)?;
    /// assert!(!permit.is_current()?);
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_current(&self) -> Result<bool> {
        let follow = self.handle.settings().follow_symlinks;
        identity::is_at(self.taken.file(), self.path(), follow)
            .map_err(|error| Error::system(self.path(), Operation::Check, error))
    }

    /// See [`command_support`](crate::api::command_support).
    pub(crate) fn file(&self) -> &File {
        self.taken.file()
    }

    /// How many permits it is.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// let pool = lockfast::Semaphore::open(&path, 4)?;
    /// let (one, three) = (pool.acquire()?, pool.acquire_many(3)?);
    /// assert_eq!((one.count(), three.count()), (1, 3));
    /// # Ok(())
    /// # }
    /// ```
    pub fn count(&self) -> u32 {
        self.count
    }
}

impl Drop for SemaphorePermit {
    fn drop(&mut self) {
        trace::released(self.path(), PERMIT);
    }
}

// A panic while it is held leaves every handle usable.
impl UnwindSafe for SemaphorePermit {}
impl RefUnwindSafe for SemaphorePermit {}

impl fmt::Debug for SemaphorePermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SemaphorePermit")
            .field("path", &self.path())
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}
