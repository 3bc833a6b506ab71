//! The guards of locks that were taken together.

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::slice;
use std::time::Duration;
use std::vec;

use crate::api::engine::{Engine, Files, HoldState, RawLock};
use crate::api::lock::LockGuard;
use crate::api::lost::{BoxedLost, lost_methods};
use crate::api::rwlock::{RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};
use crate::api::semaphore::SemaphorePermit;
use crate::protocol::plan::Mode;
use crate::types::error::Result;
use crate::types::resource::Resource;

/// The guard of a lock that was taken together with others.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = |name: &str| dir.path().join(name);
/// use lockfast::{Lock, MemberGuard};
///
/// let (a, b) = (Lock::open(path("a.lock"))?, Lock::open(path("b.lock"))?);
/// for guard in lockfast::lock_all([&a, &b])?.into_guards() {
///     assert!(matches!(guard, MemberGuard::Lock(_)));
/// }
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
#[must_use = "the lock is released when the guard is dropped, which is at once if it is not kept"]
pub enum MemberGuard<E: Engine = Files> {
    /// Of [`Member::Lock`](crate::Member::Lock).
    Lock(LockGuard<E>),
    /// Of [`Member::Read`](crate::Member::Read).
    Read(RwLockReadGuard<E>),
    /// Of [`Member::Upgradable`](crate::Member::Upgradable).
    Upgradable(RwLockUpgradableReadGuard<E>),
    /// Of [`Member::Write`](crate::Member::Write).
    Write(RwLockWriteGuard<E>),
    /// Of [`Member::Permit`](crate::Member::Permit) and [`Member::Permits`](crate::Member::Permits).
    Permit(SemaphorePermit<E>),
}

/// Several locks are held until this is dropped.
///
/// Dropping never panics; use [`release`](Self::release) to see errors.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = |name: &str| dir.path().join(name);
/// use lockfast::Lock;
///
/// let (a, b) = (Lock::open(path("a.lock"))?, Lock::open(path("b.lock"))?);
/// let guards = lockfast::lock_all([&b, &a])?;
/// assert_eq!((guards.len(), guards.is_empty()), (2, false));
/// for (guard, lock) in guards.iter().zip([&b, &a]) {
///     assert_eq!((guard.path(), guard.resource()), (lock.path(), lock.resource()));
///     assert!(guard.is_current()? && guard.file().metadata()?.is_file());
///     assert_eq!(guard.token(), None); // there is no owner record
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "the locks are released when this is dropped, which is at once if it is not kept"]
pub struct Guards<E: Engine = Files> {
    /// In the order in which the members were given.
    guards: Vec<MemberGuard<E>>,
}

/// Calls the method of the guard, whichever it is.
macro_rules! every_member {
    ($member:expr, $method:ident) => {
        match $member {
            Self::Lock(guard) => guard.$method(),
            Self::Read(guard) => guard.$method(),
            Self::Upgradable(guard) => guard.$method(),
            Self::Write(guard) => guard.$method(),
            Self::Permit(permit) => permit.$method(),
        }
    };
}

impl<E: Engine> MemberGuard<E> {
    /// Returns the guard of an `RwLock` that is held in this mode.
    pub(super) fn of(hold: <E::Lock as RawLock>::Hold, mode: Mode) -> Self {
        match mode {
            Mode::Read => Self::Read(RwLockReadGuard::from_raw(hold)),
            Mode::Upgradable => Self::Upgradable(RwLockUpgradableReadGuard::from_raw(hold)),
            Mode::Write | Mode::Exclusive => Self::Write(RwLockWriteGuard::from_raw(hold)),
        }
    }

    /// Releases the lock and reports errors.
    ///
    /// # Errors
    ///
    /// As [`LockGuard::release`].
    ///
    /// # Examples
    ///
    /// See [`MemberGuard`].
    pub fn release(self) -> Result<()> {
        every_member!(self, release)
    }

    /// The lock that is held: a file, or a name in its engine.
    ///
    /// # Examples
    ///
    /// See [`Guards`].
    pub fn resource(&self) -> Resource {
        every_member!(self, resource)
    }

    /// The fencing token of this hold; see [`LockGuard::token`].
    ///
    /// # Examples
    ///
    /// See [`Guards`].
    pub fn token(&self) -> Option<u64> {
        every_member!(self, token)
    }

    /// The epoch of the token; see [`LockGuard::epoch`].
    pub fn epoch(&self) -> u64 {
        every_member!(self, epoch)
    }

