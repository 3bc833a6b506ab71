//! Options for the file: creation, search, protocol, removal.

use super::Options;
use crate::protocol::Protocol;
use crate::types::verify::Verify;

impl<L> Options<L> {
    /// Creates the lock file with exactly this mode, whatever the umask.
    ///
    /// Without it the mode is what the umask leaves of `0o666`. A file that exists keeps its mode.
    ///
    /// # Errors
    ///
    /// [`open`](Self::open) refuses a mode above `0o7777`.
    ///
    /// # Platform-specific behaviour
    ///
    /// On Linux the file has that mode from the moment that others can see it, where its file
    /// system has `O_TMPFILE`; elsewhere it is corrected right after it was created.
    ///
    /// On Windows there are no modes, and opening is an error with
    /// [`is_unsupported`](crate::Error::is_unsupported): the access control list that the file inherits
    /// from its directory says who may use it.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("shared.lock");
    /// // All users of the group may take the lock.
    /// lockfast::Lock::options().mode(0o660).open(&path)?;
    /// # #[cfg(unix)] {
    /// use std::os::unix::fs::PermissionsExt;
    /// assert_eq!(path.metadata()?.permissions().mode() & 0o7777, 0o660);
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    pub fn mode(mut self, mode: u32) -> Self {
        self.settings.mode = Some(mode);
        self
    }

    /// Creates the directories that the path needs; `true` unless set.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let path = dir.path().join("missing/demo.lock");
    /// let error = lockfast::Lock::options().create_dirs(false).open(&path).unwrap_err();
    /// assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::NotFound);
    ///
    /// lockfast::Lock::options().create_dirs(true).open(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn create_dirs(mut self, create_dirs: bool) -> Self {
        self.settings.create_dirs = create_dirs;
        self
    }

    /// Follows a symbolic link at the end of the path; `false` unless set.
    ///
    /// In a directory that others can write to, a link could make the program create a file
    /// anywhere, so it is refused. Links in the directories of the path are always followed.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(unix)]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let link = dir.path().join("link.lock");
    /// std::os::unix::fs::symlink("target.lock", &link)?;
    /// assert!(lockfast::Lock::open(&link).unwrap_err().is_invalid_path());
    ///
    /// lockfast::Lock::options().follow_symlinks(true).open(&link)?;
    /// assert!(dir.path().join("target.lock").exists());
    /// # Ok(())
    /// # }
    /// # #[cfg(not(unix))] fn main() {}
    /// ```
    pub fn follow_symlinks(mut self, follow_symlinks: bool) -> Self {
        self.settings.follow_symlinks = follow_symlinks;
        self
    }

    /// Accepts a lock file that belongs to another user in a directory with a sticky bit, such as
    /// `/tmp`; `false` unless set.
    ///
    /// There anybody can create a file before its user does, and then hold that lock for ever, or
    /// delete the file while it is held. So opening a file there is refused if it belongs neither to
    /// the user that the process runs as (root included) nor to the owner of the directory. It is the rule
    /// by which the kernel's `fs.protected_regular` protects files. Set this for a lock that users who
    /// trust each other share in such a directory; better is a directory of their group without that bit.
    ///
    /// A lock with a [name](Self::open_named) needs no such option: its directory is the user's own, or
    /// everybody's on purpose.
    ///
    /// # Platform-specific behaviour
    ///
    /// On Windows directories have no sticky bit, and files of all owners are accepted.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("shared.lock");
    /// let lock = lockfast::Lock::options().mode(0o666).any_owner(true).open(&path)?;
    /// drop(lock.lock()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn any_owner(mut self, any_owner: bool) -> Self {
        self.settings.any_owner = any_owner;
        self
    }

    /// Chooses the kind of kernel lock, and so the programs that lockfast works together with;
    /// [`Protocol::Fcntl`] unless set.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// use lockfast::{Lock, Protocol};
    /// let lock = Lock::options().protocol(Protocol::Both).open(&path)?;
    /// drop(lock.lock()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.settings.protocol = protocol;
        self
    }

    /// Chooses how each acquire checks that the file is still the one at the path;
    /// [`Verify::Links`] unless set.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// use lockfast::{Lock, Verify};
    /// let lock = Lock::options().verify(Verify::Off).open(&path)?;
    /// drop(lock.lock()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn verify(mut self, verify: Verify) -> Self {
        self.settings.verify = verify;
        self
    }

    /// Removes the lock file at each release; `false` unless set.
    ///
    /// While others read by the same file it stays, and the last reader removes it. Readers that leave in the
    /// same instant may leave it to the next release.
    ///
    /// The file is removed while the lock is held, and those who waited for it notice and go on
    /// with a new file: nobody gets in twice, and nobody sees the file missing. This holds among
    /// users of lockfast (with or without this option, unless their [`Verify`] is off); programs
    /// that lock a file without checking that it is still there must not share a path whose file
    /// is removed.
    ///
    /// # Errors
    ///
    /// [`open`](Self::open) refuses the combination with [`Verify::Off`], and
    /// [`from_file`](Self::from_file) refuses it altogether. A file that can't be removed is an
    /// error of [`LockGuard::release`](crate::LockGuard::release); the lock is released
    /// nevertheless.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// let lock = lockfast::Lock::options().remove_on_release(true).open(&path)?;
    /// lock.lock()?.release()?;
    /// assert!(!path.exists());
    /// # Ok(())
    /// # }
    /// ```
    pub fn remove_on_release(mut self, remove_on_release: bool) -> Self {
        self.settings.remove_on_release = remove_on_release;
        self
    }
}
