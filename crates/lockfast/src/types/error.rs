//! The error type: what was tried, on which resource, and why it failed.

mod cause;
mod operation;
mod text;

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::types::error_kind::ErrorKind;
use crate::types::holder::Holder;
use crate::types::resource::Resource;

pub use cause::Cause;
pub use operation::Operation;

/// The result of every operation of this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// The reason why a lock could not be opened, taken or released.
///
/// The type is opaque: match on its [`kind`](Self::kind), or use the `is_…` predicates. Its text names the
/// path, the operation, the cause and the remedy; when a lock is held, also the holder, where the kernel
/// names it. With the feature `inspect`, `explain` finds more about the holder.
///
/// The text includes the error of the operating system, so [`source`](StdError::source) does not return it;
/// [`io_error`](Self::io_error) does.
///
/// An error converts into an [`io::Error`] of the matching kind, so that it passes through `?` in
/// functions that return [`io::Result`].
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("demo.lock");
/// let lock = lockfast::Lock::open(&path)?;
/// let guard = lock.lock()?;
///
/// let error = lock.try_lock().unwrap_err();
/// assert!(error.is_contended());
/// assert_eq!(error.kind(), lockfast::ErrorKind::Contended);
/// assert_eq!(error.path(), path);
/// assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::WouldBlock);
/// # drop(guard);
/// # Ok(())
/// # }
/// ```
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    resource: Resource,
    operation: Operation,
    cause: Cause,
}

impl Error {
    /// Returns the error of an operation on that resource; for engines.
    #[doc(hidden)]
    pub fn new(resource: impl Into<Resource>, operation: Operation, cause: Cause) -> Self {
        let inner = Inner {
            resource: resource.into(),
            operation,
            cause,
        };
        Self {
            inner: Box::new(inner),
        }
    }

    /// Classifies an error of the operating system: a file system without locks is not just any error.
    #[cold]
    pub(crate) fn system(path: &Path, operation: Operation, error: io::Error) -> Self {
        let locking = matches!(
            operation,
            Operation::Lock
                | Operation::Acquire
                | Operation::Upgrade
                | Operation::Downgrade
                | Operation::Release
        );
        let cause = if error.kind() == io::ErrorKind::Unsupported
            // The same numbers mean something else when they come from other calls (EINVAL, for one).
            || (locking && crate::sys::lock::means_no_locks_here(&error))
        {
            Cause::Unsupported(NO_LOCKS_HERE, Some(error))
        } else {
            Cause::System(error)
        };
        Self::new(path, operation, cause)
    }

    /// Turns the failed attempt that ended a wait into a time-out after that long; leaves other errors alone.
    #[must_use]
    pub(crate) fn after_waiting(mut self, waited: Duration) -> Self {
        if let Cause::Contended(holder) | Cause::TimedOut(_, holder) = &mut self.inner.cause {
            self.inner.cause = Cause::TimedOut(waited, holder.take());
        }
        self
    }

    /// The kind of error.
    pub fn kind(&self) -> ErrorKind {
        self.inner.cause.kind()
    }

    /// The lock that the error is about.
    pub fn resource(&self) -> &Resource {
        &self.inner.resource
    }

    /// The path of the lock that the error is about, absolute where it could be made so.
    ///
    /// For a lock of another engine than files, the name of the lock.
    pub fn path(&self) -> &Path {
        self.inner.resource.as_path()
    }

    /// The error of the operating system, if a call failed.
    pub fn io_error(&self) -> Option<&io::Error> {
        match &self.inner.cause {
            Cause::System(error) | Cause::Unsupported(_, Some(error)) => Some(error),
            _ => None,
        }
    }

