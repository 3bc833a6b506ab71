//! Locks between processes that were started independently.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("nightly.lock");
//! use lockfast::Lock;
//! use std::time::Duration;
//!
//! let lock = Lock::open(&path)?;                              // nothing is locked yet
//! let guard = lock.lock()?;                                   // waits in the kernel's queue
//! drop(guard);                                                // or guard.release()? to see errors
//! let guard = lock.try_lock_for(Duration::from_secs(10))?;    // Err(e) with e.is_timed_out()
//! assert!(lock.try_lock().unwrap_err().is_contended());
//! # drop(guard);
//! # Ok(())
//! # }
//! ```
//!
//! [`Lock`] excludes everybody else, [`RwLock`] lets readers in together, [`ReentrantLock`] may be
//! taken again by its thread, [`Semaphore`] lets so many in, and [`lock_all`] takes several at once.
//!
//! * **Released by the kernel** when a holder dies, in whatever way.
//! * **Waits sleep** in the kernel's queue, with and without a deadline; nothing polls.
//! * **No accidental release**: not by closing the file elsewhere in the process, not by a forked
//!   child, not by another handle.
//! * **Threads** of one process exclude each other too, first come, first served.
//! * **No deadlock goes unnoticed** in a thread that would wait for itself.
//! * **Deleted or replaced lock files** are noticed, and renamed ones: two processes never go on
//!   together because of one.
//! * **Nothing is harmed**: no truncation, no symbolic link followed, no FIFO or device opened.
//!
//! Locks are advisory: they exclude those who ask for them. A network file system is as good as its
//! lock manager. What holds on which platform is in PLATFORM.md.
//!
//! Without features the crate depends on nothing but the system interface.
//!
//! # Features
//!
//! `tracing` tells subscribers of the `tracing` crate of waits, acquires and releases, with path,
//! mode, the time waited and the holder if it is known: each wait is a span named `wait`, and it and
//! its end are events at the level `DEBUG`; acquires without a wait, and releases, are events at
//! `TRACE`. It is off by default and then costs nothing.
//!
//! `inspect` adds the module of that name: who holds which lock of the machine, who waits, and which
//! processes wait for each other in a circle. It is off by default.
//!
//! `macros` adds the attributes `#[lockfast::locked]`, `#[lockfast::read_locked]` and
//! `#[lockfast::write_locked]`, which run a whole function under a lock. It is off by default.

#![warn(clippy::print_stdout, clippy::print_stderr)]

#[doc(hidden)]
pub mod binding_support;
mod cancel;
#[doc(hidden)]
pub mod command_support;
mod conversion;
mod error;
mod file;
mod group;
mod handle;
mod handles;
mod hash;
mod hold;
mod holder;
mod identity;
#[cfg(feature = "inspect")]
pub mod inspect;
mod linger;
mod lock;
#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod macro_support;
mod named;
mod options;
mod order;
mod owner;
mod per_process;
mod pool;
mod primitive;
mod protocol;
mod queue;
mod reentrant;
mod release;
mod rwlock;
mod semaphore;
mod sys;
mod thread;
mod trace;
mod wait;
mod watcher;
mod words;

pub use cancel::CancelToken;
pub use conversion::ConversionError;
pub use error::{Error, Result};
pub use group::{
    Guards, Member, MemberGuard, lock_all, lock_all_async, try_lock_all, try_lock_all_for,
    try_lock_all_until,
};
pub use holder::Holder;
pub use identity::Verify;
pub use lock::{Lock, LockGuard};
#[cfg(feature = "macros")]
pub use lockfast_macros::{locked, read_locked, write_locked};
pub use named::Scope;
pub use options::Options;
pub use order::Fairness;
pub use owner::Owner;
pub use protocol::Protocol;
pub use reentrant::{ReentrantLock, ReentrantLockGuard};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};
pub use semaphore::{Semaphore, SemaphorePermit};
pub use wait::Waiting;

/// Opens the exclusive lock with that name, which the user's processes share.
///
/// The same as [`Lock::named`].
///
/// # Errors
///
/// As [`Lock::named`].
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), lockfast::Error> {
/// let guard = lockfast::named("lockfast-docs-nightly")?.lock()?;
/// # drop(guard);
/// # Ok(())
/// # }
/// ```
pub fn named(name: impl AsRef<str>) -> Result<Lock> {
    Lock::named(name)
}
