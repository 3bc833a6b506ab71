//! An exclusive lock.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::engine::{Capabilities, Engine, Files, RawHold, RawLock};
use crate::api::forms::wait_forms;
use crate::api::guard::{every_guard, exclusive_guard};
use crate::api::opening::{named, opening, over_raw_lock};
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

named!(Lock, "lockfast::Lock::open(&path)?");
opening! {
    Lock, "lock";
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
}
over_raw_lock!(Lock);

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
        /// locks), when a stale file can't be opened again, or when a callback of the [`Options`](crate::Options) gives up.
        /// With [`is_deadlock`](crate::Error::is_deadlock) when this thread holds the lock already, by this
        /// handle or another one of this file, and has not [handed the guard over](LockGuard::hand_over); but
        /// not with a [`wait_interval`](crate::Options::wait_interval), as the callback may end the wait.
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
        /// `.await`. [`on_wait`](crate::Options::on_wait) is called once, by the thread that polls.
        ///
        /// # Blocking
        ///
        /// A poll makes a few system calls of microseconds. When another handle or process holds the lock, a
        /// helper thread waits in the kernel's queue; of many tasks that wait for one handle only the first
        /// has one, and the others wait without a thread. Of many handles of one file, 16 have one at a time.
        /// A process can have 8,192 helper threads; each takes about 20 KiB of memory.
        lock_async, lock_async_for, lock_async_until;
    }
}

every_guard!(LockGuard, "lockfast::Lock::open(&path)?", "lock");
exclusive_guard!(LockGuard);

#[cfg(test)]
mod tests {
    use std::panic::{RefUnwindSafe, UnwindSafe};

    use super::*;

    #[test]
    fn handles_and_guards_go_anywhere() {
        fn goes_anywhere<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + 'static>() {}
        goes_anywhere::<Lock>();
        goes_anywhere::<LockGuard>();
    }
}
