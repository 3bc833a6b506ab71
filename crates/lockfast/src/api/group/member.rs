//! The locks that are taken together.

use std::fmt;

use super::guards::MemberGuard;
use crate::api::engine::{Engine, Files};
use crate::api::lock::{Lock, LockGuard};
use crate::api::rwlock::RwLock;
use crate::api::semaphore::{Semaphore, SemaphorePermit};
use crate::protocol::plan::Mode;
use crate::types::error::Result;
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

/// A member with a handle of its own, because a future borrows nothing.
pub(super) enum Owned<E: Engine> {
    Lock(Lock<E>),
    RwLock(RwLock<E>, Mode),
    Semaphore(Semaphore<E>, u32),
}

impl<E: Engine> Owned<E> {
    pub(super) fn resource(&self) -> Resource {
        match self {
            Self::Lock(lock) => lock.resource(),
            Self::RwLock(lock, _) => lock.resource(),
            Self::Semaphore(semaphore, _) => semaphore.resource(),
        }
    }

    /// Whether the caller can hold it twice.
    pub(super) fn shares(&self) -> bool {
        // An upgradable reader does not, as there is one at a time.
        matches!(self, Self::RwLock(_, Mode::Read))
    }

    pub(super) fn take(&self, limit: WaitLimit) -> Result<MemberGuard<E>> {
        Ok(match self {
            Self::Lock(lock) => {
                MemberGuard::Lock(LockGuard::from_raw(lock.take(Mode::Exclusive, limit)?))
            }
            Self::RwLock(lock, mode) => MemberGuard::of(lock.take(*mode, limit)?, *mode),
            Self::Semaphore(semaphore, count) => {
                MemberGuard::Permit(SemaphorePermit::from_raw(semaphore.take(*count, limit)?))
            }
        })
    }

    pub(super) async fn take_async(&self, limit: WaitLimit) -> Result<MemberGuard<E>> {
        Ok(match self {
            Self::Lock(lock) => {
                let hold = lock.take_async(Mode::Exclusive, limit).await?;
                MemberGuard::Lock(LockGuard::from_raw(hold))
            }
            Self::RwLock(lock, mode) => {
                MemberGuard::of(lock.take_async(*mode, limit).await?, *mode)
            }
            Self::Semaphore(semaphore, count) => {
                let permits = semaphore.take_async(*count, limit).await?;
                MemberGuard::Permit(SemaphorePermit::from_raw(permits))
            }
        })
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
