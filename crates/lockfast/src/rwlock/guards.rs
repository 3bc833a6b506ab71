//! What a readers-writer lock is held by.

use std::fmt;
use std::fs::File;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::conversion::ConversionError;
use crate::error::Result;
use crate::hold::Hold;
use crate::protocol::plan::Mode;
use crate::wait::Patience;

/// Reads, beside other readers, until this is dropped.
///
/// It may be sent to another thread and dropped there. Dropping never panics; use
/// [`release`](Self::release) to see errors.
#[must_use = "the lock is released when the guard is dropped, which is at once if it is not kept"]
pub struct RwLockReadGuard {
    hold: Hold,
}

/// Reads, beside other readers, and may become the writer, until this is dropped.
///
/// There is one at a time. It may be sent to another thread and dropped there. Dropping never
/// panics; use [`release`](Self::release) to see errors.
#[must_use = "the lock is released when the guard is dropped, which is at once if it is not kept"]
pub struct RwLockUpgradableReadGuard {
    hold: Hold,
}

/// Writes, alone, until this is dropped.
///
/// It may be sent to another thread and dropped there. Dropping never panics; use
/// [`release`](Self::release) to see errors.
#[must_use = "the lock is released when the guard is dropped, which is at once if it is not kept"]
pub struct RwLockWriteGuard {
    hold: Hold,
}

/// What all guards have; `$take` is how such a guard is had.
macro_rules! every_guard {
    ($guard:ident, $take:literal) => {
        impl $guard {
            pub(super) fn new(hold: Hold) -> Self {
                Self { hold }
            }

            /// Releases the lock and tells of errors.
            ///
            /// # Errors
            ///
            /// As [`LockGuard::release`](crate::LockGuard::release).
            ///
            /// # Examples
            ///
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// # let dir = tempfile::tempdir()?;
            /// # let path = dir.path().join("cache.lock");
            /// let cache = lockfast::RwLock::open(&path)?;
            #[doc = concat!("cache.", $take, "()?.release()?;")]
            /// assert!(cache.try_write().is_ok());
            /// # Ok(())
            /// # }
            /// ```
            pub fn release(mut self) -> Result<()> {
                self.hold.release()
            }

            /// The path of the lock file, absolute.
            ///
            /// # Examples
            ///
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// # let dir = tempfile::tempdir()?;
            /// # let path = dir.path().join("cache.lock");
            #[doc = concat!("let guard = lockfast::RwLock::open(&path)?.", $take, "()?;")]
            /// assert_eq!(guard.path(), path);
            /// # Ok(())
            /// # }
            /// ```
            pub fn path(&self) -> &Path {
                self.hold.path()
            }

            /// The file that is locked. See [`LockGuard::file`](crate::LockGuard::file).
            ///
            /// # Examples
            ///
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// # let dir = tempfile::tempdir()?;
            /// # let path = dir.path().join("state");
            /// # std::fs::write(&path, "state")?;
            #[doc = concat!("let guard = lockfast::RwLock::open(&path)?.", $take, "()?;")]
            /// assert_eq!(std::io::read_to_string(guard.file())?, "state");
            /// # Ok(())
            /// # }
            /// ```
            pub fn file(&self) -> &File {
                self.hold.file()
            }

            /// Is the locked file still the one at the path? See
            /// [`LockGuard::is_current`](crate::LockGuard::is_current).
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
            /// # let path = dir.path().join("cache.lock");
            #[doc = concat!("let guard = lockfast::RwLock::open(&path)?.", $take, "()?;")]
            /// assert!(guard.is_current()?);
            /// # Ok(())
            /// # }
            /// ```
            pub fn is_current(&self) -> Result<bool> {
                self.hold.is_current()
            }

            /// Says that another thread holds the lock from now on. See
            /// [`LockGuard::hand_over`](crate::LockGuard::hand_over).
            ///
            /// # Examples
            ///
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// # let dir = tempfile::tempdir()?;
            /// # let path = dir.path().join("cache.lock");
            /// let cache = lockfast::RwLock::open(&path)?;
            #[doc = concat!("let mut guard = cache.", $take, "()?;")]
            /// assert!(cache.write().unwrap_err().is_deadlock());
            ///
            /// guard.hand_over();
            /// let worker = std::thread::spawn(move || drop(guard));
            /// cache.write()?.release()?; // waits for the worker
            /// # worker.join().unwrap();
            /// # Ok(())
            /// # }
            /// ```
            pub fn hand_over(&mut self) {
                self.hold.disown();
            }
        }

        // A panic while the lock is held leaves the guard usable.
        impl UnwindSafe for $guard {}
        impl RefUnwindSafe for $guard {}

        impl fmt::Debug for $guard {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($guard))
                    .field("path", &self.path())
                    .finish_non_exhaustive()
            }
        }
    };
}

every_guard!(RwLockReadGuard, "read");
every_guard!(RwLockUpgradableReadGuard, "upgradable_read");
every_guard!(RwLockWriteGuard, "write");

/// The guard that a conversion ends with.
type Converted<To, From> = std::result::Result<To, ConversionError<From>>;