    /// The number of the operating system's error (`errno`), if a call failed.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.io_error().and_then(io::Error::raw_os_error)
    }

    /// The holder of the lock, where it is known without a search.
    ///
    /// Only an error with [`is_contended`](Self::is_contended) or
    /// [`is_timed_out`](Self::is_timed_out) has a holder.
    pub fn holder(&self) -> Option<&Holder> {
        match &self.inner.cause {
            Cause::Contended(holder) | Cause::TimedOut(_, holder) => holder.as_ref(),
            _ => None,
        }
    }

    /// Whether an attempt without a wait found the lock held, or its file leased by another program.
    pub fn is_contended(&self) -> bool {
        self.kind() == ErrorKind::Contended
    }

    /// Whether another program has a lease on the file, so that it can't be opened yet.
    pub(crate) fn is_leased(&self) -> bool {
        matches!(self.inner.cause, Cause::Leased)
    }

    /// Whether the deadline passed before the lock was free.
    pub fn is_timed_out(&self) -> bool {
        self.kind() == ErrorKind::TimedOut
    }

    /// Whether the program ended the wait: by a [`CancelToken`](crate::CancelToken) or a callback
    /// ([`on_wait`](crate::Options::on_wait), [`on_interrupt`](crate::Options::on_interrupt)).
    pub fn is_cancelled(&self) -> bool {
        self.kind() == ErrorKind::Cancelled
    }

    /// Whether the wait would never have ended, because the calling thread holds the lock itself.
    pub fn is_deadlock(&self) -> bool {
        self.kind() == ErrorKind::Deadlock
    }

    /// Whether the platform or the file system does not have what was asked for.
    pub fn is_unsupported(&self) -> bool {
        self.kind() == ErrorKind::Unsupported
    }

    /// Whether the user that the process runs as may not open, create or lock the file.
    pub fn is_permission_denied(&self) -> bool {
        self.kind() == ErrorKind::PermissionDenied
    }

    /// Whether a lock can't have this path: it is empty, has a NUL byte, or a symbolic link, directory,
    /// device, FIFO or socket is there.
    pub fn is_invalid_path(&self) -> bool {
        self.kind() == ErrorKind::InvalidPath
    }

    fn io_kind(&self) -> io::ErrorKind {
        match self.kind() {
            ErrorKind::Contended => io::ErrorKind::WouldBlock,
            ErrorKind::TimedOut => io::ErrorKind::TimedOut,
            // Not `Interrupted`: the standard library retries on that kind.
            ErrorKind::Cancelled => io::ErrorKind::Other,
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            ErrorKind::Deadlock => io::ErrorKind::Deadlock,
            ErrorKind::PermissionDenied => io::ErrorKind::PermissionDenied,
            ErrorKind::InvalidPath
            | ErrorKind::InvalidOption
            | ErrorKind::NotHeld
            | ErrorKind::OtherPermits
            | ErrorKind::TooManyPermits => io::ErrorKind::InvalidInput,
            ErrorKind::Unreachable => io::ErrorKind::NotConnected,
            ErrorKind::System => self
                .io_error()
                .map_or(io::ErrorKind::Other, io::Error::kind),
        }
    }
}

/// The message, because `fn main() -> lockfast::Result<()>` and `unwrap` print this; the fields with
/// `{:#?}`.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return fmt::Display::fmt(self, f);
        }
        f.debug_struct("Error")
            .field("resource", &self.inner.resource)
            .field("operation", &self.inner.operation)
            .field("cause", &self.inner.cause)
            .finish()
    }
}

// The text has the cause in it, and an error gives its cause either as text or as its source.
impl StdError for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        io::Error::new(error.io_kind(), error)
    }
}

const NO_LOCKS_HERE: &str = "the file system or system has no locks of this kind: \
     put the lock file on a local file system, or use another protocol";

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(cause: Cause) -> Error {
        Error::new(Path::new("/run/a.lock"), Operation::Lock, cause)
    }

    #[test]
    fn converts_to_the_matching_io_kind_and_keeps_its_text() {
        let cases = [
            (sample(Cause::Contended(None)), io::ErrorKind::WouldBlock),
            (
                sample(Cause::TimedOut(Duration::from_secs(1), None)),
                io::ErrorKind::TimedOut,
            ),
            (
                sample(Cause::Cancelled(Duration::from_secs(1))),
                io::ErrorKind::Other,
            ),
            (
                sample(Cause::Unsupported("why", None)),
                io::ErrorKind::Unsupported,
            ),
            (
                sample(Cause::InvalidPath("why")),
                io::ErrorKind::InvalidInput,
            ),
            (
                sample(Cause::System(io::Error::from(io::ErrorKind::Deadlock))),
                io::ErrorKind::Deadlock,
            ),
        ];
        for (error, kind) in cases {
            let text = error.to_string();
            assert!(text.contains("/run/a.lock"), "{text}");
            let converted = io::Error::from(error);
            assert_eq!(converted.kind(), kind);
            assert_eq!(converted.to_string(), text);
        }
    }

    #[test]
    fn debug_is_the_message_and_its_alternate_form_the_fields() {
        let error = sample(Cause::Contended(None));
        assert_eq!(format!("{error:?}"), error.to_string());
        let fields = format!("{error:#?}");
        assert!(fields.contains("cause: Contended"), "{fields}");
    }

    #[test]
    fn predicates_distinguish_causes() {
        let contended = sample(Cause::Contended(None));
        assert!(contended.is_contended() && !contended.is_timed_out());
        let timed_out = sample(Cause::TimedOut(Duration::ZERO, None));
        assert!(timed_out.is_timed_out() && !timed_out.is_contended());
        let cancelled = Cause::Cancelled(Duration::from_secs(1));
        let cancelled = Error::new(Path::new("/run/a.lock"), Operation::Acquire, cancelled);
        let text = cancelled.to_string();
        assert!(
            text.starts_with("wait for a permit of /run/a.lock"),
            "{text}"
        );
        let deadlock = sample(Cause::System(io::Error::from(io::ErrorKind::Deadlock)));
        assert!(deadlock.is_deadlock() && !deadlock.is_permission_denied());
    }
}
