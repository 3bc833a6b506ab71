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
//! * **Released by the kernel** when a holder dies, in whatever way.
//! * **Waits sleep** in the kernel's queue, with and without a deadline; nothing polls.
//! * **No accidental release**: not by closing the file elsewhere in the process, not by a forked
//!   child, not by another handle.
//! * **Threads** of one process exclude each other too, first come, first served.
//! * **Deleted or replaced lock files** are noticed: two processes never go on together because of
//!   one.
//! * **Nothing is harmed**: no truncation, no symbolic link followed, no FIFO or device opened.
//!
//! Locks are advisory: they exclude those who ask for them. A network file system is as good as its
//! lock manager. What holds on which platform is in PLATFORM.md.
//!
//! The crate depends on nothing but the system interface.

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod conversion;
mod error;
mod file;
mod handle;
mod handles;
mod hold;
mod holder;
mod identity;
mod lock;
mod options;
mod per_process;
mod pool;
mod protocol;
mod queue;
mod rwlock;
mod semaphore;
mod sys;
mod thread;
mod wait;

pub use conversion::ConversionError;
pub use error::{Error, Result};
pub use holder::Holder;
pub use identity::Verify;
pub use lock::{Lock, LockGuard};
pub use options::Options;
pub use protocol::Protocol;
pub use rwlock::{RwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};
pub use semaphore::{Semaphore, SemaphorePermit};
pub use wait::Waiting;
