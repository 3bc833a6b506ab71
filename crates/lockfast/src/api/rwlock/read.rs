//! The lock held to read, together with other readers.

use std::time::{Duration, Instant};

use super::RwLock;
use crate::api::engine::{Engine, Files, RawHold, RawLock};
use crate::api::forms::wait_forms;
use crate::api::guard::every_guard;
use crate::protocol::plan::Mode;
use crate::types::error::Result;
use crate::types::resource::Resource;
use crate::types::wait_limit::WaitLimit;

/// Reads, together with other readers, until this is dropped.
///
/// It may be sent to another thread and dropped there. Dropping never panics; use
/// [`release`](Self::release) to see errors.
#[must_use = "the lock is released when the guard is dropped, which is at once if it is not kept"]
pub struct RwLockReadGuard<E: Engine = Files> {
    pub(super) hold: <E::Lock as RawLock>::Hold,
}

every_guard!(RwLockReadGuard, "lockfast::RwLock::open(&path)?", "read");

impl<E: Engine> RwLock<E> {
    wait_forms! {
        RwLockReadGuard, Mode::Read, ();
        examples: "let cache = lockfast::RwLock::open(&path)?;", "cache", "", "", "cache.write()";
        /// Takes the lock to read, together with other readers.
        ///
        /// # Blocking
        ///
        /// Waits while somebody writes, or waits to write. A thread that reads already gets in at once.
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
        read;
        /// Takes the lock to read, without waiting.
        try_read;
        /// # Platform-specific behaviour
        ///
        /// As [`Lock::try_lock_for`](crate::Lock::try_lock_for).
        try_read_for, try_read_until;
        /// See [`Lock::lock_async`](crate::Lock::lock_async) for the work of a poll, the cost of a wait and its
        /// threads.
        read_async, read_async_for, read_async_until;
    }
}
