//! The lock that all guards of a thread share.
//!
//! | `owner` | `count` | `guard` |
//! |---|---|---|
//! | none | 0 | none |
//! | the thread that holds it | the number of its guards | the lock's own guard |

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};

use crate::api::engine::Engine;
use crate::api::lock::{Lock, LockGuard};
use crate::sys::mutex;
use crate::sys::per_process::PerProcess;
use crate::types::error::Result;
use crate::types::thread::{AtomicThreadToken, ThreadToken};

/// A lock, and its hold in each process that has a copy of it.
pub(super) struct ReentrantState<E: Engine> {
    pub(super) lock: Lock<E>,
    process: PerProcess<OfProcess<E>>,
}

struct OfProcess<E: Engine> {
    // A thread that reads its own token here has written it, so nothing else has to be ordered with it.
    owner: AtomicThreadToken,
    // Changed by the owner only.
    count: AtomicU32,
    // Put and taken by the owner only, so nobody waits for this mutex.
    guard: Mutex<Option<LockGuard<E>>>,
}

impl<E: Engine> ReentrantState<E> {
    pub(super) fn new(lock: Lock<E>) -> Self {
        Self {
            lock,
            process: PerProcess::new(OfProcess::default()),
        }
    }

    fn process(&self) -> &OfProcess<E> {
        self.process.get(OfProcess::default)
    }

    /// The number of guards.
    pub(super) fn count(&self) -> u32 {
        self.process().count.load(Ordering::Relaxed)
    }

    /// The lock's own guard, while it is held.
    pub(super) fn guard(&self) -> MutexGuard<'_, Option<LockGuard<E>>> {
        mutex::lock(&self.process().guard)
    }

    /// Counts one guard more, after it has taken the lock if this thread does not hold it.
    pub(super) fn enter(&self, take: impl FnOnce(&Lock<E>) -> Result<LockGuard<E>>) -> Result<()> {
        let process = self.process();
        let thread = ThreadToken::current();
        if process.owner.load() == thread && thread != ThreadToken::NONE {
            let count = process.count.load(Ordering::Relaxed);
            let count = count.checked_add(1).expect("it is not held so often");
            process.count.store(count, Ordering::Relaxed);
        } else {
            let guard = take(&self.lock)?;
            // With the lock in hand, and the owner last: until then no thread reads its own token here.
            *self.guard() = Some(guard);
            process.count.store(1, Ordering::Relaxed);
            process.owner.store(thread);
        }
        Ok(())
    }

    /// Counts one guard less, and returns the lock's own guard if that was the last one.
    pub(super) fn leave(&self) -> Option<LockGuard<E>> {
        let process = self.process();
        let count = process.count.load(Ordering::Relaxed) - 1;
        process.count.store(count, Ordering::Relaxed);
        if count > 0 {
            return None;
        }
        // Before the lock is released: the next thread that gets it writes its own token.
        process.owner.store(ThreadToken::NONE);
        self.guard().take()
    }
}

impl<E: Engine> Default for OfProcess<E> {
    fn default() -> Self {
        Self {
            owner: AtomicThreadToken::default(),
            count: AtomicU32::new(0),
            guard: Mutex::new(None),
        }
    }
}
