//! Reasons why requests fail, and the errors of this engine.

use std::fmt;
use std::time::Duration;

use lockfast::engine::{Cause, Operation};
use lockfast::{Error, ErrorKind, Resource};
use tonic::{Code, Status};

use crate::transport::grpc::causes;

/// The remedy for a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Ask another server.
    NextServer,
    /// Log in again.
    Login,
    /// None: each server would answer the same.
    None,
}

impl Remedy {
    pub(crate) fn of(status: &Status) -> Self {
        let message = status.message();
        match status.code() {
            Code::Unauthenticated => Self::Login,
            Code::InvalidArgument
                if message.contains("revision of auth store is old") || is_without_user(status) =>
            {
                Self::Login
            }
            // Until an operator makes room.
            Code::ResourceExhausted if is_without_space(status) => Self::None,
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Aborted
            | Code::Internal
            | Code::ResourceExhausted
            | Code::Unknown => Self::NextServer,
            _ => Self::None,
        }
    }
}

/// Reason why a request has no answer.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The wait was ended before there was an answer.
    Stopped,
    /// No server answered. Requests may have been carried out nevertheless.
    Unreachable(String),
    /// A server refused.
    Refused(Status),
    TtlTooShort {
        wanted: Duration,
        least: Duration,
    },
}

impl Failure {
    /// Whether the server does not know the lease.
    pub(crate) fn is_without_lease(&self) -> bool {
        matches!(self, Self::Refused(status)
            if status.code() == Code::NotFound && status.message().contains("lease not found"))
    }

    /// Whether the server has compacted its history, and the request needs what is gone.
    pub(crate) fn is_compacted(&self) -> bool {
        matches!(self, Self::Refused(status)
            if status.code() == Code::OutOfRange && status.message().contains("compacted"))
    }
}

/// The failures of this engine that no other cause of an [`Error`] names.
#[derive(Debug)]
pub(crate) enum Reason {
    Unreachable(String),
    Refused(Status),
    /// The ticket of a waiter is gone.
    PlaceLost,
    /// The key of a holder is gone.
    WasLost,
    ReleaseUnknown(String, Duration),
    UsedAsSemaphore,
    UsedAsLock,
    TtlTooShort {
        wanted: Duration,
        least: Duration,
    },
    TooOld(String),
    NoThread(std::io::Error),
    Connect(tonic::transport::Error),
}

