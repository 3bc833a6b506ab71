//! The lock held by the reader that can become the writer.

use std::time::{Duration, Instant};

use super::RwLock;
use crate::api::engine::{Engine, Files, RawHold, RawLock};
use crate::api::forms::wait_forms;
use crate::api::guard::every_guard;
use crate::protocol::plan::Mode;
use crate::types::error::Result;
use crate::types::resource::Resource;
use crate::types::wait_limit::WaitLimit;

/// Reads, together with other readers, and can become the writer, until this is dropped.
///
/// There is one at a time.
///
/// It may be sent to another thread and dropped there. Dropping never panics; use
/// [`release`](Self::release) to see errors.
#[must_use = "the lock is released when the guard is dropped, which is at once if it is not kept"]
pub struct RwLockUpgradableReadGuard<E: Engine = Files> {
    pub(super) hold: <E::Lock as RawLock>::Hold,
}

every_guard!(
    RwLockUpgradableReadGuard,
    "lockfast::RwLock::open(&path)?",
    "upgradable_read"
);

impl<E: Engine> RwLock<E> {
    wait_forms! {
        RwLockUpgradableReadGuard, Mode::Upgradable, ();
        examples: "let cache = lockfast::RwLock::open(&path)?;", "cache", "", "", "cache.write()";
        /// Takes the lock to read, and perhaps to become the writer later.
        ///
        /// # Blocking
        ///
        /// Waits while somebody writes, waits to write, or is an upgradable reader. Other readers may hold the
        /// lock and come.
        ///
        /// The thread sleeps in the kernel's queue, or behind the threads of this process that came earlier.
        /// A signal that the program handles does not end the wait.
        ///
        /// # Errors
        ///
        /// When the kernel refuses ([`is_unsupported`](crate::Error::is_unsupported) on a file system without
        /// locks), when a stale file can't be opened again, or when a callback of the
        /// [`Options`](crate::Options) gives up. With [`is_deadlock`](crate::Error::is_deadlock) when this
        /// thread would wait for itself.
        /// With [`is_permission_denied`](crate::Error::is_permission_denied) when the file could be opened for
        /// reading only.
        /// With [`is_unsupported`](crate::Error::is_unsupported) where a lock can't be changed (see [`RwLock`]).
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
        upgradable_read;
        /// Takes the lock to read and perhaps to become the writer, without waiting.
        try_upgradable_read;
        /// # Platform-specific behaviour
        ///
        /// As [`Lock::try_lock_for`](crate::Lock::try_lock_for).
        try_upgradable_read_for, try_upgradable_read_until;
        /// See [`Lock::lock_async`](crate::Lock::lock_async) for the work of a poll, the cost of a wait and its
        /// threads.
        upgradable_read_async, upgradable_read_async_for, upgradable_read_async_until;
    }
}
