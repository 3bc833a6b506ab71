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
//! [`Lock`] is exclusive, [`RwLock`] admits readers together, [`ReentrantLock`] can be taken again by its thread,
//! [`Semaphore`] admits up to N holders, and [`lock_all`] takes several locks together.
//! All of them may use the same path: an exclusive holder keeps readers and permits out, and readers
//! and permits keep each other out.
//!
//! * **The kernel releases the lock** when its holder dies, however it dies, once it has cleaned up the
//!   process.
//! * **Waits sleep** in the kernel's queue instead of retrying. Where a system can't do that for a wait
//!   with a deadline, PLATFORM.md says so.
//! * **No accidental release**: not by closing the file elsewhere in the process, not by a forked
//!   child, not by another handle.
//! * **Threads** of one process keep each other out too, first come, first served.
//! * **No deadlock goes unnoticed** in a thread that would wait for itself.
//! * **Lock files that were deleted, replaced or renamed** are noticed by the next acquire, which takes
//!   the lock of the file that is at the path now. A program that deletes the file while the lock is held lets
//!   the next one in; [`LockGuard::is_current`] detects that.
//! * **Nothing is harmed**: no truncation, no symbolic link followed, no FIFO or device opened.
//!
//! Locks are advisory: they keep out programs that ask for them, with the same kind of lock (see
//! [`Protocol`]). A network file system is as good as its lock manager. PLATFORM.md, in the
//! repository, lists the behaviour on each platform.
//!
//! The primitives are written over an [engine]: files here, other systems in crates of their own.
//!
//! # Rust version
//!
//! Rust 1.85 or later. A minor release may raise it, with a line in the changelog.
//!
//! # Dependencies
//!
//! Without features the crate depends on nothing but the interface to the system: the crate `libc`, on
//! Windows `windows-sys`.
//!
//! # Features
//!
//! `tracing` reports waits, acquires and releases to subscribers of the `tracing` crate, with path,
//! mode, the time waited and the holder if it is known: each wait is a span named `wait`, and it and
//! its end are events at the level `DEBUG`; acquires without a wait, and releases, are events at
//! `TRACE`. It is off by default and then costs nothing.
//!
//! `inspect` adds the module of that name: holders and waiters of all locks of the machine, and processes that
//! wait for each other in a circle. It is off by default.
//!
//! `macros` adds the attributes `#[lockfast::locked]`, `#[lockfast::read_locked]` and
//! `#[lockfast::write_locked]`, which run a whole function under a lock. It is off by default.

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod api;
mod file;
mod handle;
#[cfg(feature = "inspect")]
pub mod inspect;
mod protocol;
mod queue;
mod sys;
mod types;
mod wait;

pub use api::conversion::ConversionError;
pub use api::engine;
pub use api::engine::HoldState;
pub use api::group::{
    Guards, Member, MemberGuard, lock_all, lock_all_async, lock_all_async_for,
    lock_all_async_until, try_lock_all, try_lock_all_for, try_lock_all_until,
};
pub use api::lock::{Lock, LockGuard};
pub use api::lost::LostCallback;
#[cfg(feature = "macros")]
#[doc(hidden)]
pub use api::macro_support;
pub use api::options::Options;
pub use api::reentrant::{ReentrantLock, ReentrantLockGuard};
pub use api::rwlock::{RwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};
pub use api::semaphore::{Semaphore, SemaphorePermit};
#[doc(hidden)]
pub use api::{binding_support, command_support};
pub use file::owner::Owner;
#[cfg(feature = "macros")]
pub use lockfast_macros::{locked, read_locked, write_locked};
pub use protocol::Protocol;
pub use types::cancel::CancelToken;
pub use types::error::{Error, Result};
pub use types::error_kind::ErrorKind;
pub use types::fairness::Fairness;
pub use types::holder::Holder;
pub use types::resource::Resource;
pub use types::scope::Scope;
pub use types::verify::Verify;
pub use types::waiting::Waiting;
