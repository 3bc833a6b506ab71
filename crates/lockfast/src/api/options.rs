//! The options of a lock.
//!
//! Options for its file are in `file`, those for waits in `waiting`; `open` ends them, for each primitive.

mod file;
mod linger;
pub(crate) mod untyped;
mod waiting;

// The docs list methods in the order of these modules, and opening comes last.
mod open;
mod record;

use std::fmt;
use std::marker::PhantomData;

use crate::api::files::FileLock;
use crate::types::settings::Settings;
use crate::{Lock, ReentrantLock, RwLock};

/// Builder that configures and opens a lock; finish with [`open`](Self::open).
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("run/demo.lock");
/// use lockfast::{Lock, Verify};
///
/// let lock = Lock::options()
///     .mode(0o660)
///     .create_dirs(true)
///     .verify(Verify::Path)
///     .open(&path)?;
/// drop(lock.lock()?);
/// # Ok(())
/// # }
/// ```
///
/// `Options` is for a [`Lock`], `Options<RwLock>` for an [`RwLock`],
/// `Options<Semaphore>` for a [`Semaphore`](crate::Semaphore); each comes from its type's `options()`. Options
/// that need a lock that one holder has alone are missing for a semaphore.
#[must_use = "options do nothing until `open` is called"]
pub struct Options<L = Lock> {
    settings: Settings,
    // Of a function, so that options may be sent and shared whatever `L` is.
    primitive: PhantomData<fn() -> L>,
}

impl<L> Options<L> {
    pub(crate) fn new() -> Self {
        Self {
            settings: Settings::default(),
            primitive: PhantomData,
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }
}

/// A primitive that one holder can have alone: each but a [`Semaphore`](crate::Semaphore).
pub trait Exclusive: sealed::Sealed {}

mod sealed {
    use crate::api::files::FileLock;

    pub trait Sealed {
        /// Whether several can hold it, so that a file that can only be read is enough.
        const SHARES: bool = false;

        fn over(lock: FileLock) -> Self;
    }
}

impl sealed::Sealed for Lock {
    fn over(lock: FileLock) -> Self {
        Self::from_raw(lock)
    }
}

impl sealed::Sealed for RwLock {
    const SHARES: bool = true;

    fn over(lock: FileLock) -> Self {
        Self::from_raw(lock)
    }
}

impl sealed::Sealed for ReentrantLock {
    fn over(lock: FileLock) -> Self {
        Self::from_lock(Lock::from_raw(lock))
    }
}

impl Exclusive for Lock {}
impl Exclusive for RwLock {}
impl Exclusive for ReentrantLock {}

impl<L> Clone for Options<L> {
    fn clone(&self) -> Self {
        Self {
            settings: self.settings.clone(),
            primitive: PhantomData,
        }
    }
}

impl<L> Default for Options<L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L> fmt::Debug for Options<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}
