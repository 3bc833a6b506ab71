//! The error type: what was tried, on which resource, and why it failed.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::types::error_kind::ErrorKind;
use crate::types::holder::Holder;
use crate::types::resource::Resource;
use crate::types::words::Words;

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

/// An operation that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Opening the lock.
    Open,
    /// Opening a file on which another program has a lease.
    OpenLeased,
    /// Turning a name into a path.
    Name,
    /// Using the directory of named locks.
    UseDirectory,
    /// Creating the directory of the lock file.
    CreateDirs,
    /// Taking the lock.
    Lock,
    /// Acquiring permits.
    Acquire,
    /// Turning an upgradable reader into the writer.
    Upgrade,
    /// Turning a writer into a reader.
    Downgrade,
    /// Checking whether the file is still at its path.
    Check,
    /// Searching for holders and waiters.
    #[cfg_attr(
        not(feature = "inspect"),
        allow(dead_code, reason = "only that feature inspects")
    )]
    Inspect,
    /// Going on with a lock that was taken.
    Rely,
    /// Passing a fence with the token of a lock.
    Pass,
    /// Taking a lock away from its holder.
    Break,
    /// Opening a space of names.
    OpenSpace,
    /// Removing the lock file.
    Remove,
    /// Releasing the lock.
    Release,
    /// Writing the owner record.
    Record,
}

