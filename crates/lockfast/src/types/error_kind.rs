//! The kinds of errors.

/// The kind of an [`Error`](crate::Error), for a `match`.
///
/// More kinds may come with any version.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("demo.lock");
/// use lockfast::{ErrorKind, Lock};
///
/// let lock = Lock::open(&path)?;
/// let guard = lock.lock()?;
/// match lock.try_lock().map_err(|error| error.kind()) {
///     Ok(_) => println!("it was free"),
///     Err(ErrorKind::Contended) => println!("it is held"),
///     Err(other) => panic!("{other:?}"),
/// }
/// # drop(guard);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An attempt without a wait found the lock held, or its file leased by another program.
    Contended,
    /// The deadline passed before the lock was free.
    TimedOut,
    /// A callback or a [`CancelToken`](crate::CancelToken) ended the wait.
    Cancelled,
    /// The wait would never have ended: the caller itself holds the lock.
    Deadlock,
    /// The platform, the file system or the engine does not have what was asked for.
    Unsupported,
    /// The user that the process runs as may not use the lock.
    PermissionDenied,
    /// A lock can't have this path or this name.
    InvalidPath,
    /// An option or an argument has a value that can't be used.
    InvalidOption,
    /// The guard holds nothing (any more), for example because it is a forked child's copy.
    NotHeld,
    /// Others have the semaphore open with another number of permits.
    OtherPermits,
    /// More permits were asked for than the semaphore has.
    TooManyPermits,
    /// The engine can't be reached.
    Unreachable,
    /// A call of the operating system failed; see [`Error::io_error`](crate::Error::io_error).
    System,
}
