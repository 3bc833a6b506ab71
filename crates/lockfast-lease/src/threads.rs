//! Threads of this process and the locks that they took, so that none waits for itself.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, ThreadId};

use lockfast::HoldState;
use lockfast::engine::Mode;

use crate::Belief;
use crate::lease::lock;

/// The threads that took locks, by the key of the lock.
#[derive(Debug)]
pub struct Threads<K> {
    keys: Mutex<HashMap<K, Vec<Taken>>>,
    /// The number of the last entry.
    last: AtomicU64,
}

#[derive(Debug)]
struct Taken {
    number: u64,
    thread: ThreadId,
    mode: Mode,
    belief: Belief,
}

/// The entry of a hold, to be taken out when it ends.
#[derive(Debug)]
#[must_use = "the entry stays until it is taken out"]
pub struct Entered<K> {
    key: K,
    number: u64,
}

impl<K> Default for Threads<K> {
    fn default() -> Self {
        Self {
            keys: Mutex::default(),
            last: AtomicU64::new(0),
        }
    }
}

impl<K: Clone + Eq + Hash> Threads<K> {
    /// Whether this thread holds the lock in a mode that conflicts with this one.
    pub fn holds_here(&self, key: &K, mode: Mode) -> bool {
        let here = thread::current().id();
        let in_the_way = |taken: &Taken| {
            taken.thread == here
                && (taken.mode, mode) != (Mode::Read, Mode::Read)
                && taken.belief.state() != HoldState::Lost
        };
        lock(&self.keys)
            .get(key)
            .is_some_and(|taken| taken.iter().any(in_the_way))
    }

    /// Records that this thread holds the lock, until [`leave`](Self::leave).
    pub fn enter(&self, key: K, mode: Mode, belief: Belief) -> Entered<K> {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let taken = Taken {
            number,
            thread: thread::current().id(),
            mode,
            belief,
        };
        lock(&self.keys).entry(key.clone()).or_default().push(taken);
        Entered { key, number }
    }

    /// Forgets a hold.
    pub fn leave(&self, entered: &Entered<K>) {
        let mut keys = lock(&self.keys);
        let Some(all) = keys.get_mut(&entered.key) else {
            return;
        };
        if let Some(place) = all.iter().position(|taken| taken.number == entered.number) {
            all.swap_remove(place);
        }
        if all.is_empty() {
            keys.remove(&entered.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use crate::{Clock, Lease};

    use super::*;

    fn held() -> Belief {
        let lease = Lease::new(Clock::boot());
        lease.confirm(lease.clock().now(), Duration::from_secs(600));
        let term = lease.term();
        Belief::new(Arc::new(lease), term)
    }

    #[test]
    fn a_thread_is_in_its_own_way_until_it_leaves() {
        let threads = Threads::default();
        let key = "a";
        let reader = threads.enter(key, Mode::Read, held());
        assert!(!threads.holds_here(&key, Mode::Read));
        assert!(threads.holds_here(&key, Mode::Write));
        let elsewhere = || threads.holds_here(&key, Mode::Write);
        assert!(!thread::scope(|scope| scope
            .spawn(elsewhere)
            .join()
            .expect("no panic")));
        let again = threads.enter(key, Mode::Read, held());
        threads.leave(&reader);
        assert!(threads.holds_here(&key, Mode::Write));
        threads.leave(&again);
        assert!(!threads.holds_here(&key, Mode::Write));
    }

    #[test]
    fn a_lost_lock_is_in_nobodys_way() {
        let threads = Threads::default();
        let (key, belief) = ("a", held());
        let _entered = threads.enter(key, Mode::Exclusive, belief.clone());
        assert!(threads.holds_here(&key, Mode::Exclusive));
        belief.lose();
        assert!(!threads.holds_here(&key, Mode::Exclusive));
    }
}
