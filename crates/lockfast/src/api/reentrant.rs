//! A lock that a thread may take again.

use std::fmt;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::api::lock::{Lock, LockGuard};
use crate::api::options::Options;
use crate::sys::fork;
use crate::sys::per_process::PerProcess;
use crate::types::error::Result;
use crate::types::thread::{AtomicThreadToken, ThreadToken};

/// An exclusive lock between processes and threads that the thread which holds it may take again.
///
/// It is released when the last guard is dropped. Taking it again costs a few nanoseconds and asks
/// nobody. Otherwise it is a [`Lock`], and the same as a `Lock` at the same path to others.
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
#[derive(Clone)]
pub struct ReentrantLock {
    shared: Arc<Shared>,
}

/// One of the times that the lock is held; the last one that is dropped releases it.
///
/// It stays in its thread. Dropping never panics; use [`release`](Self::release) to see errors.
#[must_use = "the lock is released when the guard is dropped, which is at once if it is not kept"]
pub struct ReentrantLockGuard {
    shared: Arc<Shared>,
    /// Which process took it: in a forked child its copy counts for nothing.
    generation: u64,
    this_thread: PhantomData<*const ()>,
}

struct Shared {
    lock: Lock,
    process: PerProcess<OfProcess>,
}

#[derive(Default)]
struct OfProcess {
    owner: AtomicThreadToken,
    /// Changed by the owner only.
    count: AtomicU32,
    guard: Mutex<Option<LockGuard>>,
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

    /// Everything that can be chosen before the lock is opened.
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
    pub fn lock(&self) -> Result<ReentrantLockGuard> {
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
    pub fn try_lock(&self) -> Result<ReentrantLockGuard> {
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
    pub fn try_lock_for(&self, timeout: Duration) -> Result<ReentrantLockGuard> {
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
    pub fn try_lock_until(&self, deadline: Instant) -> Result<ReentrantLockGuard> {
        self.enter(|lock| lock.try_lock_until(deadline))
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

    pub(crate) fn from_lock(lock: Lock) -> Self {
        let shared = Shared {
            lock,
            process: PerProcess::new(OfProcess::default()),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    fn enter(&self, take: impl FnOnce(&Lock) -> Result<LockGuard>) -> Result<ReentrantLockGuard> {
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

impl Shared {
    fn process(&self) -> &OfProcess {
        self.process.get(OfProcess::default)
    }
}

impl OfProcess {
    fn guard(&self) -> std::sync::MutexGuard<'_, Option<LockGuard>> {
        self.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One guard less; the lock's own guard, if that was the last one.
    fn leave(&self) -> Option<LockGuard> {
        let count = self.count.load(Ordering::Relaxed) - 1;
        self.count.store(count, Ordering::Relaxed);
        if count > 0 {
            return None;
        }
        self.owner.store(ThreadToken::NONE);
        self.guard().take()
    }
}

impl ReentrantLockGuard {
    /// Drops the guard and, if it is the last one, releases the lock and tells of errors.
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

    fn leave(&mut self) -> Option<LockGuard> {
        if self.generation == fork::generation() {
            self.shared.process().leave()
        } else {
            None
        }
    }
}

impl Drop for ReentrantLockGuard {
    fn drop(&mut self) {
        drop(self.leave());
    }
}

// A panic while the lock is held leaves every handle usable.
impl UnwindSafe for ReentrantLock {}
impl RefUnwindSafe for ReentrantLock {}
impl UnwindSafe for ReentrantLockGuard {}
impl RefUnwindSafe for ReentrantLockGuard {}

impl fmt::Debug for ReentrantLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReentrantLock")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ReentrantLockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReentrantLockGuard")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}
