//! Several locks at once: all or none.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::api::lock::{Lock, LockGuard};
use crate::api::rwlock::{RwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};
use crate::api::semaphore::{Semaphore, SemaphorePermit};
use crate::types::error::{Cause, Error, Operation, Result};
use crate::types::wait_limit::WaitLimit;

/// One of several locks, and how it is to be taken.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = |name: &str| dir.path().join(name);
/// use lockfast::{Lock, Member, RwLock};
///
/// let (state, cache) = (Lock::open(path("state.lock"))?, RwLock::open(path("cache.lock"))?);
/// let guards = lockfast::lock_all([Member::Lock(&state), Member::Read(&cache)])?;
/// assert!(cache.try_write().is_err());
/// # drop(guards);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Member<'a> {
    /// To lock it.
    Lock(&'a Lock),
    /// To read, beside other readers.
    Read(&'a RwLock),
    /// To read, and perhaps to become the writer later.
    Upgradable(&'a RwLock),
    /// To write, alone.
    Write(&'a RwLock),
    /// To have one of its permits.
    Permit(&'a Semaphore),
}

/// The guard of one of several locks.
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
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "the lock is released when the guard is dropped, which is at once if it is not kept"]
pub enum MemberGuard {
    /// Of [`Member::Lock`].
    Lock(LockGuard),
    /// Of [`Member::Read`].
    Read(RwLockReadGuard),
    /// Of [`Member::Upgradable`].
    Upgradable(RwLockUpgradableReadGuard),
    /// Of [`Member::Write`].
    Write(RwLockWriteGuard),
    /// Of [`Member::Permit`].
    Permit(SemaphorePermit),
}

/// Several locks are held until this is dropped.
///
/// Dropping never panics; use [`release`](Self::release) to see errors.
#[must_use = "the locks are released when this is dropped, which is at once if it is not kept"]
pub struct Guards {
    /// In the order in which the members were given.
    guards: Vec<MemberGuard>,
}

/// Takes all of these locks, waiting as long as it takes; if one can't be had, none is held.
///
/// They are taken in one order, that of their paths, whatever order they are given in: two that
/// take the same locks this way never wait for each other. (Two *names* of one file, hard links,
/// are two paths: give each file one name.)
///
/// # Blocking
///
/// As [`Lock::lock`], for one after the other; those that come first in the order are held
/// meanwhile.
///
/// # Errors
///
/// As [`Lock::lock`] and [`RwLock::write`]. With [`is_deadlock`](crate::Error::is_deadlock) when one
/// lock is given twice, unless both times to read.
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
/// assert!(a.try_lock().is_err() && b.try_lock().is_err());
/// guards.release()?;
/// # Ok(())
/// # }
/// ```
pub fn lock_all<'a, M: Into<Member<'a>>>(members: impl IntoIterator<Item = M>) -> Result<Guards> {
    take_all(members, WaitLimit::Forever)
}

/// As [`lock_all`], without waiting.
///
/// # Errors
///
/// With [`is_contended`](crate::Error::is_contended) when one of them can't be had at once; the
/// error names it.
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
/// let guard = b.lock()?;
/// let error = lockfast::try_lock_all([&a, &b]).unwrap_err();
/// assert!(error.is_contended());
/// assert_eq!(error.path(), b.path());
/// assert!(a.try_lock().is_ok());
/// # drop(guard);
/// # Ok(())
/// # }
/// ```
pub fn try_lock_all<'a, M: Into<Member<'a>>>(
    members: impl IntoIterator<Item = M>,
) -> Result<Guards> {
    take_all(members, WaitLimit::None)
}

/// As [`lock_all`], waiting for at most that long for all of them together.
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
/// # let path = |name: &str| dir.path().join(name);
/// use lockfast::Lock;
/// use std::time::Duration;
///
/// let (a, b) = (Lock::open(path("a.lock"))?, Lock::open(path("b.lock"))?);
/// let guard = b.lock()?;
/// let error = lockfast::try_lock_all_for([&a, &b], Duration::from_millis(5)).unwrap_err();
/// assert!(error.is_timed_out());
/// # drop(guard);
/// # Ok(())
/// # }
/// ```
pub fn try_lock_all_for<'a, M: Into<Member<'a>>>(
    members: impl IntoIterator<Item = M>,
    timeout: Duration,
) -> Result<Guards> {
    take_all(members, WaitLimit::lasting(timeout))
}

/// As [`lock_all`], waiting until that instant at most.
///
/// # Errors
///
/// As [`try_lock_all_for`].
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = |name: &str| dir.path().join(name);
/// use lockfast::Lock;
/// use std::time::{Duration, Instant};
///
/// let (a, b) = (Lock::open(path("a.lock"))?, Lock::open(path("b.lock"))?);
/// let deadline = Instant::now() + Duration::from_secs(10);
/// let guards = lockfast::try_lock_all_until([&a, &b], deadline)?;
/// # drop(guards);
/// # Ok(())
/// # }
/// ```
pub fn try_lock_all_until<'a, M: Into<Member<'a>>>(
    members: impl IntoIterator<Item = M>,
    deadline: Instant,
) -> Result<Guards> {
    take_all(members, WaitLimit::Until(deadline))
}

/// As [`lock_all`], as a task, without blocking the thread that polls.
///
/// # Cancellation
///
/// Dropping the future ends the wait and releases those that were taken already.
///
/// # Errors
///
/// As [`lock_all`] and [`Lock::lock_async`].
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = |name: &str| dir.path().join(name);
/// # smol::block_on(async {
/// use lockfast::Lock;
///
/// let (a, b) = (Lock::open(path("a.lock"))?, Lock::open(path("b.lock"))?);
/// let guards = lockfast::lock_all_async([&b, &a]).await?;
/// assert!(a.try_lock().is_err() && b.try_lock().is_err());
/// # drop(guards);
/// # Ok(())
/// # })
/// # }
/// ```
pub fn lock_all_async<'a, M: Into<Member<'a>>>(
    members: impl IntoIterator<Item = M>,
) -> impl Future<Output = Result<Guards>> + Send {
    let members: Vec<Member<'a>> = members.into_iter().map(Into::into).collect();
    async move {
        let mut guards = Vec::with_capacity(members.len());
        for number in order(&members)? {
            guards.push((number, members[number].take_async().await?));
        }
        Ok(Guards::new(guards))
    }
}

impl<'a> From<&'a Lock> for Member<'a> {
    fn from(lock: &'a Lock) -> Self {
        Self::Lock(lock)
    }
}

impl Member<'_> {
    fn path(&self) -> &Path {
        match self {
            Self::Lock(lock) => lock.path(),
            Self::Read(lock) | Self::Upgradable(lock) | Self::Write(lock) => lock.path(),
            Self::Permit(semaphore) => semaphore.path(),
        }
    }

    /// May it be held beside the same again?
    fn shares(&self) -> bool {
        matches!(self, Self::Read(_))
    }

    fn take(&self, patience: WaitLimit) -> Result<MemberGuard> {
        match self {
            Self::Lock(lock) => lock.acquire(patience).map(MemberGuard::Lock),
            Self::Read(lock) => lock.read_with(patience).map(MemberGuard::Read),
            Self::Upgradable(lock) => lock.upgradable_with(patience).map(MemberGuard::Upgradable),
            Self::Write(lock) => lock.write_with(patience).map(MemberGuard::Write),
            Self::Permit(semaphore) => semaphore.acquire_by(1, patience).map(MemberGuard::Permit),
        }
    }

    async fn take_async(&self) -> Result<MemberGuard> {
        match self {
            Self::Lock(lock) => lock.lock_async().await.map(MemberGuard::Lock),
            Self::Read(lock) => lock.read_async().await.map(MemberGuard::Read),
            Self::Upgradable(lock) => {
                let guard = lock.upgradable_read_async().await;
                guard.map(MemberGuard::Upgradable)
            }
            Self::Write(lock) => lock.write_async().await.map(MemberGuard::Write),
            Self::Permit(semaphore) => semaphore.acquire_async().await.map(MemberGuard::Permit),
        }
    }
}

impl MemberGuard {
    /// Releases the lock and tells of errors.
    ///
    /// # Errors
    ///
    /// As [`LockGuard::release`].
    ///
    /// # Examples
    ///
    /// See [`MemberGuard`].
    pub fn release(self) -> Result<()> {
        match self {
            Self::Lock(guard) => guard.release(),
            Self::Read(guard) => guard.release(),
            Self::Upgradable(guard) => guard.release(),
            Self::Write(guard) => guard.release(),
            Self::Permit(permit) => permit.release(),
        }
    }
}

impl Guards {
    /// Of guards that were taken in some order, with the number that each was given in.
    fn new(mut guards: Vec<(usize, MemberGuard)>) -> Self {
        guards.sort_by_key(|(number, _)| *number);
        Self {
            guards: guards.into_iter().map(|(_, guard)| guard).collect(),
        }
    }

    /// Releases all of them and tells of the first error; the others are released nevertheless.
    ///
    /// # Errors
    ///
    /// As [`LockGuard::release`].
    ///
    /// # Examples
    ///
    /// See [`lock_all`].
    pub fn release(self) -> Result<()> {
        let released = self.guards.into_iter().map(MemberGuard::release);
        released.fold(Ok(()), Result::and)
    }

    /// The guards, in the order in which the locks were given.
    ///
    /// # Examples
    ///
    /// See [`MemberGuard`].
    pub fn into_guards(self) -> Vec<MemberGuard> {
        self.guards
    }
}

impl fmt::Debug for Guards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.guards).finish()
    }
}

