//! A readers-writer lock.
//!
//! Each way to hold it has a module: how it is acquired, and the guard. How one guard becomes another
//! is in `conversion`, and how the lock is opened in `open`.

mod guard;
mod open;
mod read;
mod upgradable;
mod write;

// The docs list methods in the order of these modules, and conversions come last.
mod conversion;

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::sync::Arc;

use crate::handle::{Handle, Opened};

pub use read::RwLockReadGuard;
pub use upgradable::RwLockUpgradableReadGuard;
pub use write::RwLockWriteGuard;

/// A readers-writer lock between processes, and between the threads of each.
///
/// It is named by a path. Any number of readers hold it beside each other; a writer holds it alone.
/// An *upgradable* reader is beside readers too, but there is one at a time, and it can become the
/// writer without anybody else writing in between.
///
/// No reader overtakes a writer that waits, in any process, and writers do not starve readers:
/// a reader that had to wait is overtaken by a bounded number of writers only. The kernel releases
/// what a process held that died (see "When the holder dies" of [`Lock`](crate::Lock)).
///
/// A `RwLock` is a handle: clones of it share one descriptor, and its readers share one kernel lock.
/// A [`Lock`](crate::Lock) at the same path keeps readers and writers out, but waits without keeping
/// readers from getting in before it. About forks, see there. Permits of a
/// [`Semaphore`](crate::Semaphore) at the same path keep readers and writers out, and the other way round.
///
/// It is not reentrant, but for one case: a thread that reads already gets in again at once. An
/// upgradable guard counts for that until its upgrade begins. Every other way in which a thread would
/// wait for itself is an error with [`is_deadlock`](crate::Error::is_deadlock).
///
/// # Platform-specific behaviour
///
/// With [`Protocol::Flock`](crate::Protocol::Flock), and on systems without
/// open-file-description locks, readers and writers come in the kernel's order: readers may
/// overtake a waiting writer of another process. With it and with
/// [`Protocol::Both`](crate::Protocol::Both) upgradable reading and downgrading are errors with
/// [`is_unsupported`](crate::Error::is_unsupported), because a `flock` can't be changed without
/// giving it up in between.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("cache.lock");
/// use lockfast::RwLock;
///
/// let cache = RwLock::open(&path)?;
/// {
///     let _one = cache.read()?;
///     let _other = cache.read()?;
///     assert!(cache.try_write().unwrap_err().is_contended());
/// }
/// let writer = cache.write()?;
/// let reader = writer.downgrade()?; // no other writer in between
/// # drop(reader);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RwLock {
    handle: Opened,
}

impl RwLock {
    /// The path of the lock file, absolute.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cache.lock");
    /// assert_eq!(lockfast::RwLock::open(&path)?.path(), path);
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
}

// A panic while the lock is held, or in a callback, leaves every handle usable.
impl UnwindSafe for RwLock {}
impl RefUnwindSafe for RwLock {}

impl fmt::Debug for RwLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}
