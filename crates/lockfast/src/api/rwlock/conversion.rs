//! Conversions of one guard into another.

use std::time::{Duration, Instant};

use super::{RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};
use crate::api::conversion::ConversionError;
use crate::api::engine::{Engine, RawHold};
use crate::protocol::plan::Mode;
use crate::types::wait_limit::WaitLimit;

impl<E: Engine> RwLockUpgradableReadGuard<E> {
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
    /// [`is_deadlock`](crate::Error::is_deadlock) when this thread has a read guard too, by whichever
    /// handle. A read guard that went to another thread says so by `hand_over`.
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
    pub fn upgrade(self) -> Converted<RwLockWriteGuard<E>, Self> {
        self.upgrade_by(WaitLimit::Forever)
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
    pub fn try_upgrade(self) -> Converted<RwLockWriteGuard<E>, Self> {
        self.upgrade_by(WaitLimit::None)
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
    pub fn try_upgrade_for(self, timeout: Duration) -> Converted<RwLockWriteGuard<E>, Self> {
        self.upgrade_by(WaitLimit::lasting(timeout))
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
    pub fn try_upgrade_until(self, deadline: Instant) -> Converted<RwLockWriteGuard<E>, Self> {
        self.upgrade_by(WaitLimit::Until(deadline))
    }

    /// Becomes the writer as a task, waiting until the other readers have left.
    ///
    /// As [`upgrade`](Self::upgrade), without blocking the thread that polls.
    ///
    /// # Cancellation
    ///
    /// Dropping the future ends the wait and drops the guard.
    ///
    /// # Errors
    ///
    /// As [`upgrade`](Self::upgrade), but a task that reads too is not found out. When there is no thread
    /// to be had.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cache.lock");
    /// # smol::block_on(async {
    /// let cache = lockfast::RwLock::open(&path)?;
    /// let reader = cache.upgradable_read_async().await?;
    /// let writer = reader.upgrade_async().await?;
    /// assert!(cache.try_read().unwrap_err().is_contended());
    /// # drop(writer);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn upgrade_async(
        self,
    ) -> impl Future<Output = Converted<RwLockWriteGuard<E>, Self>> + Send + 'static {
        self.upgrade_or(drop)
    }

    /// As [`upgrade_async`](Self::upgrade_async); a wait that is dropped puts the guard back.
    pub(crate) async fn upgrade_or(
        self,
        put_back: impl FnOnce(Self) + Send,
    ) -> Converted<RwLockWriteGuard<E>, Self> {
        struct Kept<G, F: FnOnce(G)>(Option<(G, F)>);
        impl<G, F: FnOnce(G)> Drop for Kept<G, F> {
            fn drop(&mut self) {
                if let Some((guard, put_back)) = self.0.take() {
                    put_back(guard);
                }
            }
        }
        // A wait that is dropped drops this, which has the guard while the future only borrows it.
        let mut kept = Kept(Some((self, put_back)));
        let (guard, _) = kept.0.as_mut().expect("it was put there");
        let upgraded = guard.hold.upgrade_async().await;
        // The upgrade is over: from here on `put_back` is not called any more.
        let (guard, _) = kept.0.take().expect("only a drop takes it");
        match upgraded {
            Ok(()) => Ok(RwLockWriteGuard::from_raw(guard.hold)),
            Err(error) => Err(ConversionError::new(guard, error)),
        }
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
    pub fn downgrade(mut self) -> Converted<RwLockReadGuard<E>, Self> {
        match self.hold.downgrade(Mode::Read) {
            Ok(()) => Ok(RwLockReadGuard::from_raw(self.hold)),
            Err(error) => Err(ConversionError::new(self, error)),
        }
    }

    fn upgrade_by(mut self, patience: WaitLimit) -> Converted<RwLockWriteGuard<E>, Self> {
        match self.hold.upgrade(patience) {
            Ok(()) => Ok(RwLockWriteGuard::from_raw(self.hold)),
            Err(error) => Err(ConversionError::new(self, error)),
        }
    }
}

impl<E: Engine> RwLockWriteGuard<E> {
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
    pub fn downgrade(mut self) -> Converted<RwLockReadGuard<E>, Self> {
        match self.hold.downgrade(Mode::Read) {
            Ok(()) => Ok(RwLockReadGuard::from_raw(self.hold)),
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
    pub fn downgrade_to_upgradable(mut self) -> Converted<RwLockUpgradableReadGuard<E>, Self> {
        match self.hold.downgrade(Mode::Upgradable) {
            Ok(()) => Ok(RwLockUpgradableReadGuard::from_raw(self.hold)),
            Err(error) => Err(ConversionError::new(self, error)),
        }
    }
}

/// The guard that a conversion ends with.
type Converted<To, From> = std::result::Result<To, ConversionError<From>>;
