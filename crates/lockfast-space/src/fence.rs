//! A file that lets the newest holder of a lock pass, and refuses earlier ones.

use std::path::Path;

use lockfast::{Lock, LockGuard, Result};

use crate::fence_file::{FenceFile, token_at};
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
    /// Of the kind [`NotHeld`](lockfast::ErrorKind::NotHeld) if a later holder has passed: this one has lost its
    /// lock. Of the kind [`InvalidOption`](lockfast::ErrorKind::InvalidOption) if the guard has no token, or one of
    /// another epoch. When the file can't be locked, read or written.
    pub fn pass(&self, holder: &impl Fenced) -> Result<Passed> {
        let token = token_at(self.lock.path(), holder.fencing_token())?;
        let guard = self.lock.lock()?;
        self.file(&guard).pass(token)?;
        Ok(Passed { _guard: guard })
    }

    /// The greatest token that has passed; `None` if none has.
    ///
    /// # Errors
    ///
    /// If the file can't be locked or read.
    pub fn greatest(&self) -> Result<Option<Token>> {
        let guard = self.lock.lock()?;
        self.file(&guard).greatest()
    }

    /// Lets only tokens of that epoch pass from now on, from the smallest on: for an operator who has made sure that
    /// no holder of the epoch before is left.
    ///
    /// # Errors
    ///
    /// If the file can't be locked or written.
    pub fn begin_epoch(&self, epoch: u64) -> Result<()> {
        let guard = self.lock.lock()?;
        self.file(&guard).begin_epoch(epoch)
    }

    fn file<'a>(&'a self, guard: &'a LockGuard) -> FenceFile<'a> {
        FenceFile::new(self.lock.path(), guard.file())
    }
}
