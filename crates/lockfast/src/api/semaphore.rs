//! A counting semaphore.
//!
//! What its bytes mean, and why it is right, is in `protocol::permits`; what the threads of a handle
//! know of them in `pool`; how a permit is acquired in `acquire`. The ways to ask are in `one` and
//! `many`.

mod acquire;
mod open;
mod permit;

// The docs list methods in the order of these modules, and the simple ones come first.
mod one;

mod many;

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::sync::Arc;

use crate::handle::Handle;
use crate::types::error::{Cause, Error, Operation, Result};
use crate::types::wait_limit::WaitLimit;

pub use permit::SemaphorePermit;

/// A number of permits that processes, and the threads of each, share.
///
/// It is named by a path, and everybody who uses that path must name the same number of permits. No
/// more than these are out at any time, in all processes together. A permit is given back when it is
/// dropped, or when its process ends, however it ends (see "When the holder dies" of
/// [`Lock`](crate::Lock)).
///
/// Who finds too few permits free waits in a line, and the line is first come, first served. Who
/// comes later does not go before those in the line, but for one case: a handle whose last release
/// saw nobody in the line takes the next permit without looking again, so it may overtake others once
/// after that release.
///
/// Nothing is stored: the number is agreed upon among those who have the semaphore open. When all
/// have closed it, it can be opened with another number.
///
/// A `Semaphore` is a handle: clones of it share one descriptor, and many permits may be out from one
/// handle, in any threads. A thread that waits for a permit while it holds the last ones itself waits
/// for ever; that is not reported, because a permit may be given back by any thread. About forks, see
/// [`Lock`](crate::Lock); a forked child's copy of a permit holds nothing.
///
/// # Other locks of the same path
///
/// A [`Lock`](crate::Lock) or a writer of an [`RwLock`](crate::RwLock) at the same path keeps all permits
/// back while it is held, and gets in when no permit is out and nobody is first in the line to
/// collect some. Readers keep permits back too, and permits keep readers out. An upgrade of a reader does
/// not wait for those in the line: they wait until the writer has released.
///
/// # Platform-specific behaviour
///
/// It needs locks of bytes (Linux, Android, Apple systems, Windows); elsewhere, and with another
/// protocol than [`Protocol::Fcntl`](crate::Protocol::Fcntl), opening it is an error with
/// [`is_unsupported`](crate::Error::is_unsupported). On Linux the first in the line sleeps until
/// somebody closes the file, which a dying holder does and a releasing one on purpose; on Windows, with
/// up to 48 permits, until the kernel frees one; elsewhere it asks every 1 to 10 ms. See PLATFORM.md.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("gpu.lock");
/// use lockfast::Semaphore;
///
/// let pool = Semaphore::open(&path, 2)?; // at most two on this machine
/// let one = pool.acquire()?;
/// let other = pool.acquire()?;
/// assert!(pool.try_acquire().unwrap_err().is_contended());
/// drop(one);
/// let third = pool.try_acquire()?;
/// # drop((other, third));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Semaphore {
    handle: Arc<Handle>,
    permits: u32,
}

impl Semaphore {
    pub(crate) fn handle(&self) -> &Arc<Handle> {
        &self.handle
    }

    /// How many permits nobody has at the moment: an estimate.
    ///
    /// Others take and give back while it counts, and those in the line may already have a claim to what is
    /// free. To get a permit, ask for one.
    ///
    /// # Errors
    ///
    /// When a stale file can't be opened again, as for [`acquire`](Self::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// use lockfast::Semaphore;
    ///
    /// let (pool, other) = (Semaphore::open(&path, 4)?, Semaphore::open(&path, 4)?);
    /// let two = other.acquire_many(2)?;
    /// assert_eq!(pool.available()?, 2);
    /// # drop(two);
    /// # Ok(())
    /// # }
    /// ```
    pub fn available(&self) -> Result<u32> {
        acquire::available(&self.handle)
    }

    /// How many permits there are, taken or not.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// assert_eq!(lockfast::Semaphore::open(&path, 4)?.permits(), 4);
    /// # Ok(())
    /// # }
    /// ```
    pub fn permits(&self) -> u32 {
        self.permits
    }

    /// The path of the lock file, absolute.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// assert_eq!(lockfast::Semaphore::open(&path, 4)?.path(), path);
    /// # Ok(())
    /// # }
    /// ```
    pub fn path(&self) -> &Path {
        self.handle.path()
    }

    pub(crate) fn acquire_by(&self, count: u32, patience: WaitLimit) -> Result<SemaphorePermit> {
        self.must_have(count)?;
        let taken = acquire::acquire(&self.handle, count, patience)?;
        Ok(SemaphorePermit::new(&self.handle, taken))
    }

    pub(crate) async fn acquire_as_task(&self, count: u32) -> Result<SemaphorePermit> {
        self.must_have(count)?;
        let taken = acquire::acquire_async(&self.handle, count).await?;
        Ok(SemaphorePermit::new(&self.handle, taken))
    }

    /// An error if so many can never be had.
    fn must_have(&self, count: u32) -> Result<()> {
        let fail = |cause| Err(Error::new(self.path(), Operation::Acquire, cause));
        if count == 0 {
            return fail(Cause::InvalidOption(
                "none was asked for: at least 1 can be",
            ));
        }
        if count > self.permits {
            let permits = self.permits;
            return fail(Cause::TooManyPermits {
                wanted: count,
                permits,
            });
        }
        Ok(())
    }
}

// A panic while a permit is held, or in a callback, leaves every handle usable.
impl UnwindSafe for Semaphore {}
impl RefUnwindSafe for Semaphore {}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("path", &self.path())
            .field("permits", &self.permits)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_and_permits_go_anywhere() {
        fn goes_anywhere<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + 'static>() {}
        goes_anywhere::<Semaphore>();
        goes_anywhere::<SemaphorePermit>();
    }
}
