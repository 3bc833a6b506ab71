//! The lock held to read, by the one who may become the writer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::RwLock;
use super::guard::every_guard;
use crate::handle::hold::Hold;
use crate::protocol::plan::Mode;
use crate::types::error::Result;
use crate::types::wait_limit::WaitLimit;

/// Reads, beside other readers, and may become the writer, until this is dropped.
///
/// There is one at a time. It may be sent to another thread and dropped there. Dropping never
/// panics; use [`release`](Self::release) to see errors.
#[must_use = "the lock is released when the guard is dropped, which is at once if it is not kept"]
pub struct RwLockUpgradableReadGuard {
    pub(super) hold: Hold,
}

every_guard!(RwLockUpgradableReadGuard, "upgradable_read");

impl RwLock {
    /// Takes the lock to read, and perhaps to become the writer later.
    ///
    /// # Blocking
    ///
    /// Waits while somebody writes, waits to write, or is an upgradable reader. Other readers may be
    /// there and come.
    ///
    /// The thread sleeps in the kernel's queue, or behind the threads of this process that came
    /// earlier. A signal that the program handles does not end the wait.
    ///
    /// # Errors
    ///
    /// When the kernel refuses ([`is_unsupported`](crate::Error::is_unsupported) on a file system
    /// without locks), when a stale file can't be opened again, or when a callback of the
    /// [`Options`](crate::Options) gives up. With [`is_deadlock`](crate::Error::is_deadlock) when
    /// this thread would wait for itself.
    /// With [`is_permission_denied`](crate::Error::is_permission_denied) when the file could be opened
    /// for reading only. With [`is_unsupported`](crate::Error::is_unsupported) where a lock can't be changed
    /// (see [`RwLock`]).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cache.lock");
    /// let cache = lockfast::RwLock::open(&path)?;
    /// let guard = cache.upgradable_read()?;
    /// assert!(cache.try_write().unwrap_err().is_contended());
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    pub fn upgradable_read(&self) -> Result<RwLockUpgradableReadGuard> {
        self.upgradable_with(WaitLimit::Forever)
    }

    /// As [`upgradable_read`](Self::upgradable_read), without waiting.
    ///
    /// # Errors
    ///
    /// With [`is_contended`](crate::Error::is_contended) when it would have to wait; otherwise as
    /// [`upgradable_read`](Self::upgradable_read).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cache.lock");
    /// let cache = lockfast::RwLock::open(&path)?;
    /// let writer = cache.write()?;
    /// assert!(cache.try_upgradable_read().unwrap_err().is_contended());
    /// # drop(writer);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_upgradable_read(&self) -> Result<RwLockUpgradableReadGuard> {
        self.upgradable_with(WaitLimit::None)
    }

    /// As [`upgradable_read`](Self::upgradable_read), waiting for at most that long.
    ///
    /// # Errors
    ///
    /// With [`is_timed_out`](crate::Error::is_timed_out) when the time has passed; otherwise as
    /// [`upgradable_read`](Self::upgradable_read). One attempt is made even if the time-out is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cache.lock");
    /// use std::time::Duration;
    /// let cache = lockfast::RwLock::open(&path)?;
    /// let writer = cache.write()?;
    /// let error = cache.try_upgradable_read_for(Duration::from_millis(5)).unwrap_err();
    /// assert!(error.is_timed_out());
    /// # drop(writer);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_upgradable_read_for(&self, timeout: Duration) -> Result<RwLockUpgradableReadGuard> {
        self.upgradable_with(WaitLimit::lasting(timeout))
    }

    /// As [`upgradable_read`](Self::upgradable_read), waiting until that instant at most.
    ///
    /// # Errors
    ///
    /// As [`try_upgradable_read_for`](Self::try_upgradable_read_for).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cache.lock");
    /// use std::time::{Duration, Instant};
    /// let cache = lockfast::RwLock::open(&path)?;
    /// let guard = cache.try_upgradable_read_until(Instant::now() + Duration::from_secs(10))?;
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_upgradable_read_until(
        &self,
        deadline: Instant,
    ) -> Result<RwLockUpgradableReadGuard> {
        self.upgradable_with(WaitLimit::Until(deadline))
    }

    /// Takes the lock to read, and perhaps to become the writer later, as a task, waiting as long as it takes, without blocking the thread that polls.
    ///
    /// See [`Lock::lock_async`](crate::Lock::lock_async) for what a poll does, what a wait costs and
    /// which threads there are.
    ///
    /// # Cancellation
    ///
    /// Dropping the future ends the wait: when the drop is over, no thread waits, no place in a queue
    /// is taken and the lock is not held. The drop takes some ten microseconds if a helper thread is in
    /// the kernel's queue.
    ///
    /// # Errors
    ///
    /// As [`upgradable_read`](Self::upgradable_read), but a task that waits for itself is not found out. When there is no
    /// thread to be had.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cache.lock");
    /// # smol::block_on(async {
    /// let cache = lockfast::RwLock::open(&path)?;
    /// let guard = cache.upgradable_read_async().await?;
    /// assert!(cache.try_write().unwrap_err().is_contended());
    /// # drop(guard);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn upgradable_read_async(
        &self,
    ) -> impl Future<Output = Result<RwLockUpgradableReadGuard>> + Send + use<> {
        let handle = Arc::clone(&self.handle);
        async move {
            let hold = handle.acquire_async(Mode::Upgradable).await?;
            Ok(RwLockUpgradableReadGuard::new(hold))
        }
    }

    pub(crate) fn upgradable_with(&self, patience: WaitLimit) -> Result<RwLockUpgradableReadGuard> {
        self.handle
            .acquire(Mode::Upgradable, patience)
            .map(RwLockUpgradableReadGuard::new)
    }
}
