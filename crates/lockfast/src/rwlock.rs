//! A readers-writer lock.

mod guards;

use std::fmt;
use std::fs::File;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::handle::Handle;
use crate::options::Options;
use crate::protocol::plan::Mode;
use crate::wait::Patience;

pub use guards::{RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};

/// A readers-writer lock between processes, and between the threads of each.
///
/// It is named by a path. Any number of readers hold it beside each other; a writer holds it alone.
/// An *upgradable* reader is beside readers too, but there is one at a time, and it can become the
/// writer without anybody else writing in between.
///
/// No reader overtakes a writer that waits, in whichever process, and writers do not starve readers:
/// a reader that had to wait is overtaken by a bounded number of writers only. What a crashed
/// process held is free at once.
///
/// A `RwLock` is a handle: clones of it share one descriptor, and its readers share one kernel lock.
/// A [`Lock`](crate::Lock) at the same path excludes readers and writers, but waits without keeping
/// readers from getting in before it. About forks, see there.
///
/// It is not reentrant, but for one case: a thread that reads already gets in again at once. Every
/// other way in which a thread would wait for itself is an error with
/// [`is_deadlock`](crate::Error::is_deadlock).
///
/// # Platform-specific behaviour
///
/// With [`Protocol::Flock`](crate::Protocol::Flock), and on systems without
/// open-file-description locks, readers and writers come in the kernel's order: readers may
/// overtake a waiting writer of another process. With it and with
/// [`Protocol::Both`](crate::Protocol::Both) upgradable reading and downgrading are errors with
/// [`is_unsupported`](crate::Error::is_unsupported), because a `flock` can't be changed without
/// giving it up in between.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("cache.lock");
/// use lockfast::RwLock;
///
/// let cache = RwLock::open(&path)?;
/// {
///     let _one = cache.read()?;
///     let _other = cache.read()?;
///     assert!(cache.try_write().unwrap_err().is_contended());
/// }
/// let writer = cache.write()?;
/// let reader = writer.downgrade()?; // no other writer in between
/// # drop(reader);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RwLock {
    handle: Arc<Handle>,
}