impl Reason {
    /// Returns the reason why a release has no confirmation.
    pub(crate) fn of_release(failure: Failure, ttl: Duration) -> Self {
        match failure {
            Failure::Unreachable(why) => Self::ReleaseUnknown(why, ttl),
            Failure::Stopped => Self::ReleaseUnknown("the time is over".to_owned(), ttl),
            failure => failure.into(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable(_) | Self::ReleaseUnknown(..) => ErrorKind::Unreachable,
            Self::Refused(status) => match status.code() {
                Code::PermissionDenied | Code::Unauthenticated => ErrorKind::PermissionDenied,
                Code::InvalidArgument if is_wrong_password(status) || is_without_user(status) => {
                    ErrorKind::PermissionDenied
                }
                Code::Unimplemented => ErrorKind::Unsupported,
                _ => ErrorKind::System,
            },
            Self::PlaceLost | Self::WasLost => ErrorKind::NotHeld,
            Self::UsedAsSemaphore
            | Self::UsedAsLock
            | Self::TtlTooShort { .. }
            | Self::Connect(_) => ErrorKind::InvalidOption,
            Self::TooOld(_) => ErrorKind::Unsupported,
            Self::NoThread(_) => ErrorKind::System,
        }
    }
}

impl From<Failure> for Reason {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Stopped => Self::Unreachable("the wait was ended".to_owned()),
            Failure::Unreachable(why) => Self::Unreachable(why),
            Failure::Refused(status) => Self::Refused(status),
            Failure::TtlTooShort { wanted, least } => Self::TtlTooShort { wanted, least },
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(
                f,
                "no server answered ({why}); check that the cluster runs and has a leader"
            ),
            Self::Refused(status) => {
                write!(f, "the server refused: {}", status.message())?;
                match status.code() {
                    Code::PermissionDenied => f.write_str(
                        "; grant the user's role readwrite on the prefix (etcdctl role grant-permission --prefix=true)",
                    ),
                    Code::Unauthenticated => f.write_str("; name a user and a password"),
                    Code::InvalidArgument if is_without_user(status) => {
                        f.write_str("; name a user and a password")
                    }
                    Code::InvalidArgument if is_wrong_password(status) => {
                        f.write_str("; check the user and the password")
                    }
                    Code::Unimplemented => f.write_str("; etcd 3.4 or later is needed"),
                    Code::ResourceExhausted if is_without_space(status) => {
                        f.write_str("; make room (etcdctl compact, defrag), then etcdctl alarm disarm")
                    }
                    _ => Ok(()),
                }
            }
            Self::PlaceLost => f.write_str(
                "its place in the line is lost: someone broke it, or the server did not hear of this process in time; \
                 try again",
            ),
            Self::WasLost => f.write_str(
                "it was lost before: its lease ended, or someone broke it, and others may have held it since",
            ),
            Self::ReleaseUnknown(why, ttl) => write!(
                f,
                "no server confirmed it ({why}); it is tried again as long as this process runs, and is free {ttl:?} after its end",
            ),
            Self::UsedAsSemaphore => {
                f.write_str("the name is in use as a semaphore; choose another name for the lock")
            }
            Self::UsedAsLock => {
                f.write_str("the name is in use as a lock; choose another name for the semaphore")
            }
            Self::TtlTooShort { wanted, least } => write!(
                f,
                "ttl={wanted:?} is less than the servers allow; use at least ttl={least:?}"
            ),
            Self::TooOld(version) => write!(
                f,
                "the server is etcd {version}; version 3.4 or later is needed"
            ),
            Self::NoThread(error) => write!(f, "no thread could be started: {error}"),
            Self::Connect(error) => {
                write!(f, "the connection can't be set up ({}); check the certificates", causes(error))
            }
        }
    }
}

impl std::error::Error for Reason {}

fn is_wrong_password(status: &Status) -> bool {
    status.message().contains("authentication failed")
}

fn is_without_space(status: &Status) -> bool {
    status.message().contains("database space exceeded")
}

fn is_without_user(status: &Status) -> bool {
    status.message().contains("user name is empty")
}

/// Makes the errors of an operation: they name the cluster, and the name of the lock.
#[derive(Clone, Debug)]
pub(crate) struct Blame {
    pub(crate) resource: Resource,
    pub(crate) operation: Operation,
    pub(crate) cluster: std::sync::Arc<str>,
}

impl Blame {
    pub(crate) fn cause(&self, cause: Cause) -> Error {
        Error::new(self.resource.clone(), self.operation, cause)
    }

    pub(crate) fn reason(&self, reason: Reason) -> Error {
        let kind = reason.kind();
        let at = At {
            cluster: self.cluster.clone(),
            reason,
        };
        self.cause(Cause::Engine(kind, Box::new(at)))
    }

    pub(crate) fn failure(&self, failure: Failure) -> Error {
        self.reason(if failure.is_without_lease() {
            Reason::PlaceLost
        } else {
            failure.into()
        })
    }
}

/// A reason, with the cluster.
#[derive(Debug)]
struct At {
    cluster: std::sync::Arc<str>,
    reason: Reason,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cluster, self.reason)
    }
}

impl std::error::Error for At {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_space_is_an_error_that_says_what_to_do() {
        let status = Status::resource_exhausted("etcdserver: mvcc: database space exceeded");
        assert_eq!(Remedy::of(&status), Remedy::None);
        let text = Reason::Refused(status).to_string();
        assert!(text.contains("alarm disarm"), "{text}");
        let busy = Status::resource_exhausted("etcdserver: too many requests");
        assert_eq!(Remedy::of(&busy), Remedy::NextServer);
    }
}
