//! A file that lets the newest holder of a lock pass, and refuses earlier ones.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use lockfast::engine::{Cause, Operation};
use lockfast::{Error, ErrorKind, Lock, LockGuard, Result};

use crate::token::{Fenced, Token};

/// The other half of a lease: a file beside the resource that stores the greatest token that has passed, and
/// refuses smaller ones.
///
/// A lock on a server can be lost while its holder is stopped, and the holder goes on before it can ask. Its
/// [`check`](lockfast::LockGuard::check) may have been a moment before. A fence is where the resource is, so it
/// decides at the right time: between [`pass`](Self::pass) and the drop of what it returns, nobody else passes.
///
/// All who write the resource must pass. The fence works for processes of one machine, as a local lock does.
///
/// # Epochs
///
/// A server whose data were restored from a copy should have another epoch, because its tokens may be smaller than
/// those before.
/// A fence can't know which of two epochs is the later one, and refuses the new one until an operator calls
/// [`begin_epoch`](Self::begin_epoch).
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let space = lockfast_space::Space::open(&format!("file://{}", dir.path().display()))?;
/// use lockfast_space::{Fence, Fenced, Token};
///
/// let fence = Fence::open(dir.path().join("report.fence"))?;
/// let guard = space.lock("report")?.lock()?;
/// {
///     let _passed = fence.pass(&guard)?;
///     std::fs::write(dir.path().join("report"), "new")?;
/// }
/// // A writer that was stopped, and lost the lock to the holder above:
/// let now = guard.fencing_token().ok_or("a token")?;
/// let stale = Token { number: now.number - 1, ..now };
/// assert!(fence.pass(&stale).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Fence {
    lock: Lock,
}

/// The holder of the newest token is at the resource until this is dropped; nobody else passes meanwhile.
#[derive(Debug)]
#[must_use = "others pass when this is dropped, which is at once if it is not kept"]
pub struct Passed {
    _guard: LockGuard,
}

/// The reason why a token does not pass.
#[derive(Debug)]
enum Refused {
    NoToken,
    Older { token: Token, greatest: Token },
    OtherEpoch { token: Token, greatest: Token },
    Foreign,
}

impl Fence {
    /// Opens the fence in that file, which is created if need be.
    ///
    /// # Errors
    ///
    /// As [`Lock::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Lock::open(path).map(|lock| Self { lock })
    }

    /// Lets the holder pass if no later one has passed, and remembers its token.
    ///
    /// # Blocking
    ///
    /// While another one is at the resource.
    ///
    /// # Errors
    ///
    /// Of the kind [`NotHeld`](ErrorKind::NotHeld) if a later holder has passed: this one has lost its lock. Of the
    /// kind [`InvalidOption`](ErrorKind::InvalidOption) if the guard has no token, or one of another epoch. When the
    /// file can't be locked, read or written.
    pub fn pass(&self, holder: &impl Fenced) -> Result<Passed> {
        let token = holder.fencing_token();
        let token = token.ok_or_else(|| self.refused(Refused::NoToken))?;
        let guard = self.lock.lock()?;
        let greatest = self.greatest_of(&guard)?;
        match greatest.map(|greatest| (greatest, token.is_older_than(greatest))) {
            Some((greatest, None)) => {
                return Err(self.refused(Refused::OtherEpoch { token, greatest }));
            }
            Some((greatest, Some(true))) => {
                return Err(self.refused(Refused::Older { token, greatest }));
            }
            _ => {}
        }
        if greatest != Some(token) {
            self.store(&guard, token)?;
        }
        Ok(Passed { _guard: guard })
    }

    /// The greatest token that has passed; `None` if none has.
    ///
    /// # Errors
    ///
    /// If the file can't be locked or read.
    pub fn greatest(&self) -> Result<Option<Token>> {
        let guard = self.lock.lock()?;
        self.greatest_of(&guard)
    }

    /// Lets only tokens of that epoch pass from now on, from the smallest on: for an operator who has made sure that
    /// no holder of the epoch before is left.
    ///
    /// # Errors
    ///
    /// If the file can't be locked or written.
    pub fn begin_epoch(&self, epoch: u64) -> Result<()> {
        let guard = self.lock.lock()?;
        self.store(&guard, Token { epoch, number: 0 })
    }

    fn greatest_of(&self, guard: &LockGuard) -> Result<Option<Token>> {
        let text = read(guard.file()).map_err(|error| self.failed(error))?;
        if text.is_empty() {
            return Ok(None);
        }
        let token = parse(&text);
        token
            .map(Some)
            .ok_or_else(|| self.refused(Refused::Foreign))
    }

    /// Stores the token for good, before its holder touches the resource.
    fn store(&self, guard: &LockGuard, token: Token) -> Result<()> {
        write(guard.file(), &line(token)).map_err(|error| self.failed(error))
    }

    fn refused(&self, why: Refused) -> Error {
        let kind = match why {
            Refused::Older { .. } => ErrorKind::NotHeld,
            Refused::NoToken | Refused::OtherEpoch { .. } => ErrorKind::InvalidOption,
            Refused::Foreign => ErrorKind::InvalidPath,
        };
        let cause = Cause::Engine(kind, Box::new(why));
        Error::new(self.lock.path(), Operation::Pass, cause)
    }

    fn failed(&self, error: io::Error) -> Error {
        Error::new(self.lock.path(), Operation::Pass, Cause::System(error))
    }
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

fn read(mut file: &File) -> io::Result<String> {
    file.rewind()?;
    let mut text = String::new();
    // One byte more than a line, to see that there is no more.
    file.take(
        line(Token {
            epoch: 0,
            number: 0,
        })
        .len() as u64
            + 1,
    )
    .read_to_string(&mut text)
    .or_else(|error| match error.kind() {
        io::ErrorKind::InvalidData => {
            "?".clone_into(&mut text);
            Ok(0)
        }
        _ => Err(error),
    })?;
    Ok(text)
}

fn write(mut file: &File, line: &str) -> io::Result<()> {
    file.rewind()?;
    file.write_all(line.as_bytes())?;
    file.sync_data()
}
