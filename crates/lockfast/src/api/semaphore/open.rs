//! Opening a semaphore.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::Semaphore;
use crate::api::files::FileSemaphore;
use crate::api::options::Options;
use crate::file::named;
use crate::handle::Handle;
use crate::protocol::{Protocol, permits};
use crate::sys;
use crate::types::error::{Cause, Error, Operation, Result};
use crate::types::settings::Settings;

impl Semaphore {
    /// The most permits that a semaphore can have.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// use lockfast::Semaphore;
    /// assert!(Semaphore::open(&path, Semaphore::MAX_PERMITS).is_ok());
    /// assert!(Semaphore::open(&path, Semaphore::MAX_PERMITS + 1).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub const MAX_PERMITS: u32 = permits::MAX;

    /// Opens the semaphore at that path, creating the file and its directory if need be.
    ///
    /// No permit is taken yet. The content of a file that exists is left alone.
    ///
    /// # Errors
    ///
    /// As [`Options::open`](Options::<Semaphore>::open).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// let pool = lockfast::Semaphore::open(&path, 4)?;
    /// assert_eq!(pool.available_permits()?, 4);
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(path: impl AsRef<Path>, permits: u32) -> Result<Self> {
        Self::options().open(path, permits)
    }

    /// Opens the semaphore with that name, which the user's processes share.
    ///
    /// Its file is in a directory that only the user can enter; [`Scope`](crate::Scope) says where,
    /// and how to share a semaphore with the whole machine.
    ///
    /// # Errors
    ///
    /// As [`Options::open_named`](Options::<Semaphore>::open_named).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), lockfast::Error> {
    /// use lockfast::Semaphore;
    ///
    /// let encoders = Semaphore::named("lockfast-docs-encoders", 2)?;
    /// let both = encoders.acquire_many(2)?;
    /// assert_eq!(Semaphore::named("lockfast-docs-encoders", 2)?.available_permits()?, 0);
    /// # drop(both);
    /// # Ok(())
    /// # }
    /// ```
    pub fn named(name: impl AsRef<str>, permits: u32) -> Result<Self> {
        Self::options().open_named(name, permits)
    }

    /// Returns the builder that configures and opens a semaphore.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// let pool = lockfast::Semaphore::options().mode(0o660).open(&path, 4)?;
    /// # drop(pool);
    /// # Ok(())
    /// # }
    /// ```
    pub fn options() -> Options<Self> {
        Options::new()
    }

    /// Takes permits of a file that is already open; see [`Lock::from_file`](crate::Lock::from_file).
    ///
    /// The file must be open for reading and writing.
    ///
    /// # Errors
    ///
    /// As [`Options::from_file`](Options::<Semaphore>::from_file).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = lockfast::Semaphore::from_file(tempfile::tempfile()?, 2)?;
    /// let both = pool.acquire_many(2)?;
    /// assert!(pool.try_acquire().unwrap_err().is_contended());
    /// # drop(both);
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_file(file: File, permits: u32) -> Result<Self> {
        Self::options().from_file(file, permits)
    }
}

