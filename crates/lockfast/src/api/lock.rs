//! An exclusive lock.

use std::fmt;
use std::fs::File;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::options::Options;
use crate::file::owner::{Entry, Owner};
use crate::handle::hold::Hold;
use crate::handle::{Handle, Opened};
use crate::protocol::plan::Mode;
use crate::types::error::Result;
use crate::types::wait_limit::WaitLimit;

/// An exclusive lock between processes, and between the threads of each.
///
/// It is named by a path. While it is held, everybody else who locks the same path is kept out, in any
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
#[derive(Clone)]
pub struct Lock {
    handle: Opened,
}

/// The lock is held until this is dropped.
///
/// It may be sent to another thread and dropped there. Dropping never panics; use
/// [`release`](Self::release) to see errors.
#[must_use = "the lock is released when the guard is dropped, which is at once if it is not kept"]
pub struct LockGuard {
    hold: Hold,
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

    /// Everything that can be chosen before the lock is opened.
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

    /// Takes the lock, waiting as long as it takes.
    ///
    /// # Blocking
    ///
    /// The thread sleeps in the kernel's queue, or behind the threads of this process that came
    /// earlier. A signal that the program handles does not end the wait.
    ///
    /// # Errors
    ///
    /// When the kernel refuses ([`is_unsupported`](crate::Error::is_unsupported) on a file system
    /// without locks), when a stale file can't be opened again, or when a callback of the
    /// [`Options`] gives up. With [`is_deadlock`](crate::Error::is_deadlock) when this thread holds
    /// it already, by this handle or another one of this file, and has not
    /// [handed the guard over](LockGuard::hand_over); but not with a
    /// [`wait_interval`](Options::wait_interval), as the callback may end the wait.
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
    #[inline]
    pub fn lock(&self) -> Result<LockGuard> {
        self.acquire(WaitLimit::Forever)
    }

    /// Takes the lock if it is free.
    ///
    /// # Errors
    ///
    /// With [`is_contended`](crate::Error::is_contended) when somebody holds it, or a thread of
    /// this process waits for it; otherwise as [`lock`](Self::lock).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// let lock = lockfast::Lock::open(&path)?;
    /// let guard = lock.try_lock()?;
    /// assert!(lock.try_lock().unwrap_err().is_contended());
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_lock(&self) -> Result<LockGuard> {
        self.acquire(WaitLimit::None)
    }

    /// Takes the lock, waiting for at most that long.
    ///
    /// # Blocking
    ///
    /// As [`lock`](Self::lock); the deadline is met within about a millisecond. A wait that timed
    /// out leaves nothing behind: no thread, no descriptor, no place in a queue.
    ///
    /// # Errors
    ///
    /// With [`is_timed_out`](crate::Error::is_timed_out) when the time has passed; otherwise as
    /// [`lock`](Self::lock). One attempt is made even if the time-out is zero.
    ///
    /// # Platform-specific behaviour
    ///
    /// On Linux the wait is ended by a real-time signal that the program does not use (see
    /// PLATFORM.md), on Windows by cancelling the request. Elsewhere, and in a program that handles all
    /// real-time signals itself, the lock is asked for at least every 10 ms instead of sleeping in the
    /// kernel's queue.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// use std::time::Duration;
    ///
    /// let lock = lockfast::Lock::open(&path)?;
    /// let guard = lock.try_lock_for(Duration::from_secs(10))?;
    /// let error = lock.try_lock_for(Duration::from_millis(5)).unwrap_err();
    /// assert!(error.is_timed_out());
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_lock_for(&self, timeout: Duration) -> Result<LockGuard> {
        self.acquire(WaitLimit::lasting(timeout))
    }

    /// Takes the lock, waiting until that instant at most.
    ///
    /// # Blocking
    ///
    /// As [`try_lock_for`](Self::try_lock_for).
    ///
    /// # Errors
    ///
    /// As [`try_lock_for`](Self::try_lock_for).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let (one, other) = (dir.path().join("one.lock"), dir.path().join("other.lock"));
    /// use std::time::{Duration, Instant};
    ///
    /// // One deadline for two locks.
    /// let deadline = Instant::now() + Duration::from_secs(10);
    /// let one = lockfast::Lock::open(&one)?.try_lock_until(deadline)?;
    /// let other = lockfast::Lock::open(&other)?.try_lock_until(deadline)?;
    /// # drop((one, other));
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_lock_until(&self, deadline: Instant) -> Result<LockGuard> {
        self.acquire(WaitLimit::Until(deadline))
    }

    /// Takes the lock as a task, waiting as long as it takes, without blocking the thread that polls.
    ///
    /// The future needs no runtime of a certain kind, is `Send` and borrows nothing. Nothing happens
    /// before it is polled. The guard is the same as that of [`lock`](Self::lock), and may be held
    /// across `.await`.
    ///
    /// # Blocking
    ///
    /// A poll makes a few system calls of microseconds. When the lock is held by another handle or
    /// process, a helper thread waits in the kernel's queue; of many tasks that wait for one handle
    /// only the first has one, and the others wait without a thread. Of many handles of one file, 16 have
    /// one at a time. A process can have 8,192 helper threads; each takes about 20 KiB of memory.
    ///
    /// # Cancellation
    ///
    /// Dropping the future ends the wait: when the drop is over, no thread waits, no place in a queue
    /// is taken and the lock is not held. The drop takes some ten microseconds if a helper thread is in
    /// the kernel's queue.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock), but a task that waits for itself is not found out: it may be polled by
    /// any thread. When there is no thread to be had. [`on_wait`](Options::on_wait) is called once, by
    /// the thread that polls, and never again at an interval.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// # smol::block_on(async {
    /// let lock = lockfast::Lock::open(&path)?;
    /// let guard = lock.lock_async().await?;
    /// assert!(lock.try_lock().unwrap_err().is_contended());
    /// # drop(guard);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn lock_async(&self) -> impl Future<Output = Result<LockGuard>> + Send + use<> {
        let handle = Arc::clone(&self.handle);
        async move {
            let hold = handle.acquire_async(Mode::Exclusive).await?;
            Ok(LockGuard { hold })
        }
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
        self.handle.path()
    }

    pub(crate) fn handle(&self) -> &Arc<Handle> {
        &self.handle
    }

    pub(crate) fn from_handle(handle: Arc<Handle>) -> Self {
        Self {
            handle: Opened::new(handle),
        }
    }

    #[cfg(feature = "macros")]
    pub(crate) async fn lock_until_as_task(&self, deadline: Instant) -> Result<LockGuard> {
        let hold = self.handle.acquire_async_until(Mode::Exclusive, deadline);
        Ok(LockGuard { hold: hold.await? })
    }

    #[inline]
    pub(crate) fn acquire(&self, patience: WaitLimit) -> Result<LockGuard> {
        let hold = self.handle.acquire(Mode::Exclusive, patience)?;
        Ok(LockGuard { hold })
    }
}

