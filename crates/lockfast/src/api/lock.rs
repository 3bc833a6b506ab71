//! An exclusive lock.

use std::fmt;
use std::fs::File;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::engine::{Capabilities, Engine, Files, RawHold, RawLock};
use crate::api::files::FileLock;
use crate::api::forms::wait_forms;
use crate::api::guard::{every_guard, exclusive_guard};
use crate::api::options::Options;
use crate::file::owner::Owner;
use crate::handle::Handle;
use crate::protocol::plan::Mode;
use crate::types::error::Result;
use crate::types::resource::Resource;
use crate::types::wait_limit::WaitLimit;

/// An exclusive lock between processes, and between the threads of each.
///
/// A path names it. While it is held, all other callers that lock the same path are kept out, in any
/// process, until the guard is dropped or the process of the holder ends. The kernel releases the lock
/// of a process that dies, however it dies, and the next one in the queue goes on.
///
/// # When the holder dies
///
/// The kernel cleans up a dead process before it releases its locks. That takes well under a
/// millisecond for a small process, 0.03 to 0.1 s for each GB of memory that it used, and as long as a
/// core dump takes to be written.
///
/// A `Lock` is a handle: clones of it share one descriptor, and threads that use them queue first
/// come, first served. Two handles that were opened separately keep each other out like two
/// processes. It is not reentrant: [`lock`](Self::lock) in a thread that holds it already is an
/// error with [`is_deadlock`](crate::Error::is_deadlock).
///
/// # Fork
///
/// In a forked child a copied handle works: it opens the file again. A copied guard holds nothing,
/// and dropping it there does nothing to the parent's lock. When the parent dies its lock is free
/// even while the child lives. A program that is executed inherits nothing.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("nightly.lock");
/// use lockfast::Lock;
///
/// let lock = Lock::open(&path)?;
/// let guard = lock.lock()?;
/// // Nobody else is here now.
/// guard.release()?;
/// # Ok(())
/// # }
/// ```
pub struct Lock<E: Engine = Files> {
    raw: E::Lock,
}

/// The lock is held until this is dropped.
///
/// It may be sent to another thread and dropped there. Dropping never panics; use
/// [`release`](Self::release) to see errors.
#[must_use = "the lock is released when the guard is dropped, which is at once if it is not kept"]
pub struct LockGuard<E: Engine = Files> {
    hold: <E::Lock as RawLock>::Hold,
}

impl Lock {
    /// Opens the lock at that path, creating the file and its directory if need be.
    ///
    /// Nothing is locked yet. The content of a file that exists is left alone.
    ///
    /// # Errors
    ///
    /// As [`Options::open`].
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let lock = lockfast::Lock::open(dir.path().join("jobs/nightly.lock"))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::options().open(path)
    }

    /// Opens the lock with that name, which the user's processes share.
    ///
    /// Its file is in a directory that only the user can enter; [`Scope`](crate::Scope) says where,
    /// and how to share a lock with the whole machine.
    ///
    /// # Errors
    ///
    /// As [`Options::open_named`], which also says what a name is.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), lockfast::Error> {
    /// use lockfast::Lock;
    ///
    /// let guard = Lock::named("lockfast-docs-backup")?.lock()?;
    /// assert!(Lock::named("lockfast-docs-backup")?.try_lock().unwrap_err().is_contended());
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    pub fn named(name: impl AsRef<str>) -> Result<Self> {
        Self::options().open_named(name)
    }

    /// Returns the builder that configures and opens a lock.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// let lock = lockfast::Lock::options().mode(0o600).open(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn options() -> Options<Self> {
        Options::new()
    }

    /// Locks a file that is already open, for example to change its content.
    ///
    /// The file must be open for writing. Its descriptor belongs to the lock from now on; the guard
    /// [lends it](LockGuard::file). The lock is on that file wherever it is: nothing checks that it
    /// is still at some path. Copies of the descriptor made before (`try_clone`, a fork) share the
    /// lock.
    ///
    /// # Errors
    ///
    /// When it is not a regular file. That it is not open for writing shows when it is locked.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("counter");
    /// use std::fs::OpenOptions;
    /// use std::io::{Read, Seek, Write};
    ///
    /// let file = OpenOptions::new()
    ///     .read(true).write(true).create(true).truncate(false)
    ///     .open(&path)?;
    /// let lock = lockfast::Lock::from_file(file)?;
    ///
    /// let guard = lock.lock()?;
    /// let mut file = guard.file();
    /// let mut text = String::new();
    /// file.read_to_string(&mut text)?;
    /// let count: u32 = text.parse().unwrap_or(0);
    /// file.rewind()?;
    /// write!(file, "{}", count + 1)?;
    /// # drop(guard);
    /// # assert_eq!(std::fs::read_to_string(&path)?, "1");
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_file(file: File) -> Result<Self> {
        Self::options().from_file(file)
    }

    /// The path of the lock file, absolute.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// assert_eq!(lockfast::Lock::open(&path)?.path(), path);
    /// # Ok(())
    /// # }
    /// ```
    pub fn path(&self) -> &Path {
        self.handle().path()
    }

    pub(crate) fn handle(&self) -> &Arc<Handle> {
        self.raw.handle()
    }

    pub(crate) fn from_handle(handle: Arc<Handle>) -> Self {
        Self::from_raw(FileLock::new(handle))
    }
}