fn take_all<'a, M: Into<Member<'a>>>(
    members: impl IntoIterator<Item = M>,
    patience: WaitLimit,
) -> Result<Guards> {
    let members: Vec<Member<'a>> = members.into_iter().map(Into::into).collect();
    let guards = order(&members)?
        .into_iter()
        .map(|number| Ok((number, members[number].take(patience)?)))
        .collect::<Result<_>>()?;
    Ok(Guards::new(guards))
}

/// In which order they are taken, if they can be taken together.
fn order(members: &[Member<'_>]) -> Result<Vec<usize>> {
    let mut order: Vec<_> = members
        .iter()
        .enumerate()
        .map(|(number, member)| (position(member.path()), number))
        .collect();
    order.sort();
    for pair in order.windows(2) {
        let (one, other) = (members[pair[0].1], members[pair[1].1]);
        if pair[0].0 == pair[1].0 && !(one.shares() && other.shares()) {
            let why = "it is one of several locks twice, and would wait for itself";
            return Err(Error::new(
                one.path(),
                Operation::Lock,
                Cause::Deadlock(why),
            ));
        }
    }
    Ok(order.into_iter().map(|(_, number)| number).collect())
}

/// What a path is sorted by: the same for all ways to write it.
///
/// Paths decide, not files, as the file at a path may be replaced during a wait.
fn position(path: &Path) -> (PathBuf, OsString) {
    let parent = path.parent().unwrap_or(path);
    let parent = fs::canonicalize(parent).unwrap_or_else(|_| parent.to_path_buf());
    let name = path.file_name().unwrap_or_default().to_os_string();
    (parent, name)
}
