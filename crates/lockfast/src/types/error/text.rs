//! The text of an error: what was tried, the cause, and the remedy.

use std::fmt;
use std::io;

use super::{Cause, Error, Inner, Operation};
use crate::types::words::Words;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, None)
    }
}

impl Error {
    /// Writes the text, with the holders if a search has found them.
    pub(crate) fn write(
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
