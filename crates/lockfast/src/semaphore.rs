//! A counting semaphore.
//!
//! What its bytes mean, and why it is right, is in `protocol::permits`; what the threads of a handle
//! know of them in `pool`; how a permit is acquired in `acquire`.

mod acquire;
mod permit;

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Cause, Error, Operation, Result};
use crate::handle::Handle;
use crate::options::{Options, Settings};
use crate::protocol::{Protocol, permits};
use crate::sys;
use crate::wait::Patience;

pub use permit::SemaphorePermit;

/// A number of permits that processes, and the threads of each, share.
///
/// It is named by a path, and everybody who uses that path must name the same number of permits. At
/// most so many are out at any time, in whichever processes. A permit is given back when it is
/// dropped, or when its process ends in whatever way.
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
/// A [`Lock`](crate::Lock) at the same path, while it is held, excludes all permits, and gets in when
/// none is out and nobody is in the line. So does a writer of an [`RwLock`](crate::RwLock); its readers
/// exclude permits too.
///
/// # Platform-specific behaviour
///
/// It needs locks of bytes (Linux, Android, Apple systems); elsewhere, and with another protocol than
/// [`Protocol::Fcntl`], opening it is an error with
/// [`is_unsupported`](crate::Error::is_unsupported). On Linux the first in the line sleeps until
/// somebody closes the file, which a dying holder does and a releasing one on purpose; elsewhere it
/// asks every 1 to 10 ms. See PLATFORM.md.
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
    /// The most permits that a semaphore can have.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// use lockfast::Semaphore;
    /// assert!(Semaphore::open(&path, Semaphore::MAX_PERMITS).is_ok());
    /// assert!(Semaphore::open(&path, Semaphore::MAX_PERMITS + 1).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub const MAX_PERMITS: u32 = permits::MAX;

    /// Opens the semaphore at that path, creating the file and its directory if need be.
    ///
    /// No permit is taken yet. The content of a file that exists is left alone.
    ///
    /// # Errors
    ///
    /// As [`Options::open`](Options::<Semaphore>::open).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// let pool = lockfast::Semaphore::open(&path, 4)?;
    /// assert_eq!(pool.available()?, 4);
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(path: impl AsRef<Path>, permits: u32) -> Result<Self> {
        Self::options().open(path, permits)
    }

    /// Everything that can be chosen before the semaphore is opened.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// let pool = lockfast::Semaphore::options().mode(0o660).open(&path, 4)?;
    /// # drop(pool);
    /// # Ok(())
    /// # }
    /// ```
    pub fn options() -> Options<Self> {
        Options::new()
    }

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
    /// of permits, or when a callback of the [`Options`] gives up.
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
        self.acquire_by(1, Patience::Forever)
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
        self.acquire_by(1, Patience::None)
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
        self.acquire_by(1, Patience::lasting(timeout))
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
        self.acquire_by(1, Patience::Until(deadline))
    }

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
        self.acquire_by(count, Patience::Forever)
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
        self.acquire_by(count, Patience::None)
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
        self.acquire_by(count, Patience::lasting(timeout))
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
        self.acquire_by(count, Patience::Until(deadline))
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

    pub(crate) fn acquire_by(&self, count: u32, patience: Patience) -> Result<SemaphorePermit> {
        let fail = |cause| Err(Error::new(self.path(), Operation::Acquire, cause));
        if count == 0 {
            return fail(Cause::InvalidOption(
                "none was asked for: at least 1 can be",
            ));
        }
        if count > self.permits {
            let permits = self.permits;
            return fail(Cause::NotSoMany {
                wanted: count,
                permits,
            });
        }
        let taken = acquire::acquire(&self.handle, count, patience)?;
        Ok(SemaphorePermit::new(&self.handle, taken))
    }
}

impl Options<Semaphore> {
    /// Opens the semaphore at that path, creating the file if it is not there. No permit is taken yet.
    ///
    /// A relative path is made absolute now.
    ///
    /// # Errors
    ///
    /// When the number is 0 or above [`Semaphore::MAX_PERMITS`], or others have it open with another
    /// number; when a program that knows nothing of permits has locked the whole file
    /// ([`is_contended`](crate::Error::is_contended)); with
    /// [`is_unsupported`](crate::Error::is_unsupported) where there are no locks of bytes, and for any
    /// [`protocol`](Self::protocol) but [`Protocol::Fcntl`]; with
    /// [`remove_on_release`](Self::remove_on_release), because whoever opens the file next could not tell
    /// how many permits are still out on the removed one. Otherwise as for a [`Lock`](Options::open).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// use lockfast::Semaphore;
    ///
    /// let pool = Semaphore::options().mode(0o600).open(&path, 4)?;
    /// let error = Semaphore::open(&path, 5).unwrap_err();
    /// assert!(error.to_string().contains("5 permits here and 4 where others have it open"));
    ///
    /// drop(pool);
    /// assert!(Semaphore::open(&path, 5).is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(&self, path: impl AsRef<Path>, permits: u32) -> Result<Semaphore> {
        let path = path.as_ref();
        let settings = Settings {
            permits: Some(permits),
            ..self.settings().clone()
        };
        if let Some(cause) = refusal(&settings, permits) {
            return Err(Error::new(path, Operation::Open, cause));
        }
        let handle = Handle::open(path, settings)?;
        Ok(Semaphore { handle, permits })
    }
}

/// Why it can't be opened like that.
fn refusal(settings: &Settings, permits: u32) -> Option<Cause> {
    if !(1..=permits::MAX).contains(&permits) {
        return Some(Cause::InvalidOption(
            "a semaphore has at least 1 permit and at most 1024",
        ));
    }
    if settings.remove_on_release {
        return Some(Cause::InvalidOption(
            "remove_on_release is not for semaphores: permits may still be out on the removed \
             file while others are taken from the new one",
        ));
    }
    if settings.protocol != Protocol::Fcntl || !sys::lock::HAS_RANGES {
        let why = "permits are locks of bytes: use Protocol::Fcntl on a system that has \
                   open-file-description locks";
        return Some(Cause::Unsupported(why, None));
    }
    None
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

    #[test]
    fn the_limit_that_is_told_is_the_limit() {
        let settings = Semaphore::options().settings().clone();
        for permits in [0, Semaphore::MAX_PERMITS + 1] {
            let Some(Cause::InvalidOption(why)) = refusal(&settings, permits) else {
                panic!("{permits} is refused");
            };
            assert!(why.ends_with(&Semaphore::MAX_PERMITS.to_string()), "{why}");
        }
    }
}
