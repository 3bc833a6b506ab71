//! Why it failed.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use crate::types::error_kind::ErrorKind;
use crate::types::holder::Holder;

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

impl Cause {
    /// The kind of error that users see.
    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::Contended(_) | Self::Leased => ErrorKind::Contended,
            Self::TimedOut(..) => ErrorKind::TimedOut,
            Self::Cancelled(_) => ErrorKind::Cancelled,
            Self::Unsupported(..) => ErrorKind::Unsupported,
            Self::InvalidPath(_) => ErrorKind::InvalidPath,
            Self::Deadlock(_) => ErrorKind::Deadlock,
            Self::ReadOnly(_) | Self::OfAnotherUser(_) => ErrorKind::PermissionDenied,
            Self::NotHeld(_) => ErrorKind::NotHeld,
            Self::InvalidOption(_) => ErrorKind::InvalidOption,
            Self::OtherPermits { .. } => ErrorKind::OtherPermits,
            Self::TooManyPermits { .. } => ErrorKind::TooManyPermits,
            Self::Engine(kind, _) => *kind,
            Self::System(error) => match error.kind() {
                io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
                io::ErrorKind::Deadlock => ErrorKind::Deadlock,
                _ => ErrorKind::System,
            },
        }
    }
}
