//! The file of a fence, which stores the greatest token that has passed.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::str;

use lockfast::engine::{Cause, Operation};
use lockfast::{Error, ErrorKind, Result};

use crate::token::Token;

/// The file of a fence, while the caller holds the exclusive lock on it.
#[derive(Debug)]
pub struct FenceFile<'a> {
    path: &'a Path,
    file: &'a File,
}

/// The reason why a token does not pass.
#[derive(Debug)]
enum Refused {
    NoToken,
    Older { token: Token, greatest: Token },
    OtherEpoch { token: Token, greatest: Token },
    Foreign,
}

impl<'a> FenceFile<'a> {
    /// Returns the fence in that file, which the caller has locked.
    #[must_use]
    pub fn new(path: &'a Path, file: &'a File) -> Self {
        Self { path, file }
    }

    /// Lets the holder with that token pass if no later one has passed, and remembers it.
    ///
    /// # Errors
    ///
    /// As [`Fence::pass`](crate::Fence::pass).
    pub fn pass(&self, token: Token) -> Result<()> {
        let greatest = self.greatest()?;
        match greatest.map(|greatest| (greatest, token.is_older_than(greatest))) {
            Some((greatest, None)) => {
                Err(refused(self.path, Refused::OtherEpoch { token, greatest }))
            }
            Some((greatest, Some(true))) => {
                Err(refused(self.path, Refused::Older { token, greatest }))
            }
            _ if greatest == Some(token) => Ok(()),
            _ => self.store(token),
        }
    }

    /// The greatest token that has passed; `None` if none has.
    ///
    /// # Errors
    ///
    /// If the file can't be read, or has other content.
    pub fn greatest(&self) -> Result<Option<Token>> {
        let content = read(self.file).map_err(|error| self.failed(error))?;
        if content.is_empty() {
            return Ok(None);
        }
        let token = str::from_utf8(&content).ok().and_then(parse);
        token
            .map(Some)
            .ok_or_else(|| refused(self.path, Refused::Foreign))
    }

    /// Lets only tokens of that epoch pass from now on.
    ///
    /// # Errors
    ///
    /// If the file can't be written.
    pub fn begin_epoch(&self, epoch: u64) -> Result<()> {
        self.store(Token { epoch, number: 0 })
    }

    /// Stores the token for good, before its holder touches the resource.
    fn store(&self, token: Token) -> Result<()> {
        write(self.file, &line(token)).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> Error {
        Error::new(self.path, Operation::Pass, Cause::System(error))
    }
}

/// Returns the token of a holder that may have one, for the fence at that path.
///
/// # Errors
///
/// If it has none.
pub fn token_at(path: &Path, token: Option<Token>) -> Result<Token> {
    token.ok_or_else(|| refused(path, Refused::NoToken))
}

fn refused(path: &Path, why: Refused) -> Error {
    let kind = match why {
        Refused::Older { .. } => ErrorKind::NotHeld,
        Refused::NoToken | Refused::OtherEpoch { .. } => ErrorKind::InvalidOption,
        Refused::Foreign => ErrorKind::InvalidPath,
    };
    Error::new(path, Operation::Pass, Cause::Engine(kind, Box::new(why)))
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToken => f.write_str(
                "the guard has no token; an exclusive lock of a space has one, a local lock with `owner_record`",
            ),
            Self::Older { token, greatest } => write!(
                f,
                "its token {token} is older than {}, which has passed: the lock was lost, and another holder came",
                greatest.number
            ),
            Self::OtherEpoch { token, greatest } => write!(
                f,
                "its token is {token}, and those that have passed are of epoch {}: the server was replaced or \
                 restored from a copy; when no earlier holder is left, let the operator begin the epoch \
                 (`begin_epoch`)",
                greatest.epoch
            ),
            Self::Foreign => f.write_str("the file has other content: a fence needs a file of its own"),
        }
    }
}

impl std::error::Error for Refused {}

/// The line of a token. All have one length, so that a new one covers the old one.
fn line(token: Token) -> String {
    format!("{HEAD}{:020} {:020}\n", token.epoch, token.number)
}

fn parse(text: &str) -> Option<Token> {
    let (epoch, number) = text
        .strip_prefix(HEAD)?
        .strip_suffix('\n')?
        .split_once(' ')?;
    let token = Token {
        epoch: epoch.parse().ok()?,
        number: number.parse().ok()?,
    };
    (line(token) == text).then_some(token)
}

const HEAD: &str = "lockfast-fence 1 ";
/// The length of a line.
const LENGTH: u64 = (HEAD.len() + "00000000000000000000 00000000000000000000\n".len()) as u64;

/// Reads one byte more than a line has, to see that there is no more.
fn read(mut file: &File) -> io::Result<Vec<u8>> {
    file.rewind()?;
    let mut content = Vec::new();
    file.take(LENGTH + 1).read_to_end(&mut content)?;
    Ok(content)
}

fn write(mut file: &File, line: &str) -> io::Result<()> {
    file.rewind()?;
    file.write_all(line.as_bytes())?;
    file.sync_data()
}