/// The cause of an error.
#[derive(Debug)]
pub enum Cause {
    /// A single attempt found the lock held.
    Contended(Option<Holder>),
    /// The file can't be opened as long as another program has a lease on it.
    Leased,
    /// The deadline passed while the lock was held.
    TimedOut(Duration, Option<Holder>),
    /// A callback of the user asked to give up.
    Cancelled(Duration),
    /// The platform or the file system does not have what was asked for.
    Unsupported(&'static str, Option<io::Error>),
    /// A lock can't have that path or name, or something other than a regular file is there.
    InvalidPath(&'static str),
    /// The wait would never end.
    Deadlock(&'static str),
    /// The file belongs to the user with that number, who may have put it there for others to find.
    OfAnotherUser(u32),
    /// The file is open for reading only, and more is needed.
    ReadOnly(&'static str),
    /// The guard holds nothing, or the wait can't go on, because it is a forked child's copy.
    NotHeld(&'static str),
    /// An option has a value that can't be used.
    InvalidOption(&'static str),
    /// Others have the semaphore open with another number of permits.
    OtherPermits {
        /// The number here.
        wanted: u32,
        /// The number of the others.
        theirs: u32,
    },
    /// More permits were asked for than there are.
    TooManyPermits {
        /// The number that was asked for.
        wanted: u32,
        /// The number that the semaphore has.
        permits: u32,
    },
    /// An engine failed in its own way.
    Engine(ErrorKind, Box<dyn StdError + Send + Sync>),
    /// The operating system refused.
    System(io::Error),
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
        match &self.inner.cause {
            Cause::Contended(_) | Cause::Leased => ErrorKind::Contended,
            Cause::TimedOut(..) => ErrorKind::TimedOut,
            Cause::Cancelled(_) => ErrorKind::Cancelled,
            Cause::Unsupported(..) => ErrorKind::Unsupported,
            Cause::InvalidPath(_) => ErrorKind::InvalidPath,
            Cause::Deadlock(_) => ErrorKind::Deadlock,
            Cause::ReadOnly(_) | Cause::OfAnotherUser(_) => ErrorKind::PermissionDenied,
            Cause::NotHeld(_) => ErrorKind::NotHeld,
            Cause::InvalidOption(_) => ErrorKind::InvalidOption,
            Cause::OtherPermits { .. } => ErrorKind::OtherPermits,
            Cause::TooManyPermits { .. } => ErrorKind::TooManyPermits,
            Cause::Engine(kind, _) => *kind,
            Cause::System(error) => match error.kind() {
                io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
                io::ErrorKind::Deadlock => ErrorKind::Deadlock,
                _ => ErrorKind::System,
            },
        }
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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tell(f, None)
    }
}

impl Error {
    /// Writes the text, with the holders if a search has found them.
    pub(crate) fn tell(
        &self,
        f: &mut fmt::Formatter<'_>,
        found: Option<&dyn fmt::Display>,
    ) -> fmt::Result {
        let Inner {
            resource: path,
            operation,
            cause,
        } = &*self.inner;
        let words = Words::spoken();
        match cause {
            Cause::TimedOut(waited, _) => {
                let what = operation.awaited();
                write!(f, "gave up on {what} {path} after {waited:.1?}")?;
            }
            Cause::Cancelled(waited) => {
                let what = operation.awaited();
                write!(f, "wait for {what} {path} was ended")?;
                return write!(f, " by the program after {waited:.1?}");
            }
            _ => write!(f, "{} {path}", operation.failed())?,
        }
        match cause {
            Cause::Contended(holder) | Cause::TimedOut(_, holder) => match (found, holder) {
                (Some(found), _) => write!(f, ": {} by {found}", operation.held()),
                (None, Some(holder)) => write!(f, ": {} by {holder}", operation.held()),
                (None, None) => write!(f, ": {}", operation.in_the_way()),
            },
            Cause::OtherPermits { wanted, theirs } => write!(
                f,
                ": it has {wanted} permits here and {theirs} where others have it open; \
                 use the same number everywhere"
            ),
            Cause::OfAnotherUser(owner) => write!(
                f,
                ": it belongs to user {owner}, who could hold it for ever or remove it while it is held, \
                 in a directory with a sticky bit, where users can't remove each other's files; use another \
                 directory, have the file removed, or allow it if you trust that user (`any_owner`, \
                 `run --any-owner`)"
            ),
            Cause::TooManyPermits { wanted, permits } => {
                write!(f, ": {wanted} at once, of {permits}, can never be had")
            }
            Cause::Engine(_, error) => write!(f, ": {error}"),
            Cause::Leased => write!(f, ": {}", Operation::OpenLeased.in_the_way()),
            Cause::Cancelled(_) => Ok(()),
            Cause::Unsupported(why, Some(error)) => {
                write!(f, ": {}; {}", plain(words, error), words.of(why))
            }
            Cause::Unsupported(why, None)
            | Cause::InvalidPath(why)
            | Cause::InvalidOption(why)
            | Cause::Deadlock(why)
            | Cause::ReadOnly(why)
            | Cause::NotHeld(why) => write!(f, ": {}", words.of(why)),
            Cause::System(error) => {
                write!(f, ": {}", plain(words, error))?;
                match advice(*operation, error) {
                    Some(advice) => write!(f, "; {}", words.of(advice)),
                    None => Ok(()),
                }
            }
        }
    }
}

/// Returns the system's text. Python's errors carry the number separately.
fn plain(words: Words, error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) if words == Words::Python => text[..end].to_owned(),
        _ => text,
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

impl Operation {
    fn failed(self) -> &'static str {
        match self {
            Self::Open | Self::OpenLeased => "cannot open lock file",
            Self::Name => "cannot name a lock",
            Self::UseDirectory => "cannot keep named locks in",
            Self::CreateDirs => "cannot create the directory of lock file",
            Self::Lock => "cannot take lock",
            Self::Acquire => "cannot acquire a permit of",
            Self::Upgrade => "cannot upgrade to a writer of lock",
            Self::Downgrade => "cannot downgrade to a reader of lock",
            Self::Inspect => "cannot tell who holds the locks of",
            Self::Check => "cannot check whether this is still the file of lock",
            Self::Rely => "cannot rely on lock",
            Self::Pass => "cannot pass fence",
            Self::Break => "cannot break lock",
            Self::OpenSpace => "cannot open space",
            Self::Remove => "cannot remove lock file",
            Self::Release => "cannot release lock",
            Self::Record => "cannot write the owner record of lock",
        }
    }

    /// The reason why it could not be had at once.
    fn in_the_way(self) -> &'static str {
        match self {
            Self::Acquire => "too few are free, or others wait for one",
            Self::Open => "a program has locked the whole file",
            Self::OpenLeased => {
                "another program has a lease on its file (F_SETLEASE), and has not given it up yet"
            }
            _ => "it is held",
        }
    }

    /// The reason, before the name of a holder.
    fn held(self) -> &'static str {
        match self {
            Self::Acquire => "too few are free, permits are held",
            _ => "it is held",
        }
    }

    /// The object of a wait.
    fn awaited(self) -> &'static str {
        match self {
            Self::Upgrade => "the upgrade to a writer of lock",
            Self::Acquire => "a permit of",
            _ => "lock",
        }
    }
}

const NO_LOCKS_HERE: &str = "the file system or system has no locks of this kind: \
     put the lock file on a local file system, or use another protocol";

/// Advice for the user about an error of the operating system.
fn advice(operation: Operation, error: &io::Error) -> Option<&'static str> {
    use io::ErrorKind as Kind;
    match (operation, error.kind()) {
        (Operation::Open | Operation::CreateDirs, Kind::NotFound) => Some(
            "its directory does not exist, or takes no files: create it, set create_dirs(true), or name another",
        ),
        (Operation::Open | Operation::CreateDirs, Kind::NotADirectory | Kind::AlreadyExists) => {
            Some("a part of the path is a file where a directory must be")
        }
        (_, Kind::PermissionDenied) => {
            Some("check the owner and mode of the file and of its directory")
        }
        (_, Kind::ReadOnlyFilesystem) => {
            Some("the file system is read-only: choose a path on one that can be written to")
        }
        _ => crate::sys::lock::advice(error),
    }
}

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
    fn predicates_tell_causes_apart() {
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
