//! Finds the holders and waiters of locks: of one file or of the whole machine.
//!
//! It shows the locks of lockfast and those of all other programs (flock(1), fasteners, Java, dpkg,
//! cargo, ...), costs the holders nothing, and neither takes nor tries a lock. With the feature
//! `inspect`.
//!
//! ```
//! # #[cfg(target_os = "linux")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("nightly.lock");
//! use lockfast::inspect;
//!
//! let lock = lockfast::Lock::open(&path)?;
//! assert!(inspect::path(&path)?.is_free());
//!
//! let guard = lock.lock()?;
//! let report = inspect::path(&path)?;
//! for holder in report.holders() {
//!     assert_eq!(holder.processes[0].pid, std::process::id());
//!     assert_eq!(holder.role, Some(inspect::Role::Writer));
//! }
//! assert_eq!(report.holders().count(), 1);
//! # drop(guard);
//! # Ok(())
//! # }
//! # #[cfg(not(target_os = "linux"))] fn main() {}
//! ```
//!
//! # Reports are snapshots
//!
//! Locks come and go while the kernel's tables are read, so a report is a picture of a moment that may be
//! over. Do not use it to decide whether to go on: take the lock, with [`try_lock`](crate::Lock::try_lock).
//!
//! # Platform-specific behaviour
//!
//! On Linux and Android, a report is read from `/proc`. [`Incomplete`] has the reasons why users without
//! privileges and processes in containers may not see everything.
//!
//! Windows reports less. The Restart Manager names the processes that have a file open
//! ([`Report::openers`]), but nothing says which of them holds a lock. An exclusive lock shows, because a byte
//! of the file can't be read then; a shared lock does not. So a report says *held*, or *free* if nobody has
//! the file open, or neither. The holder is named if no other process has the file open, or by its owner
//! record. There is no report of the whole machine, and no deadlock is found.
//!
//! On other systems it is an error with [`is_unsupported`](crate::Error::is_unsupported).

#![cfg_attr(
    any(
        not(any(target_os = "linux", target_os = "android")),
        lockfast_unsupported
    ),
    allow(
        dead_code,
        reason = "where the system tells less, some of the vocabulary is not used"
    )
)]

mod bytes;
mod deadlock;
mod explain;
mod openers;
mod records;
mod report;
mod snapshot;
mod system;
mod view;

pub use self::deadlock::{Deadlock, DeadlockStep};
pub use self::explain::Explained;
pub use self::report::{Report, machine, path};
pub(crate) use self::system::key_of;
pub use self::view::{
    Incomplete, Kind, LockMode, LockView, LockedFile, Opener, Permits, Process, Role, State,
};
