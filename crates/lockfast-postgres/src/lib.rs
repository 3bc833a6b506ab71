//! Locks of lockfast on PostgreSQL 13 and newer.
//!
//! A lock is an advisory lock of a session: PostgreSQL keeps the queue, first come, first served, and frees the
//! lock when the session ends. This crate adds what a lock across machines needs: a lease (the server ends a
//! session that is not heard from), a fencing token, and guards that say when their lock is lost.
//! `docs/design/postgres.md` in the repository describes how.
//!
//! `lockfast_space::Space` chooses an engine by its URL, and opens the same locks by the same names.

mod address;
mod attempt;
mod client;
mod failure;
mod flight;
mod hold;
mod inspect;
mod integers;
mod kept;
mod key;
mod lock;
mod lock_row;
mod park;
mod permits;
mod pool;
mod process;
mod pump;
mod schema;
mod semaphore;
mod session;
mod sql;
mod tls;
mod wire;

use lockfast::engine::Engine;

pub use client::Client;
pub use hold::PgHold;
pub use lock::PgLock;
pub use lock_row::{LockRow, OnPostgres};
pub use permits::PgPermits;
pub use semaphore::PgSemaphore;

/// The engine of locks on PostgreSQL.
#[derive(Clone, Copy, Debug)]
pub enum Postgres {}

impl Engine for Postgres {
    type Lock = PgLock;
    type Semaphore = PgSemaphore;
}
