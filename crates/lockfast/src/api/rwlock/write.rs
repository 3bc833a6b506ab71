//! The lock held to write, alone.

use std::time::{Duration, Instant};

use super::RwLock;
use crate::api::engine::{Engine, Files, RawHold, RawLock};
use crate::api::forms::wait_forms;
use crate::api::guard::{every_guard, exclusive_guard};
use crate::file::owner::Owner;
use crate::protocol::plan::Mode;
use crate::types::error::Result;
use crate::types::resource::Resource;
use crate::types::wait_limit::WaitLimit;

/// Writes, alone, until this is dropped.
///
/// It may be sent to another thread and dropped there. Dropping never panics; use
/// [`release`](Self::release) to see errors.
#[must_use = "the lock is released when the guard is dropped, which is at once if it is not kept"]
pub struct RwLockWriteGuard<E: Engine = Files> {
    pub(super) hold: <E::Lock as RawLock>::Hold,
}

every_guard!(RwLockWriteGuard, "lockfast::RwLock::open(&path)?", "write");
exclusive_guard!(RwLockWriteGuard);

impl RwLockWriteGuard {
    /// See [`command_support`](crate::api::command_support).
    pub(crate) fn end_record(&mut self) -> Result<()> {
        self.hold.end_record()
    }
}

impl<E: Engine> RwLock<E> {
    wait_forms! {
        RwLockWriteGuard, Mode::Write, ();
        examples: "let cache = lockfast::RwLock::open(&path)?;", "cache", "", "", "cache.write()";
        /// Takes the lock to write, alone.
        ///
        /// # Blocking
        ///
        /// Waits for the writer and the readers that hold it. Readers that come later wait for this writer.
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
        ///
        /// # Examples
        ///
        /// ```
        /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
        /// # let dir = tempfile::tempdir()?;
        /// # let path = dir.path().join("cache.lock");
        /// let cache = lockfast::RwLock::open(&path)?;
        /// let guard = cache.write()?;
        /// assert!(cache.try_write().unwrap_err().is_contended());
        /// # drop(guard);
        /// # Ok(())
        /// # }
        /// ```
        write;
        /// Takes the lock to write, without waiting.
        try_write;
        /// # Platform-specific behaviour
        ///
        /// As [`Lock::try_lock_for`](crate::Lock::try_lock_for).
        try_write_for, try_write_until;
        /// See [`Lock::lock_async`](crate::Lock::lock_async) for the work of a poll, the cost of a wait and its
        /// threads.
        write_async, write_async_for, write_async_until;
    }
}
