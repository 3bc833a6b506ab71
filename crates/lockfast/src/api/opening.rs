//! The methods that primitives have alike: opening them, and their names.

/// Defines the names of a primitive that is over `self.raw()`; `$open` opens it in the examples.
macro_rules! named {
    ($primitive:ident, $open:literal) => {
        impl $primitive {
            /// The path of the lock file, absolute.
            ///
            /// # Examples
            ///
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// # let dir = tempfile::tempdir()?;
            /// # let path = dir.path().join("demo.lock");
            #[doc = concat!("assert_eq!(", $open, ".path(), path);")]
            /// # Ok(())
            /// # }
            /// ```
            pub fn path(&self) -> &Path {
                self.raw().handle().path()
            }
        }

        impl<E: Engine> $primitive<E> {
            /// The lock: a file, or a name in its engine.
            ///
            /// # Examples
            ///
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// # let dir = tempfile::tempdir()?;
            /// # let path = dir.path().join("demo.lock");
            #[doc = concat!("assert_eq!(", $open, ".resource().path(), Some(&*path));")]
            /// # Ok(())
            /// # }
            /// ```
            pub fn resource(&self) -> Resource {
                self.raw().resource()
            }
        }

        // A panic while the lock is held, or in a callback, leaves every handle usable.
        impl<E: Engine> std::panic::UnwindSafe for $primitive<E> {}
        impl<E: Engine> std::panic::RefUnwindSafe for $primitive<E> {}
    };
}

/// Defines the ways to open a primitive that one holder can have alone. `$take` takes it in the examples, and the
/// documentation is that of `from_file`.
macro_rules! opening {
    ($lock:ident, $take:literal; $(#[$from_file:meta])*) => {
        impl $lock {
            /// Opens the lock at that path, creating the file and its directory if need be.
            ///
            /// Nothing is locked yet. The content of a file that exists is left alone.
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`Options::open`](crate::Options::<", stringify!($lock), ">::open).")]
            ///
            /// # Examples
            ///
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// # let dir = tempfile::tempdir()?;
            /// let path = dir.path().join("jobs/nightly.lock");
            #[doc = concat!("let lock = lockfast::", stringify!($lock), "::open(&path)?;")]
            /// assert!(path.exists());
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
            #[doc = concat!(
                "As [`Options::open_named`](crate::Options::<", stringify!($lock), ">::open_named), which also \
                 says what a name is."
            )]
            ///
            /// # Examples
            ///
            /// ```
            /// # fn main() -> Result<(), lockfast::Error> {
            #[doc = concat!(
                "let held = lockfast::", stringify!($lock), "::named(\"lockfast-docs-", $take, "\")?.", $take,
                "()?;"
            )]
            #[doc = concat!("let lock = lockfast::Lock::named(\"lockfast-docs-", $take, "\")?;")]
            /// assert!(lock.try_lock().unwrap_err().is_contended());
            /// # drop(held);
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
            /// # let path = dir.path().join("demo.lock");
            #[doc = concat!("let lock = lockfast::", stringify!($lock), "::options().mode(0o600).open(&path)?;")]
            /// # Ok(())
            /// # }
            /// ```
            pub fn options() -> crate::Options<Self> {
                crate::Options::new()
            }

            $(#[$from_file])*
            pub fn from_file(file: std::fs::File) -> Result<Self> {
                Self::options().from_file(file)
            }
        }
    };
}

/// Defines the methods of a primitive whose field `raw` is a lock of its engine.
macro_rules! over_raw_lock {
    ($lock:ident) => {
        impl $lock {
            pub(crate) fn handle(&self) -> &Arc<Handle> {
                self.raw.handle()
            }
        }

        impl<E: Engine> $lock<E> {
            /// The features that this lock has of those that not every [engine](crate::engine) has.
            ///
            /// # Examples
            ///
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// # let dir = tempfile::tempdir()?;
            /// # let path = dir.path().join("demo.lock");
            #[doc = concat!("let lock = lockfast::", stringify!($lock), "::open(&path)?;")]
            /// assert!(lock.capabilities().shared && !lock.capabilities().lease);
            /// # Ok(())
            /// # }
            /// ```
            pub fn capabilities(&self) -> Capabilities {
                self.raw.capabilities()
            }

            /// Returns the lock that an engine has opened; for engines.
            #[doc(hidden)]
            pub fn from_raw(raw: E::Lock) -> Self {
                Self { raw }
            }

            /// Returns what the engine has opened; for engines.
            #[doc(hidden)]
            pub fn into_raw(self) -> E::Lock {
                self.raw
            }

            pub(crate) fn raw(&self) -> &E::Lock {
                &self.raw
            }

            #[inline]
            pub(crate) fn take(
                &self,
                mode: Mode,
                limit: WaitLimit,
            ) -> Result<<E::Lock as RawLock>::Hold> {
                self.raw.acquire(mode, limit)
            }

            pub(crate) fn take_async(
                &self,
                mode: Mode,
                limit: WaitLimit,
            ) -> impl Future<Output = Result<<E::Lock as RawLock>::Hold>> + Send + use<E> {
                // Cloned, as the future must not borrow: it is spawned as it is.
                let raw = self.raw.clone();
                async move { raw.acquire_async(mode, limit).await }
            }
        }

        impl<E: Engine> Clone for $lock<E> {
            fn clone(&self) -> Self {
                Self::from_raw(self.raw.clone())
            }
        }

        impl<E: Engine> std::fmt::Debug for $lock<E> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.resource()
                    .debug(f, stringify!($lock))
                    .finish_non_exhaustive()
            }
        }
    };
}

pub(crate) use {named, opening, over_raw_lock};
