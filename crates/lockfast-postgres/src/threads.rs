//! Threads of this process and the locks that they took, so that none waits for itself.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, ThreadId};

use lockfast::HoldState;
use lockfast::engine::Mode;
use lockfast_lease::Belief;

use crate::key::Key;
use crate::session::lock;

/// The threads that took locks, by the key.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    keys: Mutex<HashMap<Key, Vec<Taken>>>,
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
pub(crate) struct Entered {
    key: Key,
    number: u64,
}

impl Threads {
    /// Whether this thread holds the lock in a mode that conflicts with this one.
    pub(crate) fn holds_here(&self, key: Key, mode: Mode) -> bool {
        let here = thread::current().id();
        let in_the_way = |taken: &Taken| {
            taken.thread == here
                && (taken.mode, mode) != (Mode::Read, Mode::Read)
                && taken.belief.state() != HoldState::Lost
        };
        lock(&self.keys)
            .get(&key)
            .is_some_and(|taken| taken.iter().any(in_the_way))
    }

    /// Records that this thread holds the lock.
    pub(crate) fn enter(&self, key: Key, mode: Mode, belief: Belief) -> Entered {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let taken = Taken {
            number,
            thread: thread::current().id(),
            mode,
            belief,
        };
        lock(&self.keys).entry(key).or_default().push(taken);
        Entered { key, number }
    }

    /// Forgets a hold.
    pub(crate) fn leave(&self, entered: &Entered) {
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

    use lockfast_lease::{Clock, Lease};

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
        let key = Key::of("", "a");
        let reader = threads.enter(key, Mode::Read, held());
        assert!(!threads.holds_here(key, Mode::Read));
        assert!(threads.holds_here(key, Mode::Write));
        let elsewhere = || threads.holds_here(key, Mode::Write);
        assert!(!thread::scope(|scope| scope
            .spawn(elsewhere)
            .join()
            .expect("no panic")));
        let again = threads.enter(key, Mode::Read, held());
        threads.leave(&reader);
        assert!(threads.holds_here(key, Mode::Write));
        threads.leave(&again);
        assert!(!threads.holds_here(key, Mode::Write));
    }

    #[test]
    fn a_lost_lock_is_in_nobodys_way() {
        let threads = Threads::default();
        let (key, belief) = (Key::of("", "a"), held());
        let _entered = threads.enter(key, Mode::Exclusive, belief.clone());
        assert!(threads.holds_here(key, Mode::Exclusive));
        belief.lose();
        assert!(!threads.holds_here(key, Mode::Exclusive));
    }
}
