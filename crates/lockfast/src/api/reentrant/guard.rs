//! The guard of a lock that its thread may take again.

use std::fmt;
use std::future::ready;
use std::marker::PhantomData;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::hold::ReentrantState;
use crate::api::engine::{Engine, Files, HoldState};
use crate::api::lock::LockGuard;
use crate::api::lost::{BoxedLost, lost_methods};
use crate::file::owner::Owner;
use crate::sys::fork;
use crate::types::error::Result;
use crate::types::resource::Resource;

/// The lock is held until the last of its guards is dropped.
///
/// It stays in its thread. Dropping never panics; use [`release`](Self::release) to see errors.
#[must_use = "the lock is released when the guard is dropped, which is at once if it is not kept"]
pub struct ReentrantLockGuard<E: Engine = Files> {
    shared: Arc<ReentrantState<E>>,
    /// The process that took it: in a forked child its copy counts for nothing. 0 once it was released.
    generation: u64,
    // Keeps the guard in its thread, as `leave` counts without a look at the owner.
    this_thread: PhantomData<*const ()>,
}

impl<E: Engine> ReentrantLockGuard<E> {
    pub(super) fn new(shared: Arc<ReentrantState<E>>) -> Self {
        Self {
            shared,
            generation: fork::generation(),
            this_thread: PhantomData,
        }
    }

    /// Drops the guard and, if it is the last one, releases the lock and reports errors.
    ///
    /// # Errors
    ///
    /// As [`LockGuard::release`].
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("state.lock");
    /// let lock = lockfast::ReentrantLock::open(&path)?;
    /// let (outer, inner) = (lock.lock()?, lock.lock()?);
    /// outer.release()?; // still held
    /// assert!(lockfast::Lock::open(&path)?.try_lock().is_err());
    /// inner.release()?;
    /// assert!(lockfast::Lock::open(&path)?.try_lock().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn release(mut self) -> Result<()> {
        self.leave().map_or(Ok(()), LockGuard::release)
    }

    /// The lock that is held: a file, or a name in its engine.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("state.lock");
    /// let guard = lockfast::ReentrantLock::open(&path)?.lock()?;
    /// assert_eq!(guard.resource().path(), Some(&*path));
    /// # Ok(())
    /// # }
    /// ```
    pub fn resource(&self) -> Resource {
        self.shared.lock.resource()
    }

    /// The fencing token, the same for all guards of a hold; see [`LockGuard::token`].
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("state.lock");
    /// let lock = lockfast::ReentrantLock::options().owner_record(true).open(&path)?;
    /// let (outer, inner) = (lock.lock()?, lock.lock()?);
    /// assert_eq!((outer.token(), inner.token()), (Some(1), Some(1)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn token(&self) -> Option<u64> {
        self.guarded(LockGuard::token)?
    }

    /// The epoch of the token; see [`LockGuard::epoch`].
    pub fn epoch(&self) -> u64 {
        self.guarded(LockGuard::epoch).unwrap_or(0)
    }

    /// Whether the lock is still held, as far as this process knows; see [`LockGuard::state`]. Lost in a forked
    /// child.
    pub fn state(&self) -> HoldState {
        self.guarded(LockGuard::state).unwrap_or(HoldState::Lost)
    }

    /// Completes when the lock is lost, or not confirmed in time; see [`LockGuard::lost`].
    pub fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        let lost = self.guarded(|guard| -> BoxedLost { Box::pin(guard.lost()) });
        lost.unwrap_or_else(|| Box::pin(ready(())))
    }

    /// The time until the engine may give the lock to others; see [`LockGuard::lease_left`].
    pub fn lease_left(&self) -> Option<Duration> {
        self.guarded(LockGuard::lease_left)?
    }

    /// The number of guards that this thread has of the lock; 0 in a forked child.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("state.lock");
    /// let lock = lockfast::ReentrantLock::open(&path)?;
    /// let (outer, inner) = (lock.lock()?, lock.lock()?);
    /// assert_eq!(outer.depth(), 2);
    /// drop(inner);
    /// assert_eq!(outer.depth(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn depth(&self) -> u32 {
        if self.is_own() {
            self.shared.count()
        } else {
            0
        }
    }

    /// Reads something of the lock's own guard; `None` in a forked child.
    fn guarded<R>(&self, read: impl FnOnce(&LockGuard<E>) -> R) -> Option<R> {
        if !self.is_own() {
            return None;
        }
        self.shared.guard().as_ref().map(read)
    }

    fn is_own(&self) -> bool {
        self.generation == fork::generation()
    }

    /// Leaves once: the drop after a release counts nothing.
    fn leave(&mut self) -> Option<LockGuard<E>> {
        if mem::take(&mut self.generation) == fork::generation() {
            self.shared.leave()
        } else {
            None
        }
    }
}

lost_methods!(
    ReentrantLockGuard,
    "lockfast::ReentrantLock::open(&path)?.lock()"
);

impl ReentrantLockGuard {
    /// The path of the lock file, absolute.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("state.lock");
    /// let guard = lockfast::ReentrantLock::open(&path)?.lock()?;
    /// assert_eq!(guard.path(), path);
    /// # Ok(())
    /// # }
    /// ```
    pub fn path(&self) -> &Path {
        self.shared.lock.path()
    }

    /// Whether the locked file is still the one at the path; see [`LockGuard::is_current`]. `false` in a forked
    /// child.
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
    /// # let path = dir.path().join("state.lock");
    /// let guard = lockfast::ReentrantLock::open(&path)?.lock()?;
    /// assert!(guard.is_current()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_current(&self) -> Result<bool> {
        self.guarded(LockGuard::is_current).unwrap_or(Ok(false))
    }

    /// The holder before, if it died while it held the lock; see [`LockGuard::abandoned`].
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("state.lock");
    /// let lock = lockfast::ReentrantLock::options().owner_record(true).open(&path)?;
    /// assert!(lock.lock()?.abandoned().is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn abandoned(&self) -> Option<Owner> {
        self.guarded(|guard| guard.abandoned().cloned())?
    }
}

impl<E: Engine> Drop for ReentrantLockGuard<E> {
    fn drop(&mut self) {
        drop(self.leave());
    }
}

// A panic while the lock is held leaves every handle usable.
impl<E: Engine> UnwindSafe for ReentrantLockGuard<E> {}
impl<E: Engine> RefUnwindSafe for ReentrantLockGuard<E> {}

impl<E: Engine> fmt::Debug for ReentrantLockGuard<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.resource()
            .debug(f, "ReentrantLockGuard")
            .finish_non_exhaustive()
    }
}
