//! The lock held to write, alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::RwLock;
use super::guard::every_guard;
use crate::file::owner::{Entry, Owner};
use crate::handle::hold::Hold;
use crate::protocol::plan::Mode;
use crate::types::error::Result;
use crate::types::wait_limit::WaitLimit;

/// Writes, alone, until this is dropped.
///
/// It may be sent to another thread and dropped there. Dropping never panics; use
/// [`release`](Self::release) to see errors.
#[must_use = "the lock is released when the guard is dropped, which is at once if it is not kept"]
pub struct RwLockWriteGuard {
    pub(super) hold: Hold,
}

every_guard!(RwLockWriteGuard, "write");

impl RwLockWriteGuard {
    /// The fencing token of this hold: greater by one than that of the hold before, and never given
    /// again; none without [`owner_record`](crate::Options::owner_record).
    ///
    /// A store that remembers the greatest token it has seen, and refuses smaller ones, is safe from a
    /// holder that was stopped, lost the lock, and goes on later.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// let lock = lockfast::RwLock::options().owner_record(true).open(&path)?;
    /// let first = lock.write()?.token();
    /// let second = lock.write()?.token();
    /// assert_eq!((first, second), (Some(1), Some(2)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn token(&self) -> Option<u64> {
        self.hold.entry().map(Entry::token)
    }

    /// Whoever held it before, if it died while it held it, or let its guard be forgotten; needs
    /// [`owner_record`](crate::Options::owner_record).
    ///
    /// What the lock protects may then be half changed.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// let lock = lockfast::RwLock::options().owner_record(true).open(&path)?;
    /// let guard = lock.write()?;
    /// if let Some(owner) = guard.abandoned() {
    ///     eprintln!("pid {} died while it held the lock, since {:?}", owner.pid(), owner.since());
    ///     // ... repair what it left ...
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn abandoned(&self) -> Option<&Owner> {
        self.hold.entry().and_then(Entry::abandoned)
    }

    /// See [`command_support`](crate::api::command_support).
    pub(crate) fn end_record(&mut self) -> Result<()> {
        self.hold.end_record()
    }
}

impl RwLock {
    /// Takes the lock to write, alone.
    ///
    /// # Blocking
    ///
    /// Waits for writers and readers that are there. Those who come later to read wait for this one.
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
    /// for reading only.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cache.lock");
    /// let cache = lockfast::RwLock::open(&path)?;
    /// let guard = cache.write()?;
    /// assert!(cache.try_write().unwrap_err().is_contended());
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn write(&self) -> Result<RwLockWriteGuard> {
        self.write_with(WaitLimit::Forever)
    }

    /// As [`write`](Self::write), without waiting.
    ///
    /// # Errors
    ///
    /// With [`is_contended`](crate::Error::is_contended) when it would have to wait; otherwise as
    /// [`write`](Self::write).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cache.lock");
    /// let cache = lockfast::RwLock::open(&path)?;
    /// let writer = cache.write()?;
    /// assert!(cache.try_write().unwrap_err().is_contended());
    /// # drop(writer);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_write(&self) -> Result<RwLockWriteGuard> {
        self.write_with(WaitLimit::None)
    }

    /// As [`write`](Self::write), waiting for at most that long.
    ///
    /// # Errors
    ///
    /// With [`is_timed_out`](crate::Error::is_timed_out) when the time has passed; otherwise as
    /// [`write`](Self::write). One attempt is made even if the time-out is zero.
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
    /// let error = cache.try_write_for(Duration::from_millis(5)).unwrap_err();
    /// assert!(error.is_timed_out());
    /// # drop(writer);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_write_for(&self, timeout: Duration) -> Result<RwLockWriteGuard> {
        self.write_with(WaitLimit::lasting(timeout))
    }

    /// As [`write`](Self::write), waiting until that instant at most.
    ///
    /// # Errors
    ///
    /// As [`try_write_for`](Self::try_write_for).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cache.lock");
    /// use std::time::{Duration, Instant};
    /// let cache = lockfast::RwLock::open(&path)?;
    /// let guard = cache.try_write_until(Instant::now() + Duration::from_secs(10))?;
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_write_until(&self, deadline: Instant) -> Result<RwLockWriteGuard> {
        self.write_with(WaitLimit::Until(deadline))
    }

    /// Takes the lock to write as a task, waiting as long as it takes, without blocking the thread that polls.
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
    /// As [`write`](Self::write), but a task that waits for itself is not found out. When there is no
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
    /// let guard = cache.write_async().await?;
    /// assert!(cache.try_write().unwrap_err().is_contended());
    /// # drop(guard);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn write_async(&self) -> impl Future<Output = Result<RwLockWriteGuard>> + Send + use<> {
        let handle = Arc::clone(&self.handle);
        async move {
            let hold = handle.acquire_async(Mode::Write).await?;
            Ok(RwLockWriteGuard::new(hold))
        }
    }

    #[cfg(feature = "macros")]
    pub(crate) async fn write_until_as_task(&self, deadline: Instant) -> Result<RwLockWriteGuard> {
        let hold = self.handle.acquire_async_until(Mode::Write, deadline);
        hold.await.map(RwLockWriteGuard::new)
    }

    #[inline]
    pub(crate) fn write_with(&self, patience: WaitLimit) -> Result<RwLockWriteGuard> {
        self.handle
            .acquire(Mode::Write, patience)
            .map(RwLockWriteGuard::new)
    }
}
