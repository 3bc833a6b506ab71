//! Errors of the server, in the words of the library.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use lockfast::engine::{Cause, Operation};
use lockfast::{Error, ErrorKind, Resource};
use tokio_postgres::error::SqlState;

use crate::schema;

/// The reason why an exchange with the server failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server or the driver reported it.
    Server(tokio_postgres::Error),
    /// The server can't be reached.
    Connect(io::Error),
    /// The server did not answer in time.
    NoAnswer,
    /// The wait for the lock has used up its time.
    TimedOut,
    /// The waiter is gone.
    Cancelled,
    /// The session ended before it was used.
    Closed,
    /// A pooler passes the statements to sessions as it likes.
    Pooled,
    /// The server is a standby.
    Standby,
    /// The server is older than this crate can use.
    TooOld(String),
    /// Another name has the same key.
    Collision(String),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.code() {
            Some(&SqlState::LOCK_NOT_AVAILABLE) => Self::TimedOut,
            _ => Self::Server(error),
        }
    }
}

impl Failure {
    /// Whether the session is gone, so that a fresh one may do better.
    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Closed => true,
            Self::Server(error) => error.is_closed() || is_end_of_session(error.code()),
            _ => false,
        }
    }

    /// Returns the error of that operation, about the server with that URL.
    pub(crate) fn error(self, url: &str, resource: Resource, operation: Operation) -> Error {
        if let Self::Server(error) = &self {
            if error.code() == Some(&SqlState::T_R_DEADLOCK_DETECTED) {
                let cause = Cause::Deadlock("PostgreSQL found that it would wait for itself");
                return Error::new(resource, operation, cause);
            }
        }
        let kind = self.kind();
        let text = self.to_string();
        let url = url.to_owned();
        let cause = Cause::Engine(kind, Box::new(AtUrl { url, text }));
        Error::new(resource, operation, cause)
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Connect(_) | Self::NoAnswer | Self::Closed | Self::Standby => {
                ErrorKind::Unreachable
            }
            Self::TimedOut => ErrorKind::TimedOut,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Pooled | Self::TooOld(_) => ErrorKind::Unsupported,
            Self::Collision(_) => ErrorKind::InvalidPath,
            Self::Server(error) => kind(error),
        }
    }
}

fn kind(error: &tokio_postgres::Error) -> ErrorKind {
    let Some(code) = error.code() else {
        // Only the driver's own errors have no code: the socket, the handshake, the configuration.
        return ErrorKind::Unreachable;
    };
    if *code == SqlState::INVALID_CATALOG_NAME {
        ErrorKind::InvalidOption
    } else if *code == SqlState::INSUFFICIENT_PRIVILEGE || is_login(code) {
        ErrorKind::PermissionDenied
    } else if *code == SqlState::TOO_MANY_CONNECTIONS || is_end_of_session(Some(code)) {
        ErrorKind::Unreachable
    } else {
        ErrorKind::System
    }
}

fn is_login(code: &SqlState) -> bool {
    [
        SqlState::INVALID_PASSWORD,
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
    ]
    .contains(code)
}

/// Whether the server ended the session: a shutdown, a crash, `pg_terminate_backend`, the end of a lease.
fn is_end_of_session(code: Option<&SqlState>) -> bool {
    code.is_some_and(|code| {
        [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::IDLE_SESSION_TIMEOUT,
        ]
        .contains(code)
    })
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(error) => return show_server_error(f, error),
            Self::Connect(error) => return write!(f, "error connecting to server: {error}"),
            Self::Collision(other) => {
                return write!(
                    f,
                    "the name {other} has the same key; give one of them another name"
                );
            }
            Self::TooOld(version) => {
                return write!(
                    f,
                    "the server is PostgreSQL {version}, and locks need 13 or newer"
                );
            }
            _ => {}
        }
        f.write_str(match self {
            Self::NoAnswer => "the server did not answer in time; see ?timeout=",
            Self::TimedOut => "the time is over",
            Self::Cancelled => "the wait was ended",
            Self::Standby => {
                "the server is a standby, and its locks are not those of the primary; name the primary"
            }
            Self::Pooled => {
                "a pooler in transaction mode (PgBouncer) is in between, and a lock belongs to a session: \
                 connect to PostgreSQL itself, or use session pooling"
            }
            _ => "the session with the server has ended",
        })
    }
}

fn show_server_error(f: &mut fmt::Formatter<'_>, error: &tokio_postgres::Error) -> fmt::Result {
    let Some(server) = error.as_db_error() else {
        write!(f, "{error}")?;
        let mut source = error.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        return Ok(());
    };
    f.write_str(server.message())?;
    let code = server.code();
    if is_login(code) {
        f.write_str("; check the user, and the password in PGPASSWORD or ?password-file=")?;
    } else if *code == SqlState::TOO_MANY_CONNECTIONS {
        f.write_str(
            "; each lock that is held or waited for needs a connection: raise max_connections",
        )?;
    }
    Ok(())
}

/// A text about a server.
#[derive(Debug)]
struct AtUrl {
    url: String,
    text: String,
}

impl fmt::Display for AtUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.url, self.text)
    }
}

impl StdError for AtUrl {}

/// Returns the error about an argument or about what the server lacks.
pub(crate) fn refused(
    url: &str,
    resource: Resource,
    operation: Operation,
    kind: ErrorKind,
    text: impl Into<String>,
) -> Error {
    let (url, text) = (url.to_owned(), text.into());
    Error::new(
        resource,
        operation,
        Cause::Engine(kind, Box::new(AtUrl { url, text })),
    )
}

/// Returns the error of a statement about the table, with what to run if this role may not use it.
pub(crate) fn of_table(
    failure: Failure,
    role: &str,
    url: &str,
    resource: Resource,
    operation: Operation,
) -> Error {
    if let Failure::Server(error) = &failure {
        if let Some(remedy) = schema::remedy(error, role) {
            let text = format!("{failure}; {remedy}");
            return refused(url, resource, operation, ErrorKind::PermissionDenied, text);
        }
    }
    failure.error(url, resource, operation)
}
