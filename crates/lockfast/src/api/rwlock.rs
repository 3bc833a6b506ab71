//! A readers-writer lock.
//!
//! Each way to hold it has a module with its guard. Conversions of guards are in `conversion`.

mod read;
mod upgradable;
mod write;

// The docs list methods in the order of these modules, and conversions come last.
mod conversion;

use std::path::Path;
use std::sync::Arc;

use crate::api::engine::{Capabilities, Engine, Files, RawLock};
use crate::api::opening::{named, opening, over_raw_lock};
use crate::handle::Handle;
use crate::protocol::plan::Mode;
use crate::types::error::Result;
use crate::types::resource::Resource;
use crate::types::wait_limit::WaitLimit;

pub use read::RwLockReadGuard;
pub use upgradable::RwLockUpgradableReadGuard;
pub use write::RwLockWriteGuard;

/// A readers-writer lock between processes, and between the threads of each.
///
/// A path names it. Any number of readers hold it together; a writer holds it alone. An *upgradable* reader
/// holds it together with readers too, but there is one at a time, and it can become the writer without
/// another writer in between.
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
pub struct RwLock<E: Engine = Files> {
    raw: E::Lock,
}

named!(RwLock, "lockfast::RwLock::open(&path)?");
opening! {
    RwLock, "write";
    /// Locks a file that is already open, for example to read or change its content.
    ///
    /// It must be open for reading to be read under the lock, and for writing to be written. Its
    /// descriptor belongs to the lock from now on; the guards lend it. See
    /// [`Lock::from_file`](crate::Lock::from_file).
    ///
    /// # Errors
    ///
    /// When it is not a regular file.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("state");
    /// # std::fs::write(&path, "state")?;
    /// let file = std::fs::File::open(&path)?;
    /// let reader = lockfast::RwLock::from_file(file)?.read()?;
    /// assert_eq!(std::io::read_to_string(reader.file())?, "state");
    /// # Ok(())
    /// # }
    /// ```
}
over_raw_lock!(RwLock);