impl RwLockUpgradableReadGuard {
    /// Becomes the writer, waiting until the other readers have left.
    ///
    /// Nobody else writes in between: what was read is still true. Readers that come meanwhile wait.
    ///
    /// # Blocking
    ///
    /// As [`RwLock::write`](crate::RwLock::write).
    ///
    /// # Errors
    ///
    /// As [`RwLock::write`](crate::RwLock::write), with the guard, which still reads. With
    /// [`is_deadlock`](crate::Error::is_deadlock) when this thread has a read guard too.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cache.lock");
    /// let cache = lockfast::RwLock::open(&path)?;
    /// let reader = cache.upgradable_read()?;
    /// let writer = reader.upgrade()?;
    /// assert!(cache.try_read().unwrap_err().is_contended());
    /// # drop(writer);
    /// # Ok(())
    /// # }
    /// ```
    pub fn upgrade(self) -> Converted<RwLockWriteGuard, Self> {
        self.upgrade_by(Patience::Forever)
    }

    /// As [`upgrade`](Self::upgrade), without waiting.
    ///
    /// # Errors
    ///
    /// With [`is_contended`](crate::Error::is_contended) when there are other readers.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cache.lock");
    /// let cache = lockfast::RwLock::open(&path)?;
    /// let writer = cache.upgradable_read()?.try_upgrade()?;
    /// # drop(writer);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_upgrade(self) -> Converted<RwLockWriteGuard, Self> {
        self.upgrade_by(Patience::None)
    }

    /// As [`upgrade`](Self::upgrade), waiting for at most that long.
    ///
    /// # Errors
    ///
    /// With [`is_timed_out`](crate::Error::is_timed_out) when the time has passed.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cache.lock");
    /// use std::time::Duration;
    /// let (one, other) = (lockfast::RwLock::open(&path)?, lockfast::RwLock::open(&path)?);
    /// let reader = other.read()?;
    /// let failed = one.upgradable_read()?.try_upgrade_for(Duration::from_millis(5)).unwrap_err();
    /// assert!(failed.error().is_timed_out());
    /// # drop(reader);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_upgrade_for(self, timeout: Duration) -> Converted<RwLockWriteGuard, Self> {
        self.upgrade_by(Patience::lasting(timeout))
    }

    /// As [`upgrade`](Self::upgrade), waiting until that instant at most.
    ///
    /// # Errors
    ///
    /// As [`try_upgrade_for`](Self::try_upgrade_for).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cache.lock");
    /// use std::time::{Duration, Instant};
    /// let deadline = Instant::now() + Duration::from_secs(10);
    /// let reader = lockfast::RwLock::open(&path)?.upgradable_read()?;
    /// let writer = reader.try_upgrade_until(deadline)?;
    /// # drop(writer);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_upgrade_until(self, deadline: Instant) -> Converted<RwLockWriteGuard, Self> {
        self.upgrade_by(Patience::Until(deadline))
    }

    /// Reads on, and lets another one be upgradable.
    ///
    /// # Errors
    ///
    /// When the kernel refuses, with the guard as it was.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cache.lock");
    /// let cache = lockfast::RwLock::open(&path)?;
    /// let reader = cache.upgradable_read()?.downgrade()?;
    /// assert!(cache.try_upgradable_read().is_ok());
    /// # drop(reader);
    /// # Ok(())
    /// # }
    /// ```
    pub fn downgrade(mut self) -> Converted<RwLockReadGuard, Self> {
        match self.hold.downgrade(Mode::Read) {
            Ok(()) => Ok(RwLockReadGuard { hold: self.hold }),
            Err(error) => Err(ConversionError::new(self, error)),
        }
    }

    fn upgrade_by(mut self, patience: Patience) -> Converted<RwLockWriteGuard, Self> {
        match self.hold.upgrade(patience) {
            Ok(()) => Ok(RwLockWriteGuard { hold: self.hold }),
            Err(error) => Err(ConversionError::new(self, error)),
        }
    }
}

impl RwLockWriteGuard {
    /// Becomes a reader; nobody else writes in between.
    ///
    /// # Errors
    ///
    /// With the guard as it was, when the kernel refuses;
    /// [`is_unsupported`](crate::Error::is_unsupported) where a lock can't be changed (see
    /// [`RwLock`](crate::RwLock)).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cache.lock");
    /// let cache = lockfast::RwLock::open(&path)?;
    /// let reader = cache.write()?.downgrade()?;
    /// assert!(cache.try_read().is_ok());
    /// # drop(reader);
    /// # Ok(())
    /// # }
    /// ```
    pub fn downgrade(mut self) -> Converted<RwLockReadGuard, Self> {
        match self.hold.downgrade(Mode::Read) {
            Ok(()) => Ok(RwLockReadGuard { hold: self.hold }),
            Err(error) => Err(ConversionError::new(self, error)),
        }
    }

    /// Becomes an upgradable reader; nobody else writes in between.
    ///
    /// # Errors
    ///
    /// As [`downgrade`](Self::downgrade).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cache.lock");
    /// let cache = lockfast::RwLock::open(&path)?;
    /// let reader = cache.write()?.downgrade_to_upgradable()?;
    /// assert!(cache.try_read().is_ok());
    /// let writer = reader.upgrade()?;
    /// # drop(writer);
    /// # Ok(())
    /// # }
    /// ```
    pub fn downgrade_to_upgradable(mut self) -> Converted<RwLockUpgradableReadGuard, Self> {
        match self.hold.downgrade(Mode::Upgradable) {
            Ok(()) => Ok(RwLockUpgradableReadGuard { hold: self.hold }),
            Err(error) => Err(ConversionError::new(self, error)),
        }
    }
}
