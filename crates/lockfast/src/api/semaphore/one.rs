//! Taking one permit.

use std::time::{Duration, Instant};

use super::{Semaphore, SemaphorePermit};
use crate::types::error::Result;
use crate::types::wait_limit::WaitLimit;

impl Semaphore {
    /// Takes a permit, waiting as long as it takes.
    ///
    /// # Blocking
    ///
    /// The thread sleeps: behind the threads of this handle that came earlier, then in the kernel's queue
    /// behind other processes, and as the first in the line until a permit is given back. A signal that
    /// the program handles does not end the wait.
    ///
    /// # Errors
    ///
    /// When the kernel refuses ([`is_unsupported`](crate::Error::is_unsupported) on a file system without
    /// locks), when a stale file can't be opened again or others have the new one open with another number
    /// of permits, or when a callback of the [`Options`](crate::Options) gives up.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// let pool = lockfast::Semaphore::open(&path, 1)?;
    /// {
    ///     let _permit = pool.acquire()?;
    ///     assert_eq!(pool.available()?, 0);
    /// }
    /// assert_eq!(pool.available()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn acquire(&self) -> Result<SemaphorePermit> {
        self.acquire_by(1, WaitLimit::Forever)
    }

    /// Takes a permit if one is free and nobody waits for it.
    ///
    /// # Errors
    ///
    /// With [`is_contended`](crate::Error::is_contended) when none is free or somebody is in the line;
    /// otherwise as [`acquire`](Self::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// let pool = lockfast::Semaphore::open(&path, 1)?;
    /// let permit = pool.try_acquire()?;
    /// assert!(pool.try_acquire().unwrap_err().is_contended());
    /// # drop(permit);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_acquire(&self) -> Result<SemaphorePermit> {
        self.acquire_by(1, WaitLimit::None)
    }

    /// Takes a permit, waiting for at most that long.
    ///
    /// # Blocking
    ///
    /// As [`acquire`](Self::acquire); the deadline is met within about a millisecond. A wait that timed out
    /// leaves no thread and no place in a queue behind. On Linux the process keeps the descriptor by which
    /// it was told of releases, for its next wait.
    ///
    /// # Errors
    ///
    /// With [`is_timed_out`](crate::Error::is_timed_out) when the time has passed; otherwise as
    /// [`acquire`](Self::acquire). One attempt is made even if the time-out is zero.
    ///
    /// # Platform-specific behaviour
    ///
    /// As [`Lock::try_lock_for`](crate::Lock::try_lock_for).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// use std::time::Duration;
    ///
    /// let pool = lockfast::Semaphore::open(&path, 1)?;
    /// let permit = pool.try_acquire_for(Duration::from_secs(10))?;
    /// let error = pool.try_acquire_for(Duration::from_millis(5)).unwrap_err();
    /// assert!(error.is_timed_out());
    /// # drop(permit);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_acquire_for(&self, timeout: Duration) -> Result<SemaphorePermit> {
        self.acquire_by(1, WaitLimit::lasting(timeout))
    }

    /// Takes a permit, waiting until that instant at most.
    ///
    /// # Blocking
    ///
    /// As [`try_acquire_for`](Self::try_acquire_for).
    ///
    /// # Errors
    ///
    /// As [`try_acquire_for`](Self::try_acquire_for).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// use std::time::{Duration, Instant};
    ///
    /// let pool = lockfast::Semaphore::open(&path, 2)?;
    /// let deadline = Instant::now() + Duration::from_secs(10);
    /// let one = pool.try_acquire_until(deadline)?;
    /// let other = pool.try_acquire_until(deadline)?;
    /// assert_eq!(pool.available()?, 0);
    /// # drop((one, other));
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_acquire_until(&self, deadline: Instant) -> Result<SemaphorePermit> {
        self.acquire_by(1, WaitLimit::Until(deadline))
    }

    /// Takes one permit as a task, waiting as long as it takes, without blocking the thread that polls.
    ///
    /// A wait has a helper thread, if it is the first of this handle; see
    /// [`Lock::lock_async`](crate::Lock::lock_async) for what that costs.
    ///
    /// # Cancellation
    ///
    /// Dropping the future ends the wait: when the drop is over, no thread waits, no place in the line
    /// is taken and no permit is held. The drop takes some ten microseconds if a helper thread waits.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire). When there is no thread to be had.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// # smol::block_on(async {
    /// let pool = lockfast::Semaphore::open(&path, 4)?;
    /// let permit = pool.acquire_async().await?;
    /// assert_eq!(pool.available()?, 3);
    /// # drop(permit);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn acquire_async(&self) -> impl Future<Output = Result<SemaphorePermit>> + Send + use<> {
        let semaphore = self.clone();
        async move { semaphore.acquire_as_task(1).await }
    }
}
