//! Parts for the bindings to other languages and for the command.
//!
//! No part of the API: it may change in any release.

use std::time::Duration;

use crate::api::engine::{Engine, WaitLimit};
use crate::api::group;
use crate::sys::fork;
use crate::types::thread::ThreadToken;
use crate::wait;
use crate::{
    ConversionError, Error, Guards, Lock, Member, RwLock, RwLockUpgradableReadGuard,
    RwLockWriteGuard, Semaphore, SemaphorePermit,
};

pub use crate::api::options::untyped::AnyOptions;
pub use crate::types::words::{Words, speak};

/// Handles of all primitives.
pub trait AnyHandle {
    /// Whether the kernel of this machine answers an attempt at once; a server may take its time.
    fn answers_at_once(&self) -> bool;
    /// Whether this thread took the lock of that file last, by any handle.
    fn is_this_threads(&self) -> bool;
}

impl AnyHandle for Lock {
    fn answers_at_once(&self) -> bool {
        self.handle().answers_at_once()
    }

    fn is_this_threads(&self) -> bool {
        self.handle().is_this_threads()
    }
}

impl AnyHandle for RwLock {
    fn answers_at_once(&self) -> bool {
        self.handle().answers_at_once()
    }

    fn is_this_threads(&self) -> bool {
        self.handle().is_this_threads()
    }
}

impl AnyHandle for Semaphore {
    fn answers_at_once(&self) -> bool {
        self.handle().answers_at_once()
    }

    fn is_this_threads(&self) -> bool {
        self.handle().is_this_threads()
    }
}

/// Returns a number that differs between a process and its forked children.
pub fn generation() -> u64 {
    fork::generation()
}

/// Returns the number of this thread, which no other thread of this process gets.
pub fn this_thread() -> u64 {
    ThreadToken::current().number()
}

/// Makes a single attempt that does not wait for a process that keeps the lock without using it
/// (`linger`). The flag is set if there was one, so that another attempt may be worth its time.
pub fn at_once<R>(attempt: impl FnOnce() -> R) -> (R, bool) {
    wait::without_pause(attempt)
}

/// Polls a wait for a thread that does nothing else until the wait is over.
pub fn standing_in<R>(poll: impl FnOnce() -> R) -> R {
    wait::standing_in(poll)
}

/// The failed attempt as the end of a wait that lasted that long.
#[must_use]
pub fn timed_out(error: Error, waited: Duration) -> Error {
    error.after_waiting(waited)
}

/// Becomes the writer as a task, as
/// [`upgrade_async`](RwLockUpgradableReadGuard::upgrade_async) does.
///
/// # Cancellation
///
/// Dropping the future ends the wait and puts the guard back, by that function.
///
/// # Errors
///
/// As `upgrade_async`.
pub async fn upgrade<E: Engine>(
    guard: RwLockUpgradableReadGuard<E>,
    put_back: impl FnOnce(RwLockUpgradableReadGuard<E>) + Send,
) -> Result<RwLockWriteGuard<E>, ConversionError<RwLockUpgradableReadGuard<E>>> {
    guard.upgrade_or(put_back).await
}

/// Takes that many permits as a task, as
/// [`acquire_many_async`](Semaphore::acquire_many_async) does, with any limit.
///
/// # Errors
///
/// As `acquire_many_async`.
pub async fn acquire_many<E: Engine>(
    semaphore: Semaphore<E>,
    count: u32,
    limit: WaitLimit,
) -> Result<SemaphorePermit<E>, Error> {
    let permits = semaphore.take_async(count, limit).await?;
    Ok(SemaphorePermit::from_raw(permits))
}

/// Takes all of the locks as a task, as [`lock_all_async`](crate::lock_all_async) does, with any limit.
///
/// # Errors
///
/// As `lock_all_async`.
pub fn lock_all<'a, E: Engine>(
    members: impl IntoIterator<Item = Member<'a, E>>,
    limit: WaitLimit,
) -> impl Future<Output = Result<Guards<E>, Error>> + Send + 'static {
    group::lock_all_within(members, limit)
}
