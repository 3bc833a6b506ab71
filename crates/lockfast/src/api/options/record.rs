//! Options for the owner record in the lock file.

use super::Options;

impl<L> Options<L> {
    /// Writes the holder into the lock file; `false` unless set.
    ///
    /// Each hold that is exclusive (of a [`Lock`](crate::Lock), or to write) then has a
    /// [token](crate::LockGuard::token), and its guard knows whether the hold before was
    /// [abandoned](crate::LockGuard::abandoned). Errors and [`Waiting`](crate::Waiting) name the
    /// holder with its [`label`](Self::label) and since when it holds the lock. The file can be read
    /// by people.
    ///
    /// All who lock the file should have this set: a hold without it has no token, and leaves the
    /// record of the one before.
    ///
    /// It costs a read and two writes of less than 500 bytes for each hold, no more than one write is in
    /// flight at a time, and nothing is synchronised to the disk: after a crash of the *machine*, tokens
    /// that were given shortly before may be given again. The count is in the file: in one that was
    /// deleted or replaced it begins anew with 1.
    ///
    /// # Errors
    ///
    /// [`open`](Self::open) refuses a file that has other content
    /// ([`is_invalid_path`](crate::Error::is_invalid_path)), and the combination with
    /// [`remove_on_release`](Self::remove_on_release). When a record can't be written (the disk is full),
    /// the lock is not acquired; or it is released nevertheless, and
    /// [`release`](crate::LockGuard::release) reports it. Nor is it acquired when the file has the token
    /// 2^64-1 already.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("nightly.lock");
    /// let lock = lockfast::Lock::options()
    ///     .owner_record(true)
    ///     .label("nightly backup")
    ///     .open(&path)?;
    /// let guard = lock.lock()?;
    /// assert_eq!(guard.token(), Some(1));
    /// assert!(std::fs::read_to_string(&path)?.contains("state=held"));
    ///
    /// let error = lock.try_lock().unwrap_err();
    /// # let _ = error;
    /// drop(guard);
    /// assert_eq!(lock.lock()?.token(), Some(2));
    /// # Ok(())
    /// # }
    /// ```
    pub fn owner_record(mut self, owner_record: bool) -> Self {
        self.settings.owner_record = owner_record;
        self
    }

    /// Adds a text to the owner record, for people.
    ///
    /// It is of no use without [`owner_record`](Self::owner_record).
    ///
    /// # Errors
    ///
    /// [`open`](Self::open) refuses one of more than 100 bytes, with control characters, or with space at
    /// its ends.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("nightly.lock");
    /// let options = lockfast::Lock::options().owner_record(true).label("nightly backup");
    /// let guard = options.open(&path)?.lock()?;
    ///
    /// let error = options.open(&path)?.try_lock().unwrap_err();
    /// assert_eq!(error.holder().and_then(|holder| holder.label()), Some("nightly backup"));
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.settings.label = label.into();
        self
    }
}
