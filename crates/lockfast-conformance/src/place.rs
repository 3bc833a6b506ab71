//! The place where the suite opens its locks.

use std::time::Duration;

use lockfast::engine::Engine;
use lockfast::{Lock, RwLock, Semaphore};

/// Opens locks of an engine.
///
/// Each call opens another handle, and equal names are the same lock. The names of two places are not the same
/// locks: on a server, each place has a prefix of its own.
pub trait Place: Sync {
    /// The engine that keeps the locks.
    type Engine: Engine;

    /// Opens an exclusive lock.
    fn lock(&self, name: &str) -> Lock<Self::Engine>;

    /// Opens a readers-writer lock.
    fn rwlock(&self, name: &str) -> RwLock<Self::Engine>;

    /// Opens a semaphore.
    fn semaphore(&self, name: &str, permits: u32) -> Semaphore<Self::Engine>;

    /// The number of times that each of four threads takes a lock.
    fn rounds(&self) -> u32 {
        200
    }

    /// The time of a wait that ends without the lock.
    fn short(&self) -> Duration {
        Duration::from_millis(5)
    }

    /// The number of those that wait for the lock with this name, if the engine knows it.
    ///
    /// Needed of an engine whose locks are first come, first served.
    fn waiters(&self, name: &str) -> Option<usize> {
        let _ = name;
        None
    }

    /// Takes the lock from its holder, as the end of a lease or an administrator does; `false` if that can't be.
    ///
    /// Needed of an engine whose locks have a lease.
    fn take_away(&self, name: &str) -> bool {
        let _ = name;
        false
    }
}