impl RwLock {
    /// Opens the lock at that path, creating the file and its directory if need be.
    ///
    /// Nothing is locked yet. The content of a file that exists is left alone.
    ///
    /// # Errors
    ///
    /// As [`Options::open`](Options::<RwLock>::open).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let cache = lockfast::RwLock::open(dir.path().join("cache.lock"))?;
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
    /// As [`Options::open_named`](Options::<RwLock>::open_named).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), lockfast::Error> {
    /// let reader = lockfast::RwLock::named("lockfast-docs-index")?.read()?;
    /// # drop(reader);
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
    /// # let path = dir.path().join("cache.lock");
    /// let cache = lockfast::RwLock::options().mode(0o660).open(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn options() -> Options<Self> {
        Options::new()
    }

    /// Locks a file that is already open, for example to read or change its content.
    ///
    /// It must be open for reading to be read under the lock, and for writing to be written. Its
    /// descriptor belongs to the lock from now on; the guards lend it. See
    /// [`Lock::from_file`](crate::Lock::from_file).
    ///
    /// # Errors
    ///
    /// When it is not a regular file.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("state");
    /// # std::fs::write(&path, "state")?;
    /// let file = std::fs::File::open(&path)?;
    /// let reader = lockfast::RwLock::from_file(file)?.read()?;
    /// assert_eq!(std::io::read_to_string(reader.file())?, "state");
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_file(file: File) -> Result<Self> {
        Self::options().from_file(file)
    }

    /// Takes the lock to read, beside other readers.
    ///
    /// # Blocking
    ///
    /// Waits while somebody writes, or waits to write. A thread that reads already gets in at once.
    ///
    /// The thread sleeps in the kernel's queue, or behind the threads of this process that came
    /// earlier. A signal that the program handles does not end the wait.
    ///
    /// # Errors
    ///
    /// When the kernel refuses ([`is_unsupported`](crate::Error::is_unsupported) on a file system
    /// without locks), when a stale file can't be opened again, or when a callback of the
    /// [`Options`] gives up. With [`is_deadlock`](crate::Error::is_deadlock) when this thread would
    /// wait for itself.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cache.lock");
    /// let cache = lockfast::RwLock::open(&path)?;
    /// let guard = cache.read()?;
    /// assert!(cache.try_write().unwrap_err().is_contended());
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    pub fn read(&self) -> Result<RwLockReadGuard> {
        self.read_with(Patience::Forever)
    }

    /// As [`read`](Self::read), without waiting.
    ///
    /// # Errors
    ///
    /// With [`is_contended`](crate::Error::is_contended) when it would have to wait; otherwise as
    /// [`read`](Self::read).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cache.lock");
    /// let cache = lockfast::RwLock::open(&path)?;
    /// let writer = cache.write()?;
    /// assert!(cache.try_read().unwrap_err().is_contended());
    /// # drop(writer);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_read(&self) -> Result<RwLockReadGuard> {
        self.read_with(Patience::None)
    }

    /// As [`read`](Self::read), waiting for at most that long.
    ///
    /// # Errors
    ///
    /// With [`is_timed_out`](crate::Error::is_timed_out) when the time has passed; otherwise as
    /// [`read`](Self::read). One attempt is made even if the time-out is zero.
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
    /// let error = cache.try_read_for(Duration::from_millis(5)).unwrap_err();
    /// assert!(error.is_timed_out());
    /// # drop(writer);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_read_for(&self, timeout: Duration) -> Result<RwLockReadGuard> {
        self.read_with(Patience::lasting(timeout))
    }

    /// As [`read`](Self::read), waiting until that instant at most.
    ///
    /// # Errors
    ///
    /// As [`try_read_for`](Self::try_read_for).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cache.lock");
    /// use std::time::{Duration, Instant};
    /// let cache = lockfast::RwLock::open(&path)?;
    /// let guard = cache.try_read_until(Instant::now() + Duration::from_secs(10))?;
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_read_until(&self, deadline: Instant) -> Result<RwLockReadGuard> {
        self.read_with(Patience::Until(deadline))
    }

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
    /// [`Options`] gives up. With [`is_deadlock`](crate::Error::is_deadlock) when this thread would
    /// wait for itself.
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
        self.upgradable_with(Patience::Forever)
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
        self.upgradable_with(Patience::None)
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
        self.upgradable_with(Patience::lasting(timeout))
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
        self.upgradable_with(Patience::Until(deadline))
    }

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
    /// [`Options`] gives up. With [`is_deadlock`](crate::Error::is_deadlock) when this thread would
    /// wait for itself.
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
    pub fn write(&self) -> Result<RwLockWriteGuard> {
        self.write_with(Patience::Forever)
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
        self.write_with(Patience::None)
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
        self.write_with(Patience::lasting(timeout))
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
        self.write_with(Patience::Until(deadline))
    }

    /// The path of the lock file, absolute.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cache.lock");
    /// assert_eq!(lockfast::RwLock::open(&path)?.path(), path);
    /// # Ok(())
    /// # }
    /// ```
    pub fn path(&self) -> &Path {
        self.handle.path()
    }

    pub(crate) fn from_handle(handle: Arc<Handle>) -> Self {
        Self { handle }
    }

    pub(crate) fn read_with(&self, patience: Patience) -> Result<RwLockReadGuard> {
        self.handle
            .acquire(Mode::Read, patience)
            .map(RwLockReadGuard::new)
    }

    pub(crate) fn upgradable_with(&self, patience: Patience) -> Result<RwLockUpgradableReadGuard> {
        self.handle
            .acquire(Mode::Upgradable, patience)
            .map(RwLockUpgradableReadGuard::new)
    }

    pub(crate) fn write_with(&self, patience: Patience) -> Result<RwLockWriteGuard> {
        self.handle
            .acquire(Mode::Write, patience)
            .map(RwLockWriteGuard::new)
    }
}

// A panic while the lock is held, or in a callback, leaves every handle usable.
impl UnwindSafe for RwLock {}
impl RefUnwindSafe for RwLock {}

impl fmt::Debug for RwLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}
