//! A lock that a thread may take again.

use std::fmt;
use std::fs::File;
use std::future::ready;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::api::engine::{Engine, Files, HoldState};
use crate::api::lock::{Lock, LockGuard};
use crate::api::lost::{BoxedLost, lost_methods};
use crate::api::options::Options;
use crate::file::owner::Owner;
use crate::sys::fork;
use crate::sys::mutex;
use crate::sys::per_process::PerProcess;
use crate::types::error::Result;
use crate::types::resource::Resource;
use crate::types::thread::{AtomicThreadToken, ThreadToken};

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

/// The lock is held until the last of its guards is dropped.
///
/// It stays in its thread. Dropping never panics; use [`release`](Self::release) to see errors.
#[must_use = "the lock is released when the guard is dropped, which is at once if it is not kept"]
pub struct ReentrantLockGuard<E: Engine = Files> {
    shared: Arc<ReentrantState<E>>,
    /// The process that took it: in a forked child its copy counts for nothing.
    generation: u64,
    this_thread: PhantomData<*const ()>,
}

struct ReentrantState<E: Engine> {
    lock: Lock<E>,
    process: PerProcess<OfProcess<E>>,
}

struct OfProcess<E: Engine> {
    owner: AtomicThreadToken,
    /// Changed by the owner only.
    count: AtomicU32,
    guard: Mutex<Option<LockGuard<E>>>,
}

impl<E: Engine> Default for OfProcess<E> {
    fn default() -> Self {
        Self {
            owner: AtomicThreadToken::default(),
            count: AtomicU32::new(0),
            guard: Mutex::new(None),
        }
    }
}

impl ReentrantLock {
    /// Opens the lock at that path, creating the file and its directory if need be.
    ///
    /// # Errors
    ///
    /// As [`Lock::open`].
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let lock = lockfast::ReentrantLock::open(dir.path().join("state.lock"))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::options().open(path)
    }

    /// Opens the lock with that name, which the user's processes share.
    ///
    /// Its file is in a directory that only the user can enter; [`Scope`](crate::Scope) says where,
    /// and how to share a lock with the whole machine.
    ///
    /// # Errors
    ///
    /// As [`Options::open_named`](Options::<ReentrantLock>::open_named).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), lockfast::Error> {
    /// let lock = lockfast::ReentrantLock::named("lockfast-docs-settings")?;
    /// let (outer, inner) = (lock.lock()?, lock.lock()?);
    /// # drop((outer, inner));
    /// # Ok(())
    /// # }
    /// ```
    pub fn named(name: impl AsRef<str>) -> Result<Self> {
        Self::options().open_named(name)
    }

    /// Returns the builder that configures and opens a lock.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("state.lock");
    /// let lock = lockfast::ReentrantLock::options().mode(0o600).open(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn options() -> Options<Self> {
        Options::new()
    }

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
    pub fn from_file(file: File) -> Result<Self> {
        Self::options().from_file(file)
    }

    /// The path of the lock file, absolute.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("state.lock");
    /// assert_eq!(lockfast::ReentrantLock::open(&path)?.path(), path);
    /// # Ok(())
    /// # }
    /// ```
    pub fn path(&self) -> &Path {
        self.shared.lock.path()
    }
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

    /// The lock: a file, or a name in its engine.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("state.lock");
    /// assert_eq!(lockfast::ReentrantLock::open(&path)?.resource().path(), Some(&*path));
    /// # Ok(())
    /// # }
    /// ```
    pub fn resource(&self) -> Resource {
        self.shared.lock.resource()
    }

    /// Returns a lock that its thread may take again, over one that it may not.
    #[doc(hidden)]
    pub fn from_lock(lock: Lock<E>) -> Self {
        let shared = ReentrantState {
            lock,
            process: PerProcess::new(OfProcess::default()),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    fn enter(
        &self,
        take: impl FnOnce(&Lock<E>) -> Result<LockGuard<E>>,
    ) -> Result<ReentrantLockGuard<E>> {
        let process = self.shared.process();
        let thread = ThreadToken::current();
        if process.owner.load() == thread && thread != ThreadToken::NONE {
            let count = process.count.load(Ordering::Relaxed);
            let count = count.checked_add(1).expect("it is not held so often");
            process.count.store(count, Ordering::Relaxed);
        } else {
            let guard = take(&self.shared.lock)?;
            *process.guard() = Some(guard);
            process.count.store(1, Ordering::Relaxed);
            process.owner.store(thread);
        }
        Ok(ReentrantLockGuard {
            shared: Arc::clone(&self.shared),
            generation: fork::generation(),
            this_thread: PhantomData,
        })
    }
}

impl<E: Engine> ReentrantState<E> {
    fn process(&self) -> &OfProcess<E> {
        self.process.get(OfProcess::default)
    }
}

impl<E: Engine> OfProcess<E> {
    fn guard(&self) -> std::sync::MutexGuard<'_, Option<LockGuard<E>>> {
        mutex::lock(&self.guard)
    }

    /// Counts one guard less, and returns the lock's own guard if that was the last one.
    fn leave(&self) -> Option<LockGuard<E>> {
        let count = self.count.load(Ordering::Relaxed) - 1;
        self.count.store(count, Ordering::Relaxed);
        if count > 0 {
            return None;
        }
        self.owner.store(ThreadToken::NONE);
        self.guard().take()
    }
}

impl<E: Engine> ReentrantLockGuard<E> {
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
        let last = self.leave();
        std::mem::forget(self);
        last.map_or(Ok(()), LockGuard::release)
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
        if self.generation == fork::generation() {
            self.shared.process().count.load(Ordering::Relaxed)
        } else {
            0
        }
    }

    /// Reads something of the lock's own guard; `None` in a forked child.
    fn guarded<R>(&self, read: impl FnOnce(&LockGuard<E>) -> R) -> Option<R> {
        if self.generation != fork::generation() {
            return None;
        }
        self.shared.process().guard().as_ref().map(read)
    }

    fn leave(&mut self) -> Option<LockGuard<E>> {
        if self.generation == fork::generation() {
            self.shared.process().leave()
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
impl<E: Engine> UnwindSafe for ReentrantLock<E> {}
impl<E: Engine> RefUnwindSafe for ReentrantLock<E> {}
impl<E: Engine> UnwindSafe for ReentrantLockGuard<E> {}
impl<E: Engine> RefUnwindSafe for ReentrantLockGuard<E> {}

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

impl<E: Engine> fmt::Debug for ReentrantLockGuard<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.resource()
            .debug(f, "ReentrantLockGuard")
            .finish_non_exhaustive()
    }
}
