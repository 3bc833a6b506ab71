//! Several locks at once: all or none.

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::slice;
use std::time::{Duration, Instant};
use std::vec;

use crate::api::engine::{Engine, Files, HoldState, RawLock};
use crate::api::lock::{Lock, LockGuard};
use crate::api::lost::{BoxedLost, lost_methods};
use crate::api::rwlock::{RwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};
use crate::api::semaphore::{Semaphore, SemaphorePermit};
use crate::protocol::plan::Mode;
use crate::types::error::{Cause, Error, Operation, Result};
use crate::types::resource::Resource;
use crate::types::wait_limit::WaitLimit;

/// A lock among several that are taken together, and the mode to take it in.
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
#[non_exhaustive]
pub enum Member<'a, E: Engine = Files> {
    /// Lock it.
    Lock(&'a Lock<E>),
    /// Read, together with other readers.
    Read(&'a RwLock<E>),
    /// Read, and perhaps become the writer later.
    Upgradable(&'a RwLock<E>),
    /// Write, alone.
    Write(&'a RwLock<E>),
    /// Acquire one permit.
    Permit(&'a Semaphore<E>),
    /// Acquire that many permits.
    Permits(&'a Semaphore<E>, u32),
}

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
    /// Of [`Member::Lock`].
    Lock(LockGuard<E>),
    /// Of [`Member::Read`].
    Read(RwLockReadGuard<E>),
    /// Of [`Member::Upgradable`].
    Upgradable(RwLockUpgradableReadGuard<E>),
    /// Of [`Member::Write`].
    Write(RwLockWriteGuard<E>),
    /// Of [`Member::Permit`] and [`Member::Permits`].
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

/// Takes all of these locks, waiting as long as it takes; if one can't be had, none is held.
///
/// They are taken in the order of their paths or names, whatever order they are given in: two callers that
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
pub fn lock_all<'a, E: Engine, M: Into<Member<'a, E>>>(
    members: impl IntoIterator<Item = M>,
) -> Result<Guards<E>> {
    take_all(&owned(members), WaitLimit::Forever)
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
pub fn try_lock_all<'a, E: Engine, M: Into<Member<'a, E>>>(
    members: impl IntoIterator<Item = M>,
) -> Result<Guards<E>> {
    take_all(&owned(members), WaitLimit::None)
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
pub fn try_lock_all_for<'a, E: Engine, M: Into<Member<'a, E>>>(
    members: impl IntoIterator<Item = M>,
    timeout: Duration,
) -> Result<Guards<E>> {
    take_all(&owned(members), WaitLimit::lasting(timeout))
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
pub fn try_lock_all_until<'a, E: Engine, M: Into<Member<'a, E>>>(
    members: impl IntoIterator<Item = M>,
    deadline: Instant,
) -> Result<Guards<E>> {
    take_all(&owned(members), WaitLimit::Until(deadline))
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
pub fn lock_all_async<'a, E: Engine, M: Into<Member<'a, E>>>(
    members: impl IntoIterator<Item = M>,
) -> impl Future<Output = Result<Guards<E>>> + Send + 'static {
    take_all_async(owned(members), WaitLimit::Forever)
}

/// As [`lock_all_async`], waiting for at most that long for all of them together.
///
/// The time begins now, not with the first poll.
///
/// # Cancellation
///
/// As [`lock_all_async`].
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
/// # smol::block_on(async {
/// use lockfast::Lock;
/// use std::time::Duration;
///
/// let (a, b) = (Lock::open(path("a.lock"))?, Lock::open(path("b.lock"))?);
/// let guard = b.lock()?;
/// let taken = lockfast::lock_all_async_for([&a, &b], Duration::from_millis(5)).await;
/// assert!(taken.unwrap_err().is_timed_out());
/// # drop(guard);
/// # Ok(())
/// # })
/// # }
/// ```
pub fn lock_all_async_for<'a, E: Engine, M: Into<Member<'a, E>>>(
    members: impl IntoIterator<Item = M>,
    timeout: Duration,
) -> impl Future<Output = Result<Guards<E>>> + Send + 'static {
    take_all_async(owned(members), WaitLimit::lasting(timeout))
}

/// As [`lock_all_async`], waiting until that instant at most.
///
/// # Cancellation
///
/// As [`lock_all_async`].
///
/// # Errors
///
/// As [`lock_all_async_for`].
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = |name: &str| dir.path().join(name);
/// # smol::block_on(async {
/// use lockfast::Lock;
/// use std::time::{Duration, Instant};
///
/// let (a, b) = (Lock::open(path("a.lock"))?, Lock::open(path("b.lock"))?);
/// let deadline = Instant::now() + Duration::from_secs(10);
/// let guards = lockfast::lock_all_async_until([&a, &b], deadline).await?;
/// # drop(guards);
/// # Ok(())
/// # })
/// # }
/// ```
pub fn lock_all_async_until<'a, E: Engine, M: Into<Member<'a, E>>>(
    members: impl IntoIterator<Item = M>,
    deadline: Instant,
) -> impl Future<Output = Result<Guards<E>>> + Send + 'static {
    take_all_async(owned(members), WaitLimit::Until(deadline))
}

impl<E: Engine> Clone for Member<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E: Engine> Copy for Member<'_, E> {}

impl<'a, E: Engine> From<&'a Lock<E>> for Member<'a, E> {
    fn from(lock: &'a Lock<E>) -> Self {
        Self::Lock(lock)
    }
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
    fn new(mut guards: Vec<(usize, MemberGuard<E>)>) -> Self {
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
    /// See [`lock_all`].
    pub fn release(self) -> Result<()> {
        let released = self.guards.into_iter().map(MemberGuard::release);
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

impl<E: Engine> fmt::Debug for Member<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, lock): (_, &dyn fmt::Debug) = match self {
            Self::Lock(lock) => ("Lock", lock),
            Self::Read(lock) => ("Read", lock),
            Self::Upgradable(lock) => ("Upgradable", lock),
            Self::Write(lock) => ("Write", lock),
            Self::Permit(semaphore) => ("Permit", semaphore),
            Self::Permits(semaphore, count) => {
                let mut debug = f.debug_tuple("Permits");
                return debug.field(semaphore).field(count).finish();
            }
        };
        f.debug_tuple(name).field(lock).finish()
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

/// A member with a handle of its own, because a future borrows nothing.
enum Owned<E: Engine> {
    Lock(Lock<E>),
    RwLock(RwLock<E>, Mode),
    Semaphore(Semaphore<E>, u32),
}

impl<E: Engine> Owned<E> {
    fn resource(&self) -> Resource {
        match self {
            Self::Lock(lock) => lock.resource(),
            Self::RwLock(lock, _) => lock.resource(),
            Self::Semaphore(semaphore, _) => semaphore.resource(),
        }
    }

    /// Whether the caller can hold it twice.
    fn shares(&self) -> bool {
        matches!(self, Self::RwLock(_, Mode::Read))
    }

    fn take(&self, limit: WaitLimit) -> Result<MemberGuard<E>> {
        Ok(match self {
            Self::Lock(lock) => {
                MemberGuard::Lock(LockGuard::new(lock.take(Mode::Exclusive, limit)?))
            }
            Self::RwLock(lock, mode) => MemberGuard::of(lock.take(*mode, limit)?, *mode),
            Self::Semaphore(semaphore, count) => {
                MemberGuard::Permit(SemaphorePermit::new(semaphore.take(*count, limit)?))
            }
        })
    }

    async fn take_async(&self, limit: WaitLimit) -> Result<MemberGuard<E>> {
        Ok(match self {
            Self::Lock(lock) => {
                let hold = lock.take_async(Mode::Exclusive, limit).await?;
                MemberGuard::Lock(LockGuard::new(hold))
            }
            Self::RwLock(lock, mode) => {
                MemberGuard::of(lock.take_async(*mode, limit).await?, *mode)
            }
            Self::Semaphore(semaphore, count) => {
                let permits = semaphore.take_async(*count, limit).await?;
                MemberGuard::Permit(SemaphorePermit::new(permits))
            }
        })
    }
}

impl<E: Engine> MemberGuard<E> {
    /// Returns the guard of an `RwLock` that is held in this mode.
    fn of(hold: <E::Lock as RawLock>::Hold, mode: Mode) -> Self {
        match mode {
            Mode::Read => Self::Read(RwLockReadGuard::new(hold)),
            Mode::Upgradable => Self::Upgradable(RwLockUpgradableReadGuard::new(hold)),
            Mode::Write | Mode::Exclusive => Self::Write(RwLockWriteGuard::new(hold)),
        }
    }
}

impl<'a, E: Engine> From<Member<'a, E>> for Owned<E> {
    fn from(member: Member<'a, E>) -> Self {
        match member {
            Member::Lock(lock) => Self::Lock(lock.clone()),
            Member::Read(lock) => Self::RwLock(lock.clone(), Mode::Read),
            Member::Upgradable(lock) => Self::RwLock(lock.clone(), Mode::Upgradable),
            Member::Write(lock) => Self::RwLock(lock.clone(), Mode::Write),
            Member::Permit(semaphore) => Self::Semaphore(semaphore.clone(), 1),
            Member::Permits(semaphore, count) => Self::Semaphore(semaphore.clone(), count),
        }
    }
}

fn owned<'a, E: Engine, M: Into<Member<'a, E>>>(
    members: impl IntoIterator<Item = M>,
) -> Vec<Owned<E>> {
    let members = members.into_iter().map(Into::into);
    members.map(Owned::from).collect()
}

fn take_all<E: Engine>(members: &[Owned<E>], limit: WaitLimit) -> Result<Guards<E>> {
    let guards = order(members)?
        .into_iter()
        .map(|number| Ok((number, members[number].take(limit)?)))
        .collect::<Result<_>>()?;
    Ok(Guards::new(guards))
}

async fn take_all_async<E: Engine>(members: Vec<Owned<E>>, limit: WaitLimit) -> Result<Guards<E>> {
    let mut guards = Vec::with_capacity(members.len());
    for number in order(&members)? {
        guards.push((number, members[number].take_async(limit).await?));
    }
    Ok(Guards::new(guards))
}

/// Returns the order in which the members are taken, if they can be taken together.
fn order<E: Engine>(members: &[Owned<E>]) -> Result<Vec<usize>> {
    let mut order: Vec<_> = members
        .iter()
        .enumerate()
        .map(|(number, member)| (member.resource().order_key(), number))
        .collect();
    order.sort();
    for pair in order.windows(2) {
        let (one, other) = (&members[pair[0].1], &members[pair[1].1]);
        if pair[0].0 == pair[1].0 && !(one.shares() && other.shares()) {
            let why = "it is one of several locks twice, and would wait for itself";
            return Err(Error::new(
                one.resource(),
                Operation::Lock,
                Cause::Deadlock(why),
            ));
        }
    }
    Ok(order.into_iter().map(|(_, number)| number).collect())
}
