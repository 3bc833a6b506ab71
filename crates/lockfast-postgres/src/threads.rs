//! Which thread of this process took which lock, so that none waits for itself.

use std::collections::HashMap;
use std::sync::Mutex;
use std::thread::{self, ThreadId};

use lockfast::engine::Mode;

use crate::key::Key;
use crate::session::lock;

/// The threads that took locks, by the key.
#[derive(Debug, Default)]
pub(crate) struct Threads(Mutex<HashMap<Key, Vec<Taken>>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Taken {
    thread: ThreadId,
    mode: Mode,
}

/// The entry of a hold, to be taken out when it ends.
#[derive(Debug)]
pub(crate) struct Entered {
    key: Key,
    taken: Taken,
}

impl Threads {
    /// Whether this thread holds the lock in a way that it would wait for.
    pub(crate) fn holds_here(&self, key: Key, mode: Mode) -> bool {
        let here = thread::current().id();
        let in_the_way =
            |taken: &Taken| taken.thread == here && (taken.mode, mode) != (Mode::Read, Mode::Read);
        lock(&self.0)
            .get(&key)
            .is_some_and(|taken| taken.iter().any(in_the_way))
    }

    /// Records that this thread holds the lock.
    pub(crate) fn enter(&self, key: Key, mode: Mode) -> Entered {
        let thread = thread::current().id();
        let taken = Taken { thread, mode };
        lock(&self.0).entry(key).or_default().push(taken);
        Entered { key, taken }
    }

    /// Forgets a hold.
    pub(crate) fn leave(&self, entered: &Entered) {
        let mut keys = lock(&self.0);
        let Some(all) = keys.get_mut(&entered.key) else {
            return;
        };
        if let Some(place) = all.iter().position(|taken| *taken == entered.taken) {
            all.swap_remove(place);
        }
        if all.is_empty() {
            keys.remove(&entered.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_in_its_own_way_until_it_leaves() {
        let threads = Threads::default();
        let key = Key::of("", "a");
        let reader = threads.enter(key, Mode::Read);
        assert!(!threads.holds_here(key, Mode::Read));
        assert!(threads.holds_here(key, Mode::Write));
        let elsewhere = || threads.holds_here(key, Mode::Write);
        assert!(!thread::scope(|scope| scope
            .spawn(elsewhere)
            .join()
            .expect("no panic")));
        let again = threads.enter(key, Mode::Read);
        threads.leave(&reader);
        assert!(threads.holds_here(key, Mode::Write));
        threads.leave(&again);
        assert!(!threads.holds_here(key, Mode::Write));
    }
}
