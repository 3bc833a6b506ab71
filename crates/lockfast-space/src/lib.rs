//! A space of named locks, chosen by a URL: the same program runs with a directory, etcd or PostgreSQL.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let url = format!("file://{}", dir.path().display());
//! use lockfast_space::Space;
//!
//! let space = Space::open(&url)?;             // or etcd://h1:2379,h2:2379/prefix, postgres://h/db
//! let lock = space.lock("nightly")?;          // the methods of `lockfast::Lock`
//! let guard = lock.lock()?;
//! guard.check()?;                             // still held? to be asked before a side effect
//! println!("token {:?} of epoch {}", guard.token(), guard.epoch());
//! guard.release()?;
//! # Ok(())
//! # }
//! ```
//!
//! | URL | engine | feature |
//! |---|---|---|
//! | `file:///dir` | lock files in that directory, which the kernel of this machine keeps | |
//! | `etcd://host:2379,host:2379/prefix`, `etcds://…` (TLS) | etcd | `etcd` |
//! | `postgres://host/database` | PostgreSQL | `postgres` |
//!
//! The primitives, their guards, errors and forms of waiting are those of the crate `lockfast`, over the engine
//! [`Any`]. Engines differ in their [capabilities](Space::capabilities). A feature that an engine lacks is an
//! error with [`is_unsupported`](lockfast::Error::is_unsupported) when it is used, never a weaker lock.
//!
//! # A lease is a promise with an end
//!
//! The kernel keeps the lock of a file as long as its holder lives. A server can't see whether a holder lives, so it
//! frees a lock when it has not heard of the holder for a while. The guard then reports it: by
//! [`state`](lockfast::LockGuard::state), [`lost`](lockfast::LockGuard::lost),
//! [`on_lost`](lockfast::LockGuard::on_lost) and [`check`](lockfast::LockGuard::check). A process that was stopped
//! for that long goes on before it can ask. The resource that the lock protects needs a [`Fence`], which refuses
//! such a writer. Data in the server of the lock need none: `OnEtcd` and `OnPostgres`, with the features `etcd` and
//! `postgres`, give what a transaction there has to compare.

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod any;
#[doc(hidden)]
pub mod binding_support;
mod directory;
mod fence;
mod fence_file;
mod space;
mod token;
mod url;

pub use any::{Any, AnyHold, AnyLock, AnyPermits, AnySemaphore};
pub use fence::{Fence, Passed};
#[cfg(feature = "etcd")]
pub use lockfast_etcd::{LockKey, OnEtcd};
pub use lockfast_lease::{Check, Entry, Kind, Party, Verdict};
#[cfg(feature = "postgres")]
pub use lockfast_postgres::{LockRow, OnPostgres};
pub use space::{SPACE, Space};
pub use token::{Fenced, Token};

/// An exclusive lock of a space.
pub type Lock = lockfast::Lock<Any>;
/// A readers-writer lock of a space.
pub type RwLock = lockfast::RwLock<Any>;
/// A semaphore of a space.
pub type Semaphore = lockfast::Semaphore<Any>;
/// A guard of a [`Lock`].
pub type LockGuard = lockfast::LockGuard<Any>;
/// A reader's guard of an [`RwLock`].
pub type RwLockReadGuard = lockfast::RwLockReadGuard<Any>;
/// The guard of a reader of an [`RwLock`] that can become the writer, where the engine has
/// [`conversions`](lockfast::engine::Capabilities::conversions).
pub type RwLockUpgradableReadGuard = lockfast::RwLockUpgradableReadGuard<Any>;
/// The writer's guard of an [`RwLock`].
pub type RwLockWriteGuard = lockfast::RwLockWriteGuard<Any>;
/// Permits of a [`Semaphore`].
pub type SemaphorePermit = lockfast::SemaphorePermit<Any>;