    /// Whether the lock is still held, as far as this process knows; see [`LockGuard::state`].
    pub fn state(&self) -> HoldState {
        every_member!(self, state)
    }

    /// The time until the engine may give the lock to others; see [`LockGuard::lease_left`].
    pub fn lease_left(&self) -> Option<Duration> {
        every_member!(self, lease_left)
    }

    /// Completes when the lock is lost, or not confirmed in time; see [`LockGuard::lost`].
    pub fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        let lost: BoxedLost = match self {
            Self::Lock(guard) => Box::pin(guard.lost()),
            Self::Read(guard) => Box::pin(guard.lost()),
            Self::Upgradable(guard) => Box::pin(guard.lost()),
            Self::Write(guard) => Box::pin(guard.lost()),
            Self::Permit(permit) => Box::pin(permit.lost()),
        };
        lost
    }
}

lost_methods!(
    MemberGuard,
    "lockfast::lock_all([&lockfast::Lock::open(&path)?])?.into_guards().pop().ok_or_else(|| path.display().to_string())"
);

impl MemberGuard {
    /// The path of the lock file, absolute.
    ///
    /// # Examples
    ///
    /// See [`Guards`].
    pub fn path(&self) -> &Path {
        every_member!(self, path)
    }

    /// The file that is locked; see [`LockGuard::file`].
    ///
    /// # Examples
    ///
    /// See [`Guards`].
    pub fn file(&self) -> &File {
        every_member!(self, file)
    }

    /// Whether the locked file is still the one at the path; see [`LockGuard::is_current`].
    ///
    /// # Errors
    ///
    /// When the path can't be looked up.
    ///
    /// # Examples
    ///
    /// See [`Guards`].
    pub fn is_current(&self) -> Result<bool> {
        every_member!(self, is_current)
    }
}

impl<E: Engine> Guards<E> {
    /// Restores the order in which the members were given, from guards with the numbers of their members.
    pub(super) fn new(mut guards: Vec<(usize, MemberGuard<E>)>) -> Self {
        // They were taken in the order of their resources. Users get them in the order in which they passed
        // the members.
        guards.sort_by_key(|(number, _)| *number);
        Self {
            guards: guards.into_iter().map(|(_, guard)| guard).collect(),
        }
    }

    /// Releases all of them and reports the first error; the others are released nevertheless.
    ///
    /// # Errors
    ///
    /// As [`LockGuard::release`].
    ///
    /// # Examples
    ///
    /// See [`lock_all`](crate::lock_all).
    pub fn release(self) -> Result<()> {
        let released = self.guards.into_iter().map(MemberGuard::release);
        // Each one is released, whatever became of those before. The first error is the one to report.
        released.fold(Ok(()), Result::and)
    }

    /// Returns the guards, in the order in which the locks were given.
    ///
    /// # Examples
    ///
    /// See [`MemberGuard`].
    pub fn into_guards(self) -> Vec<MemberGuard<E>> {
        self.guards
    }

    /// Iterates over the guards, in the order in which the locks were given.
    ///
    /// # Examples
    ///
    /// See [`Guards`].
    pub fn iter(&self) -> slice::Iter<'_, MemberGuard<E>> {
        self.guards.iter()
    }

    /// The number of guards.
    ///
    /// # Examples
    ///
    /// See [`Guards`].
    pub fn len(&self) -> usize {
        self.guards.len()
    }

    /// Whether no lock was given.
    ///
    /// # Examples
    ///
    /// See [`Guards`].
    pub fn is_empty(&self) -> bool {
        self.guards.is_empty()
    }
}

impl<E: Engine> IntoIterator for Guards<E> {
    type Item = MemberGuard<E>;
    type IntoIter = vec::IntoIter<MemberGuard<E>>;

    fn into_iter(self) -> Self::IntoIter {
        self.guards.into_iter()
    }
}

impl<'a, E: Engine> IntoIterator for &'a Guards<E> {
    type Item = &'a MemberGuard<E>;
    type IntoIter = slice::Iter<'a, MemberGuard<E>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<E: Engine> fmt::Debug for MemberGuard<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, guard): (_, &dyn fmt::Debug) = match self {
            Self::Lock(guard) => ("Lock", guard),
            Self::Read(guard) => ("Read", guard),
            Self::Upgradable(guard) => ("Upgradable", guard),
            Self::Write(guard) => ("Write", guard),
            Self::Permit(permit) => ("Permit", permit),
        };
        f.debug_tuple(name).field(guard).finish()
    }
}

impl<E: Engine> fmt::Debug for Guards<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.guards).finish()
    }
}
