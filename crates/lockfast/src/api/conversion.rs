//! A guard that could not be changed into another.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use crate::Error;

/// The error of a guard that could not be upgraded or downgraded, with the guard, which still holds the lock as
/// before.
///
/// It converts into the [`Error`], so `?` passes it on; the guard is dropped then.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("cache.lock");
/// use lockfast::RwLock;
///
/// let (one, other) = (RwLock::open(&path)?, RwLock::open(&path)?);
/// let reader = other.read()?;
///
/// let upgradable = one.upgradable_read()?;
/// let failed = upgradable.try_upgrade().unwrap_err();
/// assert!(failed.error().is_contended());
///
/// let upgradable = failed.into_guard();
/// drop(reader);
/// let writer = upgradable.upgrade()?;
/// # drop(writer);
/// # Ok(())
/// # }
/// ```
pub struct ConversionError<G> {
    guard: G,
    error: Error,
}

impl<G> ConversionError<G> {
    pub(crate) fn new(guard: G, error: Error) -> Self {
        Self { guard, error }
    }

    /// The reason of the failure.
    ///
    /// # Examples
    ///
    /// See [`ConversionError`].
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The guard, which still holds the lock as before.
    ///
    /// # Examples
    ///
    /// See [`ConversionError`].
    pub fn into_guard(self) -> G {
        self.guard
    }

    /// The error and the guard.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cache.lock");
    /// use lockfast::RwLock;
    ///
    /// let (one, other) = (RwLock::open(&path)?, RwLock::open(&path)?);
    /// let reader = other.read()?;
    /// let (error, upgradable) = one.upgradable_read()?.try_upgrade().unwrap_err().into_parts();
    /// assert!(error.is_contended());
    /// # drop((reader, upgradable));
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_parts(self) -> (Error, G) {
        (self.error, self.guard)
    }
}

impl<G> fmt::Debug for ConversionError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConversionError").field(&self.error).finish()
    }
}

impl<G> fmt::Display for ConversionError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<G> StdError for ConversionError<G> {}

impl<G> From<ConversionError<G>> for Error {
    fn from(failed: ConversionError<G>) -> Self {
        failed.error
    }
}

impl<G> From<ConversionError<G>> for io::Error {
    fn from(failed: ConversionError<G>) -> Self {
        failed.error.into()
    }
}
