//! Opening a readers-writer lock.

use std::fs::File;
use std::path::Path;

use super::RwLock;
use crate::api::options::Options;
use crate::types::error::Result;

impl RwLock {
    /// Opens the lock at that path, creating the file and its directory if need be.
    ///
    /// Nothing is locked yet. The content of a file that exists is left alone.
    ///
    /// # Errors
    ///
    /// As [`Options::open`](Options::<RwLock>::open).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let cache = lockfast::RwLock::open(dir.path().join("cache.lock"))?;
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
    /// As [`Options::open_named`](Options::<RwLock>::open_named).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), lockfast::Error> {
    /// let reader = lockfast::RwLock::named("lockfast-docs-index")?.read()?;
    /// # drop(reader);
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
    /// # let path = dir.path().join("cache.lock");
    /// let cache = lockfast::RwLock::options().mode(0o660).open(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn options() -> Options<Self> {
        Options::new()
    }

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
    pub fn from_file(file: File) -> Result<Self> {
        Self::options().from_file(file)
    }
}
