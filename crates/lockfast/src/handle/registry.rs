//! All handles of this process.

use std::sync::{Arc, Mutex, MutexGuard, Weak};

use crate::sys::made_once::MadeOnce;
use crate::sys::mutex;
use crate::sys::per_process::PerProcess;

// No other mutex is locked while this one is.
type Entries<T> = Mutex<Vec<Weak<T>>>;

/// Values of this process that may still live. A forked child begins with none.
pub(super) struct WeakRegistry<T>(MadeOnce<PerProcess<Entries<T>>>);

impl<T> WeakRegistry<T> {
    pub(super) const fn new() -> Self {
        Self(MadeOnce::new())
    }

    /// Remembers a value for as long as it lives.
    pub(super) fn remember(&self, value: &Arc<T>) {
        let mut entries = self.entries();
        // Only when it would grow, so that the search is paid by as many additions.
        if entries.len() == entries.capacity() {
            entries.retain(|entry| entry.strong_count() > 0);
        }
        // Weak: a handle that is only known here has no user.
        entries.push(Arc::downgrade(value));
    }

    /// Returns all values, of which some may not live any more.
    pub(super) fn all(&self) -> Vec<Weak<T>> {
        self.entries().clone()
    }

    /// Whether there is such a value.
    pub(super) fn any(&self, is_it: impl Fn(&T) -> bool) -> bool {
        // A value may be dropped here for the last time, which must not happen under the mutex.
        let all: Vec<_> = self.entries().iter().filter_map(Weak::upgrade).collect();
        all.iter().any(|value| is_it(value))
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Weak<T>>> {
        let entries = self
            .0
            .get_or_make(|| PerProcess::new(Entries::default()))
            .get(Entries::default);
        mutex::lock(entries)
    }
}