impl<E: Engine> Lock<E> {
    wait_forms! {
        LockGuard, Mode::Exclusive, ();
        examples: "let lock = lockfast::Lock::open(&path)?;", "lock", "", "", "lock.lock()";
        /// Takes the lock, waiting as long as it takes.
        ///
        /// # Blocking
        ///
        /// The thread sleeps in the kernel's queue, or behind the threads of this process that came earlier.
        /// A signal that the program handles does not end the wait.
        ///
        /// # Errors
        ///
        /// When the kernel refuses ([`is_unsupported`](crate::Error::is_unsupported) on a file system without
        /// locks), when a stale file can't be opened again, or when a callback of the [`Options`] gives up.
        /// With [`is_deadlock`](crate::Error::is_deadlock) when this thread holds the lock already, by this
        /// handle or another one of this file, and has not [handed the guard over](LockGuard::hand_over); but
        /// not with a [`wait_interval`](Options::wait_interval), as the callback may end the wait.
        ///
        /// # Examples
        ///
        /// ```
        /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
        /// # let dir = tempfile::tempdir()?;
        /// # let path = dir.path().join("demo.lock");
        /// let lock = lockfast::Lock::open(&path)?;
        /// {
        ///     let _guard = lock.lock()?;
        ///     // Nobody else is here now.
        /// }
        /// assert!(lock.try_lock().is_ok());
        /// # Ok(())
        /// # }
        /// ```
        lock;
        /// Takes the lock if it is free and no thread of this process waits for it.
        try_lock;
        /// # Platform-specific behaviour
        ///
        /// On Linux the wait is ended by a real-time signal that the program does not use (see
        /// PLATFORM.md), on Windows by cancelling the request. Elsewhere, and in a program that handles all
        /// real-time signals itself, the lock is asked for at least every 10 ms instead of sleeping in the
        /// kernel's queue.
        try_lock_for, try_lock_until;
        /// The future needs no runtime of a certain kind, is `Send` and borrows nothing. Nothing happens
        /// before it is polled. The guard is the same as that of [`lock`](Self::lock), and may be held across
        /// `.await`. [`on_wait`](Options::on_wait) is called once, by the thread that polls.
        ///
        /// # Blocking
        ///
        /// A poll makes a few system calls of microseconds. When another handle or process holds the lock, a
        /// helper thread waits in the kernel's queue; of many tasks that wait for one handle only the first
        /// has one, and the others wait without a thread. Of many handles of one file, 16 have one at a time.
        /// A process can have 8,192 helper threads; each takes about 20 KiB of memory.
        lock_async, lock_async_for, lock_async_until;
    }

    /// The lock: a file, or a name in its engine.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// assert_eq!(lockfast::Lock::open(&path)?.resource().path(), Some(&*path));
    /// # Ok(())
    /// # }
    /// ```
    pub fn resource(&self) -> Resource {
        self.raw.resource()
    }

    /// The features that this lock has of those that not every [engine](crate::engine) has.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// assert!(!lockfast::Lock::open(&path)?.capabilities().lease);
    /// # Ok(())
    /// # }
    /// ```
    pub fn capabilities(&self) -> Capabilities {
        self.raw.capabilities()
    }

    /// Returns the lock that an engine has opened; for engines.
    #[doc(hidden)]
    pub fn from_raw(raw: E::Lock) -> Self {
        Self { raw }
    }

    /// Returns what the engine has opened; for engines.
    #[doc(hidden)]
    pub fn into_raw(self) -> E::Lock {
        self.raw
    }

    #[inline]
    pub(crate) fn take(&self, mode: Mode, limit: WaitLimit) -> Result<<E::Lock as RawLock>::Hold> {
        self.raw.acquire(mode, limit)
    }

    pub(crate) fn take_async(
        &self,
        mode: Mode,
        limit: WaitLimit,
    ) -> impl Future<Output = Result<<E::Lock as RawLock>::Hold>> + Send + use<E> {
        let raw = self.raw.clone();
        async move { raw.acquire_async(mode, limit).await }
    }
}

impl<E: Engine> Clone for Lock<E> {
    fn clone(&self) -> Self {
        Self::from_raw(self.raw.clone())
    }
}

// A panic while the lock is held, or in a callback, leaves every handle usable.
impl<E: Engine> UnwindSafe for Lock<E> {}
impl<E: Engine> RefUnwindSafe for Lock<E> {}

impl<E: Engine> fmt::Debug for Lock<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.resource().debug(f, "Lock").finish_non_exhaustive()
    }
}

every_guard!(LockGuard, "lockfast::Lock::open(&path)?", "lock");
exclusive_guard!(LockGuard);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_and_guards_go_anywhere() {
        fn goes_anywhere<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + 'static>() {}
        goes_anywhere::<Lock>();
        goes_anywhere::<LockGuard>();
    }
}
