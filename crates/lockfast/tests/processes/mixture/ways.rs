//! Every way to take each primitive.

use std::time::Duration;

use lockfast::{
    Lock, LockGuard, ReentrantLock, Result, RwLock, RwLockReadGuard, RwLockUpgradableReadGuard,
    RwLockWriteGuard, Semaphore, SemaphorePermit,
};

use lockfast_testing::Speaker;

use crate::actor::parse;

/// An open handle.
#[derive(Clone)]
pub(crate) enum Primitive {
    Lock(Lock),
    Reentrant(ReentrantLock),
    /// With the information whether it can be upgraded, which `flock` can't.
    RwLock(RwLock, bool),
    Semaphore(Semaphore),
}

/// A limit of the wait.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    None,
    Zero,
    For(Duration),
}

/// The kind of access to take.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Role {
    Alone,
    Reader,
    Upgradable,
    Permits(u32),
}

/// A guard that may change threads.
pub(crate) enum Held {
    Lock(LockGuard),
    Read(RwLockReadGuard),
    Upgradable(RwLockUpgradableReadGuard),
    Write(RwLockWriteGuard),
    Permits(SemaphorePermit),
}

impl Primitive {
    /// `lock`, `reentrant`, `rwlock`, `readers` (never upgraded) or `permits`, of which there are `limit`.
    pub(crate) fn open(
        kind: &str,
        path: &str,
        limit: u64,
        options: &[&str],
        to: &Speaker,
    ) -> std::result::Result<Self, Box<dyn std::error::Error>> {
        Ok(match kind {
            "lock" => Self::Lock(parse::<Lock>(options, to).open(path)?),
            "reentrant" => Self::Reentrant(parse::<ReentrantLock>(options, to).open(path)?),
            "rwlock" | "readers" => {
                Self::RwLock(parse::<RwLock>(options, to).open(path)?, kind == "rwlock")
            }
            "permits" => {
                let options = parse::<Semaphore>(options, to);
                Self::Semaphore(options.open(path, u32::try_from(limit)?)?)
            }
            _ => return Err(format!("no such primitive: {kind}").into()),
        })
    }

    pub(crate) fn take(&self, role: Role, limit: Limit) -> Result<Held> {
        match (self, role) {
            (Self::RwLock(lock, _), Role::Reader) => Ok(Held::Read(match limit {
                Limit::None => lock.read()?,
                Limit::Zero => lock.try_read()?,
                Limit::For(time) => lock.try_read_for(time)?,
            })),
            (Self::RwLock(lock, _), Role::Upgradable) => Ok(Held::Upgradable(match limit {
                Limit::None => lock.upgradable_read()?,
                Limit::Zero => lock.try_upgradable_read()?,
                Limit::For(time) => lock.try_upgradable_read_for(time)?,
            })),
            (Self::RwLock(lock, _), _) => Ok(Held::Write(match limit {
                Limit::None => lock.write()?,
                Limit::Zero => lock.try_write()?,
                Limit::For(time) => lock.try_write_for(time)?,
            })),
            (Self::Semaphore(pool), Role::Permits(count)) => Ok(Held::Permits(match limit {
                Limit::None => pool.acquire_many(count)?,
                Limit::Zero => pool.try_acquire_many(count)?,
                Limit::For(time) => pool.try_acquire_many_for(count, time)?,
            })),
            (Self::Lock(lock), _) => Ok(Held::Lock(match limit {
                Limit::None => lock.lock()?,
                Limit::Zero => lock.try_lock()?,
                Limit::For(time) => lock.try_lock_for(time)?,
            })),
            (Self::Reentrant(_) | Self::Semaphore(_), _) => {
                panic!("this primitive is taken otherwise")
            }
        }
    }

    pub(crate) async fn take_async(&self, role: Role) -> Result<Held> {
        Ok(match (self, role) {
            (Self::RwLock(lock, _), Role::Reader) => Held::Read(lock.read_async().await?),
            (Self::RwLock(lock, _), Role::Upgradable) => {
                Held::Upgradable(lock.upgradable_read_async().await?)
            }
            (Self::RwLock(lock, _), _) => Held::Write(lock.write_async().await?),
            (Self::Semaphore(pool), Role::Permits(count)) => {
                Held::Permits(pool.acquire_many_async(count).await?)
            }
            (Self::Lock(lock), _) => Held::Lock(lock.lock_async().await?),
            (Self::Reentrant(_) | Self::Semaphore(_), _) => {
                panic!("this primitive is taken otherwise")
            }
        })
    }
}

impl Held {
    /// Tells deadlock detection that this thread no longer owns the guard.
    pub(crate) fn hand_over(&mut self) {
        match self {
            Self::Lock(guard) => guard.hand_over(),
            Self::Read(guard) => guard.hand_over(),
            Self::Upgradable(guard) => guard.hand_over(),
            Self::Write(guard) => guard.hand_over(),
            // No thread owns a permit.
            Self::Permits(_) => {}
        }
    }

    pub(crate) fn release(self) -> Result<()> {
        match self {
            Self::Lock(guard) => guard.release(),
            Self::Read(guard) => guard.release(),
            Self::Upgradable(guard) => guard.release(),
            Self::Write(guard) => guard.release(),
            Self::Permits(permit) => permit.release(),
        }
    }
}
