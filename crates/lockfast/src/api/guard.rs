//! The methods that the guards of all ways to hold a lock have.

/// Defines a guard's methods; `$open` opens its lock in the examples, and `$take` takes it.
macro_rules! every_guard {
    ($guard:ident, $open:literal, $take:literal) => {
        impl<E: Engine> $guard<E> {
            /// Returns the guard of a lock that an engine holds; for engines and bindings.
            #[doc(hidden)]
            #[inline]
            pub fn from_raw(hold: <E::Lock as RawLock>::Hold) -> Self {
                Self { hold }
            }

            /// Returns what the engine holds; for engines and bindings.
            #[doc(hidden)]
            pub fn as_raw(&self) -> &<E::Lock as RawLock>::Hold {
                &self.hold
            }

            /// Releases the lock and reports errors.
            ///
            /// # Errors
            ///
            /// When the kernel could not release the lock, in which case its descriptor is closed, which
            /// releases the lock too; when the program has closed the descriptor, which released the lock
            /// before; or when the file could not be removed (see
            /// [`remove_on_release`](crate::Options::remove_on_release)). The lock is not held any more in
            /// any case.
            ///
            /// # Examples
            ///
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// # let dir = tempfile::tempdir()?;
            /// # let path = dir.path().join("demo.lock");
            #[doc = concat!("let lock = ", $open, ";")]
            #[doc = concat!("lock.", $take, "()?.release()?;")]
            #[doc = concat!("assert!(lock.try_", $take, "().is_ok());")]
            /// # Ok(())
            /// # }
            /// ```
            #[inline]
            pub fn release(mut self) -> Result<()> {
                self.hold.release()
            }

            /// The lock that is held: a file, or a name in its engine.
            ///
            /// # Examples
            ///
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// # let dir = tempfile::tempdir()?;
            /// # let path = dir.path().join("demo.lock");
            #[doc = concat!("let guard = ", $open, ".", $take, "()?;")]
            /// assert_eq!(guard.resource().path(), Some(&*path));
            /// # Ok(())
            /// # }
            /// ```
            pub fn resource(&self) -> Resource {
                self.hold.resource()
            }

            /// The fencing token of this hold: greater by one than that of the exclusive hold before, and
            /// never given again. A file has one for exclusive holds, with
            /// [`owner_record`](crate::Options::owner_record).
            ///
            /// A store that remembers the greatest token that it has seen, and refuses smaller ones, is safe
            /// from a holder that was stopped, lost the lock, and goes on later.
            ///
            /// # Examples
            ///
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// # let dir = tempfile::tempdir()?;
            /// # let path = dir.path().join("demo.lock");
            /// let lock = lockfast::Lock::options().owner_record(true).open(&path)?;
            /// let first = lock.lock()?.token();
            /// let second = lock.lock()?.token();
            /// assert_eq!((first, second), (Some(1), Some(2)));
            /// # Ok(())
            /// # }
            /// ```
            pub fn token(&self) -> Option<u64> {
                self.hold.token()
            }

            /// Tells deadlock detection that this thread no longer owns the guard, for example before the
            /// guard is sent to another thread.
            ///
            /// Without that, a wait of the thread that took the lock is reported as a deadlock, because the
            /// thread would wait for itself. Nothing else depends on it: a guard may be sent and dropped
            /// anywhere.
            ///
            /// # Examples
            ///
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// # let dir = tempfile::tempdir()?;
            /// # let path = dir.path().join("demo.lock");
            /// let exclusive = lockfast::Lock::open(&path)?;
            #[doc = concat!("let mut guard = ", $open, ".", $take, "()?;")]
            /// assert!(exclusive.lock().unwrap_err().is_deadlock());
            ///
            /// guard.hand_over();
            /// let worker = std::thread::spawn(move || drop(guard));
            /// exclusive.lock()?.release()?; // waits for the worker
            /// # worker.join().unwrap();
            /// # Ok(())
            /// # }
            /// ```
            pub fn hand_over(&mut self) {
                self.hold.forget_thread();
            }
        }

        crate::api::lost::lease_methods!($guard, hold, concat!($open, ".", $take, "()"));

        impl $guard {
            /// The path of the lock file, absolute.
            ///
            /// # Examples
            ///
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// # let dir = tempfile::tempdir()?;
            /// # let path = dir.path().join("demo.lock");
            #[doc = concat!("let guard = ", $open, ".", $take, "()?;")]
            /// assert_eq!(guard.path(), path);
            /// # Ok(())
            /// # }
            /// ```
            pub fn path(&self) -> &std::path::Path {
                self.hold.path()
            }

            /// The file that is locked, to read or change its content.
            ///
            /// A duplicate of it (`try_clone`) keeps the lock's description open, but releasing the guard
            /// releases the lock nevertheless. In a forked child the descriptor leads to nothing: reading
            /// and writing fail.
            ///
            /// # Examples
            ///
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// # let dir = tempfile::tempdir()?;
            /// # let path = dir.path().join("state");
            /// # std::fs::write(&path, "state")?;
            #[doc = concat!("let guard = ", $open, ".", $take, "()?;")]
            /// assert_eq!(std::io::read_to_string(guard.file())?, "state");
            /// # Ok(())
            /// # }
            /// ```
            pub fn file(&self) -> &std::fs::File {
                self.hold.file()
            }

            /// Whether the locked file is still the one at the path.
            ///
            /// `false` means that somebody deleted, replaced or renamed it while it was locked: later callers
            /// lock another file, and this guard does not keep them out. Nothing can prevent that; a program
            /// whose lock directory is cleaned by others can ask before it commits. It is also `false` when
            /// this program has closed or replaced the descriptor of the lock file, which released the lock.
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
            /// # let path = dir.path().join("demo.lock");
            #[doc = concat!("let guard = ", $open, ".", $take, "()?;")]
            /// assert!(guard.is_current()?);
            /// # #[cfg(unix)] {
            /// std::fs::remove_file(&path)?;
            /// assert!(!guard.is_current()?);
            /// # }
            /// # Ok(())
            /// # }
            /// ```
            pub fn is_current(&self) -> Result<bool> {
                self.hold.is_current()
            }
        }

        // A panic while the lock is held leaves the guard usable.
        impl<E: Engine> std::panic::UnwindSafe for $guard<E> {}
        impl<E: Engine> std::panic::RefUnwindSafe for $guard<E> {}

        impl<E: Engine> std::fmt::Debug for $guard<E> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.resource()
                    .debug(f, stringify!($guard))
                    .finish_non_exhaustive()
            }
        }
    };
}

/// Defines the methods of guards that hold a lock alone.
macro_rules! exclusive_guard {
    ($guard:ident) => {
        impl $guard {
            /// The holder before, if it died while it held the lock, or let its guard be forgotten; needs
            /// [`owner_record`](crate::Options::owner_record).
            ///
            /// The data that the lock protects may then be half changed.
            ///
            /// # Examples
            ///
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// # let dir = tempfile::tempdir()?;
            /// # let path = dir.path().join("demo.lock");
            /// let lock = lockfast::Lock::options().owner_record(true).open(&path)?;
            /// let guard = lock.lock()?;
            /// if let Some(owner) = guard.abandoned() {
            ///     eprintln!("pid {} died while it held the lock, since {:?}", owner.pid(), owner.since());
            ///     // ... repair what it left ...
            /// }
            /// # Ok(())
            /// # }
            /// ```
            pub fn abandoned(&self) -> Option<&Owner> {
                self.hold.abandoned()
            }
        }
    };
}

pub(crate) use {every_guard, exclusive_guard};
