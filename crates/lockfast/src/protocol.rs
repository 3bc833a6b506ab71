//! The protocol: which kernel locks on which bytes of a lock file mean what.
//!
//! | module | subject |
//! |---|---|
//! | [`layout`] | the table of all bytes, and when it may change |
//! | [`plan`] | the kernel calls of each mode, and why they are right |
//! | [`tag`] | how an exclusive holder names itself |
//! | [`line`](mod@line) | how often a waiter is overtaken |
//! | [`permits`] | semaphores |
//! | [`tickets`] | the FIFO order |
//! | [`linger`] | cached locks, and waiters that ask for them |
//!
//! All of it is data: `file` makes the calls, and the models explore them.

pub(crate) mod layout;
pub(crate) mod line;
pub(crate) mod linger;
#[cfg(test)]
pub(crate) mod model;
mod part;
pub(crate) mod permits;
pub(crate) mod plan;
pub(crate) mod tag;
pub(crate) mod tickets;

pub(crate) use crate::sys::Blocker;

/// The kind of kernel lock to take, and so the other programs that lockfast works together with.
///
/// Programs work together if each waits for the other. On Linux the two kinds do not see each other,
/// except on network file systems: all programs that lock one file have to take the same kind, or
/// [`Protocol::Both`]. A crontab with `flock` in one line and `lockfast run` in another has no exclusion
/// between the two lines, and neither program fails: while programs are moved from one kind to the
/// other, lockfast's side must use `Both` (`lockfast run --protocol both`). A table of programs is in
/// docs/works-with.md.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("demo.lock");
/// use lockfast::{Lock, Protocol};
///
/// // Works together with flock(1) and std::fs::File::lock.
/// let lock = Lock::options().protocol(Protocol::Flock).open(&path)?;
/// let guard = lock.lock()?;
/// # drop(guard);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// Record locks: works together with `fcntl`, `lockf`, fasteners and Java's `FileChannel.lock`.
    ///
    /// The lock belongs to the open file description (`F_OFD_SETLK`), not to the process. Its range
    /// starts at byte 0 and its length names the holder, so that those who wait can say who it is.
    ///
    /// # Platform-specific behaviour
    ///
    /// On systems without such locks (the BSDs) it is a `flock`, which works together with the same
    /// programs there.
    ///
    /// On Windows there is one kind of lock, and each protocol works together with programs that lock
    /// byte 0 by `LockFileEx`: fasteners, Python's filelock and portalocker, `std::fs::File::lock`. Nobody but the
    /// holder can read or write byte 0 meanwhile. Who holds it is not known.
    #[default]
    Fcntl,
    /// `flock` locks: works together with flock(1), `std::fs::File::lock`, cargo, Python's filelock and
    /// portalocker. The holder is not known.
    Flock,
    /// Both kinds: record locks first, then `flock`, at twice the cost. For files that programs of both
    /// kinds lock: it works together with all of them.
    Both,
}

#[cfg(test)]
mod tests;
