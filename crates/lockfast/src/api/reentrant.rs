//! A lock that a thread may take again.

mod guard;
mod hold;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::engine::{Engine, Files, RawLock};
use crate::api::lock::{Lock, LockGuard};
use crate::api::opening::{named, opening};
use crate::types::error::Result;
use crate::types::resource::Resource;

pub use guard::ReentrantLockGuard;

use hold::ReentrantState;

/// An exclusive lock between processes and threads that the thread which holds it may take again.
///
/// It is released when the last guard is dropped. Taking it again costs a few nanoseconds and makes no system
/// call. Otherwise it is a [`Lock`], and the same as a `Lock` at the same path to others.
///
/// Its guards stay in the thread that took it, which is how it knows that thread. Clones of the
/// handle are the same lock; two handles that were opened separately are not: a thread that holds
/// it by one of them and locks the other gets an error with
/// [`is_deadlock`](crate::Error::is_deadlock).
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("state.lock");
/// use lockfast::{ReentrantLock, Result};
///
/// fn update(lock: &ReentrantLock) -> Result<()> {
///     let _guard = lock.lock()?;
///     // Change the state.
///     Ok(())
/// }
///
/// let lock = ReentrantLock::open(&path)?;
/// let guard = lock.lock()?;
/// update(&lock)?; // takes it again
/// update(&lock)?;
/// drop(guard); // released here
/// # assert!(lockfast::Lock::open(&path)?.try_lock().is_ok());
/// # Ok(())
/// # }
/// ```
pub struct ReentrantLock<E: Engine = Files> {
    shared: Arc<ReentrantState<E>>,
}

named!(ReentrantLock, "lockfast::ReentrantLock::open(&path)?");
opening! {
    ReentrantLock, "lock";
    /// Locks a file that is already open; see [`Lock::from_file`].
    ///
    /// # Errors
    ///
    /// When it is not a regular file.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let lock = lockfast::ReentrantLock::from_file(tempfile::tempfile()?)?;
    /// let (outer, inner) = (lock.lock()?, lock.lock()?);
    /// # drop((outer, inner));
    /// # Ok(())
    /// # }
    /// ```
}

impl<E: Engine> ReentrantLock<E> {
    /// Takes the lock, waiting as long as it takes; at once if this thread holds it.
    ///
    /// # Blocking
    ///
    /// As [`Lock::lock`].
    ///
    /// # Errors
    ///
    /// As [`Lock::lock`].
    ///
    /// # Panics
    ///
    /// When one thread takes it 2^32 times.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("state.lock");
    /// let lock = lockfast::ReentrantLock::open(&path)?;
    /// let outer = lock.lock()?;
    /// let inner = lock.lock()?;
    /// # drop((outer, inner));
    /// # Ok(())
    /// # }
    /// ```
    pub fn lock(&self) -> Result<ReentrantLockGuard<E>> {
        self.enter(Lock::lock)
    }

    /// Takes the lock if it is free, or this thread's.
    ///
    /// # Errors
    ///
    /// As [`Lock::try_lock`].
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("state.lock");
    /// let lock = lockfast::ReentrantLock::open(&path)?;
    /// let guard = lock.try_lock()?;
    /// assert!(lock.try_lock().is_ok());
    ///
    /// let others = lock.clone();
    /// let other_thread = std::thread::spawn(move || others.try_lock().unwrap_err().is_contended());
    /// assert!(other_thread.join().unwrap());
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_lock(&self) -> Result<ReentrantLockGuard<E>> {
        self.enter(Lock::try_lock)
    }

    /// Takes the lock, waiting for at most that long.
    ///
    /// # Errors
    ///
    /// As [`Lock::try_lock_for`].
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("state.lock");
    /// use std::time::Duration;
    /// let guard = lockfast::ReentrantLock::open(&path)?.try_lock_for(Duration::from_secs(10))?;
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_lock_for(&self, timeout: Duration) -> Result<ReentrantLockGuard<E>> {
        self.enter(|lock| lock.try_lock_for(timeout))
    }

    /// Takes the lock, waiting until that instant at most.
    ///
    /// # Errors
    ///
    /// As [`Lock::try_lock_until`].
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("state.lock");
    /// use std::time::{Duration, Instant};
    /// let deadline = Instant::now() + Duration::from_secs(10);
    /// let guard = lockfast::ReentrantLock::open(&path)?.try_lock_until(deadline)?;
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_lock_until(&self, deadline: Instant) -> Result<ReentrantLockGuard<E>> {
        self.enter(|lock| lock.try_lock_until(deadline))
    }

    /// Returns a lock that its thread may take again, over one that it may not.
    #[doc(hidden)]
    pub fn from_lock(lock: Lock<E>) -> Self {
        Self {
            shared: Arc::new(ReentrantState::new(lock)),
        }
    }

    fn raw(&self) -> &E::Lock {
        self.shared.lock.raw()
    }

    fn enter(
        &self,
        take: impl FnOnce(&Lock<E>) -> Result<LockGuard<E>>,
    ) -> Result<ReentrantLockGuard<E>> {
        self.shared.enter(take)?;
        Ok(ReentrantLockGuard::new(Arc::clone(&self.shared)))
    }
}

impl<E: Engine> Clone for ReentrantLock<E> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<E: Engine> fmt::Debug for ReentrantLock<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.resource()
            .debug(f, "ReentrantLock")
            .finish_non_exhaustive()
    }
}
