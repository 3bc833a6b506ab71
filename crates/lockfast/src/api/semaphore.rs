//! A counting semaphore.
//!
//! The meaning of its bytes, with the proof, is in `protocol::permits`; the permits that the threads of a handle
//! know are in `file::permits`; acquiring a permit of a file is in `handle::acquire`.

mod open;
mod permit;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::engine::{Engine, Files, RawSemaphore};
use crate::api::forms::wait_forms;
use crate::api::opening::named;
use crate::handle::Handle;
use crate::types::error::{Cause, Error, Operation, Result};
use crate::types::resource::Resource;
use crate::types::wait_limit::WaitLimit;

pub use permit::SemaphorePermit;

/// A number of permits that processes, and the threads of each, share.
///
/// A path names it, and all users of that path must pass the same number of permits. No more than these are
/// out at any time, in all processes together. A permit is given back when it is
/// dropped, or when its process ends, however it ends (see "When the holder dies" of
/// [`Lock`](crate::Lock)).
///
/// If too few permits are free, the caller joins a line that is first come, first served. Later callers do
/// not overtake it, with one exception: a handle whose last release saw nobody in the line takes the next
/// permit without looking again, so it may overtake others once after that release.
///
/// Nothing is stored: the processes that have the semaphore open agree on the number. When all have closed
/// it, it can be opened with another number.
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
/// It needs locks of bytes (Linux, Android, Apple systems, Windows); elsewhere opening it is an error with
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
pub struct Semaphore<E: Engine = Files> {
    raw: E::Semaphore,
}

named!(Semaphore, "lockfast::Semaphore::open(&path, 4)?");

impl Semaphore {
    pub(crate) fn handle(&self) -> &Arc<Handle> {
        self.raw.handle()
    }
}

impl<E: Engine> Semaphore<E> {
    wait_forms! {
        SemaphorePermit, 1, ();
        examples: "let pool = lockfast::Semaphore::open(&path, 1)?;", "pool", "", "", "pool.acquire()";
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
        /// locks), when a stale file can't be opened again or others have the new one open with another
        /// number of permits, or when a callback of the [`Options`](crate::Options) gives up.
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
        ///     assert_eq!(pool.available_permits()?, 0);
        /// }
        /// assert_eq!(pool.available_permits()?, 1);
        /// # Ok(())
        /// # }
        /// ```
        acquire;
        /// Takes a permit if one is free and nobody waits for it.
        try_acquire;
        /// On Linux the process keeps the descriptor by which it noticed releases, for its next wait.
        ///
        /// # Platform-specific behaviour
        ///
        /// As [`Lock::try_lock_for`](crate::Lock::try_lock_for).
        try_acquire_for, try_acquire_until;
        /// A wait has a helper thread, if it is the first of this handle; see
        /// [`Lock::lock_async`](crate::Lock::lock_async) for the cost.
        acquire_async, acquire_async_for, acquire_async_until;
    }

    wait_forms! {
        SemaphorePermit, count, (count: u32);
        examples: "let pool = lockfast::Semaphore::open(&path, 3)?;", "pool", "2", "2, ", "pool.acquire_many(2)";
        /// Takes that many permits, all or none, waiting as long as it takes.
        ///
        /// Only the first in the line collects, so two that need several never wait for each other's.
        ///
        /// # Blocking
        ///
        /// As [`acquire`](Self::acquire). While it is the first in the line, nobody can use the permits that
        /// it has collected already.
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
        /// assert_eq!((three.count(), pool.available_permits()?), (3, 1));
        /// # drop(three);
        /// # Ok(())
        /// # }
        /// ```
        acquire_many;
        /// Takes that many permits if they are free and nobody waits, all or none.
        ///
        /// Of two that try at once for more than there are together, both may fail.
        try_acquire_many;
        /// # Platform-specific behaviour
        ///
        /// As [`Lock::try_lock_for`](crate::Lock::try_lock_for).
        try_acquire_many_for, try_acquire_many_until;
        /// A wait has a helper thread, if it is the first of this handle; see
        /// [`Lock::lock_async`](crate::Lock::lock_async) for the cost.
        acquire_many_async, acquire_many_async_for, acquire_many_async_until;
    }

    /// The number of permits that nobody has at the moment: an estimate.
    ///
    /// Others take and give back while it counts, and those in the line may already have a claim to the free
    /// ones. To get a permit, ask for one.
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
    /// assert_eq!(pool.available_permits()?, 2);
    /// # drop(two);
    /// # Ok(())
    /// # }
    /// ```
    pub fn available_permits(&self) -> Result<u32> {
        self.raw.available_permits()
    }

    /// The number of permits, taken or not.
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
        self.raw.permits()
    }

    /// Returns the semaphore that an engine has opened; for engines.
    #[doc(hidden)]
    pub fn from_raw(raw: E::Semaphore) -> Self {
        Self { raw }
    }

    /// Returns what the engine has opened; for engines.
    #[doc(hidden)]
    pub fn into_raw(self) -> E::Semaphore {
        self.raw
    }

    fn raw(&self) -> &E::Semaphore {
        &self.raw
    }

    pub(crate) fn take(
        &self,
        count: u32,
        limit: WaitLimit,
    ) -> Result<<E::Semaphore as RawSemaphore>::Permits> {
        self.ensure_has(count)?;
        self.raw.acquire(count, limit)
    }

    pub(crate) fn take_async(
        &self,
        count: u32,
        limit: WaitLimit,
    ) -> impl Future<Output = Result<<E::Semaphore as RawSemaphore>::Permits>> + Send + use<E> {
        // Cloned, as the future must not borrow: it is spawned as it is.
        let (checked, raw) = (self.ensure_has(count), self.raw.clone());
        async move {
            checked?;
            raw.acquire_async(count, limit).await
        }
    }

    /// Fails if that many can never be had.
    fn ensure_has(&self, count: u32) -> Result<()> {
        let permits = self.permits();
        let cause = match count {
            0 => Cause::InvalidOption("none was asked for: at least 1 can be"),
            wanted if wanted > permits => Cause::TooManyPermits { wanted, permits },
            _ => return Ok(()),
        };
        Err(Error::new(self.resource(), Operation::Acquire, cause))
    }
}

impl<E: Engine> Clone for Semaphore<E> {
    fn clone(&self) -> Self {
        Self::from_raw(self.raw.clone())
    }
}

impl<E: Engine> fmt::Debug for Semaphore<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.resource()
            .debug(f, "Semaphore")
            .field("permits", &self.permits())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{RefUnwindSafe, UnwindSafe};

    use super::*;

    #[test]
    fn handles_and_permits_go_anywhere() {
        fn goes_anywhere<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + 'static>() {}
        goes_anywhere::<Semaphore>();
        goes_anywhere::<SemaphorePermit>();
    }
}
