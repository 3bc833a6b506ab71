//! Opening a lock: by a path, by a name, or from a file that is open already.
//!
//! A semaphore has rules of its own, in `semaphore/open.rs`.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::{Exclusive, Options, Settings};
use crate::RwLock;
use crate::api::files::FileLock;
use crate::file::named;
use crate::handle::Handle;
use crate::types::error::Result;
use crate::types::scope::Scope;

impl<L> Options<L> {
    /// Chooses who shares a lock that is opened by a name; [`Scope::User`] unless set.
    ///
    /// [`open`](Self::open) does not look at it.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(target_os = "linux")]
    /// # fn main() -> Result<(), lockfast::Error> {
    /// use lockfast::{Lock, Scope};
    /// let printer = Lock::options().scope(Scope::Machine).open_named("lockfast-docs-printer")?;
    /// drop(printer.lock()?);
    /// # std::fs::remove_file(printer.path()).ok();
    /// # Ok(())
    /// # }
    /// # #[cfg(not(target_os = "linux"))] fn main() {}
    /// ```
    pub fn scope(mut self, scope: Scope) -> Self {
        self.settings.scope = scope;
        self
    }
}

impl<L: Exclusive> Options<L> {
    /// Opens the lock at that path, creating the file if it is not there. Nothing is locked yet.
    ///
    /// A relative path is made absolute now: a later change of the working directory does not
    /// change which lock this is. An [`RwLock`] can be opened on a file that the user may only
    /// read: then reading works, and what needs to write is an error.
    ///
    /// If another program has a lease on the file (`F_SETLEASE`), the file is opened by the first
    /// acquire, which waits for the lease as it waits for the lock; an error of the open shows there.
    ///
    /// # Errors
    ///
    /// When the file can't be opened or created, with the reason; in particular
    /// [`is_invalid_path`](crate::Error::is_invalid_path) for a path that is empty or at which
    /// something other than a regular file stands,
    /// [`is_permission_denied`](crate::Error::is_permission_denied), also for a file of another user in a
    /// directory like `/tmp` (see [`any_owner`](Self::any_owner)), and
    /// [`is_unsupported`](crate::Error::is_unsupported) on a platform without file locks.
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
    pub fn open(&self, path: impl AsRef<Path>) -> Result<L> {
        Handle::open(path.as_ref(), self.sharing()).map(over)
    }

    /// Opens the lock with that name, creating its file if it is not there. Nothing is locked yet.
    ///
    /// [`scope`](Self::scope) chooses who shares it, and [`Scope`] documents where its file is. A name
    /// has 1 to 200 bytes, does not begin with a dot, and has neither `/` nor control characters.
    /// Names that differ in case only are different names, if the file system tells them apart. All primitives
    /// with one name have one file, so they keep each other out.
    ///
    /// The file has mode `0o600` (on Linux with a sticky bit, `0o1600`, which keeps systemd-tmpfiles
    /// from removing it), or `0o666` for the machine, unless [`mode`](Self::mode) says otherwise. No link is
    /// followed, and no directory is created but the user's own, whatever the other options say.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open); with [`is_invalid_path`](crate::Error::is_invalid_path) for a
    /// name that breaks the rules, and when the directory is not safe because somebody else could
    /// enter it or replace what is in it. With [`is_unsupported`](crate::Error::is_unsupported) on
    /// a system that has no directory for the scope.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), lockfast::Error> {
    /// let lock = lockfast::Lock::options().open_named("lockfast-docs-nightly")?;
    /// drop(lock.lock()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn open_named(&self, name: impl AsRef<str>) -> Result<L> {
        let (path, settings) = named::locate(name.as_ref(), &self.sharing())?;
        Handle::open(&path, settings).map(over)
    }

    /// Locks a file that is already open. Nothing is locked yet.
    ///
    /// The lock is on that file wherever it is, even when it was deleted: `verify` does not apply,
    /// nor do the options about opening. See [`Lock::from_file`](crate::Lock::from_file).
    ///
    /// # Errors
    ///
    /// When it is not a regular file, or with [`remove_on_release`](Self::remove_on_release).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use lockfast::{Lock, Protocol};
    /// let file = tempfile::tempfile()?;
    /// let lock = Lock::options().protocol(Protocol::Flock).from_file(file)?;
    /// drop(lock.lock()?);
    /// # Ok(())
    /// # }
    /// ```
    #[allow(
        clippy::wrong_self_convention,
        reason = "the fixed name; this is a builder"
    )]
    pub fn from_file(&self, file: File) -> Result<L> {
        Handle::from_file(file, self.sharing()).map(over)
    }

    fn sharing(&self) -> Settings {
        Settings {
            shares: L::SHARES,
            ..self.settings.clone()
        }
    }
}

impl Options<RwLock> {
    /// See [`command_support`](crate::api::command_support).
    pub(crate) fn for_reading(mut self) -> Self {
        self.settings.only_reads = true;
        self
    }
}

fn over<L: Exclusive>(handle: Arc<Handle>) -> L {
    L::over(FileLock::new(handle))
}
