//! Taking several permits: all, or none.

use std::time::{Duration, Instant};

use super::{Semaphore, SemaphorePermit};
use crate::types::error::Result;
use crate::types::wait_limit::WaitLimit;

impl Semaphore {
    /// Takes so many permits, all or none, waiting as long as it takes.
    ///
    /// Only the first in the line collects, so two who need several never wait for each other's.
    ///
    /// # Blocking
    ///
    /// As [`acquire`](Self::acquire). While it is the first in the line, the permits that it has collected
    /// already are of use to nobody.
    ///
    /// # Errors
    ///
    /// When the number is 0 or more than there are; otherwise as [`acquire`](Self::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// let pool = lockfast::Semaphore::open(&path, 4)?;
    /// let three = pool.acquire_many(3)?;
    /// assert_eq!((three.count(), pool.available()?), (3, 1));
    /// # drop(three);
    /// # Ok(())
    /// # }
    /// ```
    pub fn acquire_many(&self, count: u32) -> Result<SemaphorePermit> {
        self.acquire_by(count, WaitLimit::Forever)
    }

    /// Takes so many permits if they are free and nobody waits, all or none.
    ///
    /// Of two who try at once for more than there are together, both may fail.
    ///
    /// # Errors
    ///
    /// With [`is_contended`](crate::Error::is_contended) when too few are free or somebody is in the line;
    /// otherwise as [`acquire_many`](Self::acquire_many).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// let pool = lockfast::Semaphore::open(&path, 4)?;
    /// let three = pool.try_acquire_many(3)?;
    /// assert!(pool.try_acquire_many(2).unwrap_err().is_contended());
    /// let one = pool.try_acquire()?; // nothing was kept by the attempt
    /// # drop((three, one));
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_acquire_many(&self, count: u32) -> Result<SemaphorePermit> {
        self.acquire_by(count, WaitLimit::None)
    }

    /// Takes so many permits, all or none, waiting for at most that long.
    ///
    /// # Blocking
    ///
    /// As [`acquire_many`](Self::acquire_many) and [`try_acquire_for`](Self::try_acquire_for).
    ///
    /// # Errors
    ///
    /// With [`is_timed_out`](crate::Error::is_timed_out) when the time has passed; otherwise as
    /// [`acquire_many`](Self::acquire_many).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// use std::time::Duration;
    ///
    /// let pool = lockfast::Semaphore::open(&path, 2)?;
    /// let one = pool.acquire()?;
    /// let error = pool.try_acquire_many_for(2, Duration::from_millis(5)).unwrap_err();
    /// assert!(error.is_timed_out());
    /// assert_eq!(pool.available()?, 1);
    /// # drop(one);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_acquire_many_for(&self, count: u32, timeout: Duration) -> Result<SemaphorePermit> {
        self.acquire_by(count, WaitLimit::lasting(timeout))
    }

    /// Takes so many permits, all or none, waiting until that instant at most.
    ///
    /// # Blocking
    ///
    /// As [`try_acquire_many_for`](Self::try_acquire_many_for).
    ///
    /// # Errors
    ///
    /// As [`try_acquire_many_for`](Self::try_acquire_many_for).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// use std::time::{Duration, Instant};
    ///
    /// let pool = lockfast::Semaphore::open(&path, 4)?;
    /// let deadline = Instant::now() + Duration::from_secs(10);
    /// let all = pool.try_acquire_many_until(4, deadline)?;
    /// assert_eq!(all.count(), 4);
    /// # drop(all);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_acquire_many_until(&self, count: u32, deadline: Instant) -> Result<SemaphorePermit> {
        self.acquire_by(count, WaitLimit::Until(deadline))
    }

    /// Takes so many permits, all or none, as a task, waiting as long as it takes, without blocking the thread that polls.
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
    /// As [`acquire_many`](Self::acquire_many). When there is no thread to be had.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// # smol::block_on(async {
    /// let pool = lockfast::Semaphore::open(&path, 4)?;
    /// let permit = pool.acquire_many_async(3).await?;
    /// assert_eq!(pool.available()?, 1);
    /// # drop(permit);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn acquire_many_async(
        &self,
        count: u32,
    ) -> impl Future<Output = Result<SemaphorePermit>> + Send + use<> {
        let semaphore = self.clone();
        async move { semaphore.acquire_as_task(count).await }
    }
}