impl Options<Semaphore> {
    /// Opens the semaphore at that path, creating the file if it is not there. No permit is taken yet.
    ///
    /// A relative path is made absolute now.
    ///
    /// # Errors
    ///
    /// When the number is 0 or above [`Semaphore::MAX_PERMITS`], or others have it open with another
    /// number; when a program that knows nothing of permits has locked the whole file
    /// ([`is_contended`](crate::Error::is_contended)); with
    /// [`is_unsupported`](crate::Error::is_unsupported) where there are no locks of bytes. Otherwise as for a
    /// [`Lock`](Options::open).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("gpu.lock");
    /// use lockfast::Semaphore;
    ///
    /// let pool = Semaphore::options().mode(0o600).open(&path, 4)?;
    /// let error = Semaphore::open(&path, 5).unwrap_err();
    /// assert!(error.to_string().contains("5 permits here and 4 where others have it open"));
    ///
    /// drop(pool);
    /// assert!(Semaphore::open(&path, 5).is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(&self, path: impl AsRef<Path>, permits: u32) -> Result<Semaphore> {
        let path = path.as_ref();
        let settings = of_permits(path, self.settings().clone(), permits)?;
        Ok(semaphore(Handle::open(path, settings)?, permits))
    }

    /// Opens the semaphore with that name, creating its file if it is not there. No permit is taken
    /// yet.
    ///
    /// Names and their files are the same as for a [`Lock`](Options::open_named): a `Lock` keeps all permits of
    /// a semaphore of its name back.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open), and as for a [`Lock`](Options::open_named).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), lockfast::Error> {
    /// let gpus = lockfast::Semaphore::options().open_named("lockfast-docs-gpus", 4)?;
    /// drop(gpus.acquire()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn open_named(&self, name: impl AsRef<str>, permits: u32) -> Result<Semaphore> {
        let (path, settings) = named::locate(name.as_ref(), self.settings())?;
        let settings = of_permits(&path, settings, permits)?;
        Ok(semaphore(Handle::open(&path, settings)?, permits))
    }

    /// Takes permits of a file that is already open. No permit is taken yet. See [`Semaphore::from_file`].
    ///
    /// # Errors
    ///
    /// When it is not a regular file; otherwise as for [`open`](Self::open).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use lockfast::Semaphore;
    /// let file = tempfile::tempfile()?;
    /// let pool = Semaphore::options().on_wait(|_| std::ops::ControlFlow::Break(())).from_file(file, 1)?;
    /// drop(pool.acquire()?);
    /// # Ok(())
    /// # }
    /// ```
    #[allow(
        clippy::wrong_self_convention,
        reason = "the fixed name; this is a builder"
    )]
    pub fn from_file(&self, file: File, permits: u32) -> Result<Semaphore> {
        let settings = of_permits(Path::new("(open file)"), self.settings().clone(), permits)?;
        Ok(semaphore(Handle::from_file(file, settings)?, permits))
    }
}

fn semaphore(handle: Arc<Handle>, permits: u32) -> Semaphore {
    Semaphore::from_raw(FileSemaphore::new(handle, permits))
}

/// Adds the number of permits to the settings, if a semaphore can have both.
fn of_permits(path: &Path, settings: Settings, permits: u32) -> Result<Settings> {
    match refusal(&settings, permits) {
        Some(cause) => Err(Error::new(path, Operation::Open, cause)),
        None => Ok(Settings {
            permits: Some(permits),
            ..settings
        }),
    }
}

/// Returns the reason why a semaphore can't be opened like that.
fn refusal(settings: &Settings, permits: u32) -> Option<Cause> {
    if !(1..=permits::MAX).contains(&permits) {
        return Some(Cause::InvalidOption(
            "a semaphore has at least 1 permit and at most 1024",
        ));
    }
    if settings.remove_on_release {
        return Some(Cause::InvalidOption(
            "remove_on_release is not for semaphores: permits may still be out on the removed \
             file while others are taken from the new one",
        ));
    }
    if settings.owner_record {
        return Some(Cause::InvalidOption(
            "an owner record is for one holder at a time, and a semaphore has several",
        ));
    }
    if settings.protocol != Protocol::Fcntl || !sys::lock::HAS_RANGES {
        let why = "permits are locks of bytes: use Protocol::Fcntl on a system that has \
                   open-file-description locks";
        return Some(Cause::Unsupported(why, None));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_the_limit() {
        let settings = Semaphore::options().settings().clone();
        for permits in [0, Semaphore::MAX_PERMITS + 1] {
            let Some(Cause::InvalidOption(why)) = refusal(&settings, permits) else {
                panic!("{permits} is refused");
            };
            assert!(why.ends_with(&Semaphore::MAX_PERMITS.to_string()), "{why}");
        }
    }
}
