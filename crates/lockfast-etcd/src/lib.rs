//! Locks of lockfast on etcd.
//!
//! A [`Client`] opens locks and semaphores that all machines share which reach the same cluster. They implement the
//! traits of [`lockfast::engine`], so that `Lock`, `RwLock` and `Semaphore` of lockfast, with their guards and all
//! forms of waiting, work on them.
//!
//! ```no_run
//! # fn main() -> lockfast::Result<()> {
//! use lockfast::Lock;
//! use lockfast_etcd::{Client, Etcd};
//!
//! let client = Client::open("etcd://127.0.0.1:2379/jobs?ttl=15s")?;
//! let lock: Lock<Etcd> = Lock::from_raw(client.lock("nightly")?);
//! let guard = lock.lock()?;
//! let token = guard.token();      // greater than that of every holder before
//! # drop((guard, token));
//! # Ok(())
//! # }
//! ```
//!
//! A lock on a server can be lost: the server frees it when it does not hear of the holder for the time of its lease.
//! The guard tells whether that may have happened, and its token lets a store refuse a holder that is late.
//! `docs/design/etcd.md` has the design.

mod address;
mod client;
mod connection;
mod core;
mod diagnose;
mod failure;
#[cfg(test)]
mod faults;
mod hold;
mod inspect;
mod keys;
mod lock;
mod lock_key;
#[cfg(test)]
mod memory;
mod permits;
mod pool;
mod proto;
mod queue;
mod record;
mod semaphore;
mod servers;
mod session;
mod stop;
mod ticket;
mod transport;
mod txn;
mod waiting;
mod watches;

use lockfast::engine::Engine;

pub use client::Client;
pub use lock::{EtcdHold, EtcdLock};
pub use lock_key::{LockKey, OnEtcd};
pub use permits::EtcdPermits;
pub use semaphore::EtcdSemaphore;

/// Locks on etcd, as an engine.
#[derive(Clone, Copy, Debug)]
pub enum Etcd {}

impl Engine for Etcd {
    type Lock = EtcdLock;
    type Semaphore = EtcdSemaphore;
}
