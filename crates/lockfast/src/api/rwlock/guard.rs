//! What the guards of all ways to hold the lock have.

/// What all guards have; `$take` is how such a guard is had.
macro_rules! every_guard {
    ($guard:ident, $take:literal) => {
        impl $guard {
            #[inline]
            pub(super) fn new(hold: $crate::handle::hold::Hold) -> Self {
                Self { hold }
            }

            /// Releases the lock and tells of errors.
            ///
            /// # Errors
            ///
            /// As [`LockGuard::release`](crate::LockGuard::release).
            ///
            /// # Examples
            ///
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// # let dir = tempfile::tempdir()?;
            /// # let path = dir.path().join("cache.lock");
            /// let cache = lockfast::RwLock::open(&path)?;
            #[doc = concat!("cache.", $take, "()?.release()?;")]
            /// assert!(cache.try_write().is_ok());
            /// # Ok(())
            /// # }
            /// ```
            #[inline]
            pub fn release(mut self) -> $crate::Result<()> {
                self.hold.release()
            }

            /// The path of the lock file, absolute.
            ///
            /// # Examples
            ///
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// # let dir = tempfile::tempdir()?;
            /// # let path = dir.path().join("cache.lock");
            #[doc = concat!("let guard = lockfast::RwLock::open(&path)?.", $take, "()?;")]
            /// assert_eq!(guard.path(), path);
            /// # Ok(())
            /// # }
            /// ```
            pub fn path(&self) -> &std::path::Path {
                self.hold.path()
            }

            /// The file that is locked. See [`LockGuard::file`](crate::LockGuard::file).
            ///
            /// # Examples
            ///
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// # let dir = tempfile::tempdir()?;
            /// # let path = dir.path().join("state");
            /// # std::fs::write(&path, "state")?;
            #[doc = concat!("let guard = lockfast::RwLock::open(&path)?.", $take, "()?;")]
            /// assert_eq!(std::io::read_to_string(guard.file())?, "state");
            /// # Ok(())
            /// # }
            /// ```
            pub fn file(&self) -> &std::fs::File {
                self.hold.file()
            }

            /// Is the locked file still the one at the path? See
            /// [`LockGuard::is_current`](crate::LockGuard::is_current).
            ///
            /// # Errors
            ///
            /// When the path can't be looked up.
            ///
            /// # Examples
            ///
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// # let dir = tempfile::tempdir()?;
            /// # let path = dir.path().join("cache.lock");
            #[doc = concat!("let guard = lockfast::RwLock::open(&path)?.", $take, "()?;")]
            /// assert!(guard.is_current()?);
            /// # Ok(())
            /// # }
            /// ```
            pub fn is_current(&self) -> $crate::Result<bool> {
                self.hold.is_current()
            }

            /// Says that another thread holds the lock from now on. See
            /// [`LockGuard::hand_over`](crate::LockGuard::hand_over).
            ///
            /// # Examples
            ///
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// # let dir = tempfile::tempdir()?;
            /// # let path = dir.path().join("cache.lock");
            /// let cache = lockfast::RwLock::open(&path)?;
            #[doc = concat!("let mut guard = cache.", $take, "()?;")]
            /// assert!(cache.write().unwrap_err().is_deadlock());
            ///
            /// guard.hand_over();
            /// let worker = std::thread::spawn(move || drop(guard));
            /// cache.write()?.release()?; // waits for the worker
            /// # worker.join().unwrap();
            /// # Ok(())
            /// # }
            /// ```
            pub fn hand_over(&mut self) {
                self.hold.disown();
            }
        }

        // A panic while the lock is held leaves the guard usable.
        impl std::panic::UnwindSafe for $guard {}
        impl std::panic::RefUnwindSafe for $guard {}

        impl std::fmt::Debug for $guard {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($guard))
                    .field("path", &self.path())
                    .finish_non_exhaustive()
            }
        }
    };
}

pub(super) use every_guard;