// A panic while the lock is held, or in a callback, leaves every handle usable.
impl UnwindSafe for Lock {}
impl RefUnwindSafe for Lock {}
impl UnwindSafe for LockGuard {}
impl RefUnwindSafe for LockGuard {}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

impl LockGuard {
    /// Releases the lock and tells of errors.
    ///
    /// # Errors
    ///
    /// When the kernel could not release it, in which case its descriptor is closed, which releases
    /// it too; when the program has closed the descriptor, which released the lock before; or when the
    /// file could not be removed (see [`remove_on_release`](Options::remove_on_release)). The lock is
    /// not held any more in any case.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// let guard = lockfast::Lock::open(&path)?.lock()?;
    /// guard.release()?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn release(mut self) -> Result<()> {
        self.hold.release()
    }

    /// The path of the lock file, absolute.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// let guard = lockfast::Lock::open(&path)?.lock()?;
    /// assert_eq!(guard.path(), path);
    /// # Ok(())
    /// # }
    /// ```
    pub fn path(&self) -> &Path {
        self.hold.path()
    }

    /// The file that is locked, to read or change its content.
    ///
    /// A duplicate of it (`try_clone`) keeps the lock's description open, but releasing the guard
    /// releases the lock nevertheless. In a forked child the descriptor leads to nothing: reading
    /// and writing fail.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("state");
    /// use std::io::Write;
    ///
    /// let guard = lockfast::Lock::open(&path)?.lock()?;
    /// guard.file().set_len(0)?;
    /// guard.file().write_all(b"changed under the lock")?;
    /// # drop(guard);
    /// # assert_eq!(std::fs::read(&path)?, b"changed under the lock");
    /// # Ok(())
    /// # }
    /// ```
    pub fn file(&self) -> &File {
        self.hold.file()
    }

    /// Says that another thread holds the lock from now on.
    ///
    /// Without that, a `lock` by the thread that took it is reported as a deadlock, because it would
    /// wait for itself. Nothing else depends on it: a guard may be sent and dropped anywhere.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// let lock = lockfast::Lock::open(&path)?;
    /// let mut guard = lock.lock()?;
    /// assert!(lock.lock().unwrap_err().is_deadlock());
    ///
    /// guard.hand_over();
    /// let worker = std::thread::spawn(move || drop(guard));
    /// lock.lock()?.release()?; // waits for the worker
    /// # worker.join().unwrap();
    /// # Ok(())
    /// # }
    /// ```
    pub fn hand_over(&mut self) {
        self.hold.disown();
    }

    /// Is the locked file still the one at the path?
    ///
    /// `false` means that somebody deleted, replaced or renamed it while it was locked: whoever
    /// comes now locks another file, and this guard does not exclude them. Nothing can prevent
    /// that; a program whose lock directory is cleaned by others can ask before it commits. It is also
    /// `false` when this program has closed or replaced the descriptor of the lock file, which
    /// released the lock.
    ///
    /// # Errors
    ///
    /// When the path can't be looked up.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// let guard = lockfast::Lock::open(&path)?.lock()?;
    /// assert!(guard.is_current()?);
    /// # #[cfg(unix)] {
    /// std::fs::remove_file(&path)?;
    /// assert!(!guard.is_current()?);
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_current(&self) -> Result<bool> {
        self.hold.is_current()
    }

    /// The fencing token of this hold: greater by one than that of the hold before, and never given
    /// again; none without [`owner_record`](crate::Options::owner_record).
    ///
    /// A store that remembers the greatest token it has seen, and refuses smaller ones, is safe from a
    /// holder that was stopped, lost the lock, and goes on later.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// let lock = lockfast::Lock::options().owner_record(true).open(&path)?;
    /// let first = lock.lock()?.token();
    /// let second = lock.lock()?.token();
    /// assert_eq!((first, second), (Some(1), Some(2)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn token(&self) -> Option<u64> {
        self.hold.entry().map(Entry::token)
    }

    /// Whoever held it before, if it died while it held it, or let its guard be forgotten; needs
    /// [`owner_record`](crate::Options::owner_record).
    ///
    /// What the lock protects may then be half changed.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// let lock = lockfast::Lock::options().owner_record(true).open(&path)?;
    /// let guard = lock.lock()?;
    /// if let Some(owner) = guard.abandoned() {
    ///     eprintln!("pid {} died while it held the lock, since {:?}", owner.pid(), owner.since());
    ///     // ... repair what it left ...
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn abandoned(&self) -> Option<&Owner> {
        self.hold.entry().and_then(Entry::abandoned)
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockGuard")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

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
