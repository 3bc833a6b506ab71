//! A readers-writer lock.
//!
//! Each way to hold it has a module with its guard. Conversions of guards are in `conversion`, and opening is in
//! `open`.

mod open;
mod read;
mod upgradable;
mod write;

// The docs list methods in the order of these modules, and conversions come last.
mod conversion;

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::sync::Arc;

use crate::api::engine::{Capabilities, Engine, Files, RawLock};
use crate::api::files::FileLock;
use crate::handle::Handle;
use crate::protocol::plan::Mode;
use crate::types::error::Result;
use crate::types::resource::Resource;
use crate::types::wait_limit::WaitLimit;

pub use read::RwLockReadGuard;
pub use upgradable::RwLockUpgradableReadGuard;
pub use write::RwLockWriteGuard;

/// A readers-writer lock between processes, and between the threads of each.
///
/// A path names it. Any number of readers hold it together; a writer holds it alone. An *upgradable* reader
/// holds it together with readers too, but there is one at a time, and it can become the writer without
/// another writer in between.
///
/// No reader overtakes a writer that waits, in any process, and writers do not starve readers:
/// a reader that had to wait is overtaken by a bounded number of writers only. The kernel releases
/// what a process held that died (see "When the holder dies" of [`Lock`](crate::Lock)).
///
/// A `RwLock` is a handle: clones of it share one descriptor, and its readers share one kernel lock.
/// A [`Lock`](crate::Lock) at the same path keeps readers and writers out, but waits without keeping
/// readers from getting in before it. About forks, see there. Permits of a
/// [`Semaphore`](crate::Semaphore) at the same path keep readers and writers out, and the other way round.
///
/// It is not reentrant, but for one case: a thread that reads already gets in again at once. An
/// upgradable guard counts for that until its upgrade begins. Every other way in which a thread would
/// wait for itself is an error with [`is_deadlock`](crate::Error::is_deadlock).
///
/// # Platform-specific behaviour
///
/// With [`Protocol::Flock`](crate::Protocol::Flock), and on systems without
/// open-file-description locks, readers and writers come in the kernel's order: readers may
/// overtake a waiting writer of another process. With it and with
/// [`Protocol::Both`](crate::Protocol::Both) upgradable reading and downgrading are errors with
/// [`is_unsupported`](crate::Error::is_unsupported), because a `flock` can't be changed without
/// giving it up in between.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("cache.lock");
/// use lockfast::RwLock;
///
/// let cache = RwLock::open(&path)?;
/// {
///     let _one = cache.read()?;
///     let _other = cache.read()?;
///     assert!(cache.try_write().unwrap_err().is_contended());
/// }
/// let writer = cache.write()?;
/// let reader = writer.downgrade()?; // no other writer in between
/// # drop(reader);
/// # Ok(())
/// # }
/// ```
pub struct RwLock<E: Engine = Files> {
    raw: E::Lock,
}

impl RwLock {
    /// The path of the lock file, absolute.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cache.lock");
    /// assert_eq!(lockfast::RwLock::open(&path)?.path(), path);
    /// # Ok(())
    /// # }
    /// ```
    pub fn path(&self) -> &Path {
        self.handle().path()
    }

    pub(crate) fn handle(&self) -> &Arc<Handle> {
        self.raw.handle()
    }

    pub(crate) fn from_handle(handle: Arc<Handle>) -> Self {
        Self::from_raw(FileLock::new(handle))
    }
}

impl<E: Engine> RwLock<E> {
    /// The lock: a file, or a name in its engine.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cache.lock");
    /// assert_eq!(lockfast::RwLock::open(&path)?.resource().path(), Some(&*path));
    /// # Ok(())
    /// # }
    /// ```
    pub fn resource(&self) -> Resource {
        self.raw.resource()
    }

    /// The features that this lock has of those that not every [engine](crate::engine) has.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cache.lock");
    /// assert!(lockfast::RwLock::open(&path)?.capabilities().shared);
    /// # Ok(())
    /// # }
    /// ```
    pub fn capabilities(&self) -> Capabilities {
        self.raw.capabilities()
    }

    /// Returns the lock that an engine has opened; for engines.
    #[doc(hidden)]
    pub fn from_raw(raw: E::Lock) -> Self {
        Self { raw }
    }

    /// Returns what the engine has opened; for engines.
    #[doc(hidden)]
    pub fn into_raw(self) -> E::Lock {
        self.raw
    }

    #[inline]
    pub(crate) fn take(&self, mode: Mode, limit: WaitLimit) -> Result<<E::Lock as RawLock>::Hold> {
        self.raw.acquire(mode, limit)
    }

    pub(crate) fn take_async(
        &self,
        mode: Mode,
        limit: WaitLimit,
    ) -> impl Future<Output = Result<<E::Lock as RawLock>::Hold>> + Send + use<E> {
        let raw = self.raw.clone();
        async move { raw.acquire_async(mode, limit).await }
    }
}

impl<E: Engine> Clone for RwLock<E> {
    fn clone(&self) -> Self {
        Self::from_raw(self.raw.clone())
    }
}

// A panic while the lock is held, or in a callback, leaves every handle usable.
impl<E: Engine> UnwindSafe for RwLock<E> {}
impl<E: Engine> RefUnwindSafe for RwLock<E> {}

impl<E: Engine> fmt::Debug for RwLock<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.resource().debug(f, "RwLock").finish_non_exhaustive()
    }
}
