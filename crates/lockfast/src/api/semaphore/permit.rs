//! Permits that are held.

use std::fmt;
use std::fs::File;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;

use crate::api::engine::{Engine, Files, RawPermits, RawSemaphore};
use crate::types::error::Result;
use crate::types::resource::Resource;

/// Permits of a [`Semaphore`](crate::Semaphore), held until this is dropped.
///
/// It may be sent to another thread and dropped there. Dropping never panics; use
/// [`release`](Self::release) to see errors.
#[must_use = "the permit is given back when this is dropped, which is at once if it is not kept"]
pub struct SemaphorePermit<E: Engine = Files> {
    permits: <E::Semaphore as RawSemaphore>::Permits,
}

impl<E: Engine> SemaphorePermit<E> {
    /// Returns the permits that an engine holds; for engines and bindings.
    #[doc(hidden)]
    pub fn from_raw(permits: <E::Semaphore as RawSemaphore>::Permits) -> Self {
        Self { permits }
    }

    /// Returns what the engine holds; for engines and bindings.
    #[doc(hidden)]
    pub fn as_raw(&self) -> &<E::Semaphore as RawSemaphore>::Permits {
        &self.permits
    }

    /// Gives the permits back and reports errors.
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
    /// assert_eq!(pool.available_permits()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn release(mut self) -> Result<()> {
        self.permits.release()
    }

    /// The number of permits.
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
        self.permits.count()
    }

    /// Splits that many permits off, to be given back on their own; `None` unless there are more than that.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// let pool = lockfast::Semaphore::open(&path, 4)?;
    /// let mut four = pool.acquire_many(4)?;
    /// let three = four.split(3).expect("there are more");
    /// assert_eq!((four.count(), three.count()), (1, 3));
    /// drop(three);
    /// assert_eq!(pool.available_permits()?, 3);
    /// # drop(four);
    /// # Ok(())
    /// # }
    /// ```
    pub fn split(&mut self, count: u32) -> Option<Self> {
        // Not all of them: no permit of 0 may be left here.
        let is_part = (1..self.count()).contains(&count);
        is_part.then(|| Self::from_raw(self.permits.split(count)))
    }

    /// Adds the other permits to these.
    ///
    /// # Errors
    ///
    /// The other permits, if they are of another handle, or of the file that was at the path before.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// let pool = lockfast::Semaphore::open(&path, 4)?;
    /// let mut permits = pool.acquire()?;
    /// permits.merge(pool.acquire_many(2)?).expect("they are of one handle");
    /// assert_eq!(permits.count(), 3);
    /// # drop(permits);
    /// # Ok(())
    /// # }
    /// ```
    pub fn merge(&mut self, other: Self) -> std::result::Result<(), Self> {
        self.permits.merge(other.permits).map_err(Self::from_raw)
    }

    /// The semaphore: a file, or a name in its engine.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// let permit = lockfast::Semaphore::open(&path, 1)?.acquire()?;
    /// assert_eq!(permit.resource().path(), Some(&*path));
    /// # Ok(())
    /// # }
    /// ```
    pub fn resource(&self) -> Resource {
        self.permits.resource()
    }

    /// The fencing token of these permits, if their engine has tokens. A file has none for permits.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// assert_eq!(lockfast::Semaphore::open(&path, 1)?.acquire()?.token(), None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn token(&self) -> Option<u64> {
        self.permits.token()
    }
}

crate::api::lost::lease_methods!(
    SemaphorePermit,
    permits,
    "lockfast::Semaphore::open(&path, 1)?.acquire()"
);

impl SemaphorePermit {
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
        self.permits.path()
    }

    /// The file of the semaphore, to read or change its content.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// let permit = lockfast::Semaphore::open(&path, 1)?.acquire()?;
    /// assert_eq!(permit.file().metadata()?.len(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn file(&self) -> &File {
        self.permits.file()
    }

    /// Whether the file of the permits is still the one at the path: see
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
        self.permits.is_current()
    }
}

// A panic while it is held leaves every handle usable.
impl<E: Engine> UnwindSafe for SemaphorePermit<E> {}
impl<E: Engine> RefUnwindSafe for SemaphorePermit<E> {}

impl<E: Engine> fmt::Debug for SemaphorePermit<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.resource()
            .debug(f, "SemaphorePermit")
            .finish_non_exhaustive()
    }
}
