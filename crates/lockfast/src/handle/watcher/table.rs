//! The files that are watched, and when the watcher looks at each.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::handle::rest::Reason;
use crate::sys::Event;
use crate::sys::watch::Watch;

/// The owner of a file that is watched.
pub(in crate::handle) trait Listener: Send + Sync {
    /// Whether somebody waits for the lock in the kernel's queue.
    fn is_awaited(&self) -> bool;

    /// Gives a lock that is kept back to the kernel, at once if no thread is inside.
    fn revoke(&self, reason: Reason);
}

// | `entries` | `is_running` | `is_deaf` | |
// |---|---|---|---|
// | some | yes | no | the thread serves them |
// | none | yes | no | the thread ends, unless an entry comes before |
// | none | no | no | the next entry starts a thread |
// | any | yes | yes | the thread has all locks revoked, and forgets the entries |
// | none | no | yes | for good: the next file gets another watcher |
/// Guarded by the mutex of the watcher. No listener is dropped while it is locked: that locks it too.
#[derive(Default)]
pub(super) struct Table {
    /// A file may be watched for several handles.
    pub(super) entries: HashMap<Watch, Vec<WatchEntry>>,
    /// The instant at which the thread looks at the clock; never, if none.
    pub(super) wakes: Option<Instant>,
    // Cleared by the thread under the mutex before it ends. So a new watch either is seen by it or starts
    // another one.
    pub(super) is_running: bool,
    /// Whether the program has closed the descriptors: nothing is noticed any more.
    pub(super) is_deaf: bool,
}

pub(super) struct WatchEntry {
    pub(super) number: u64,
    pub(super) listener: Weak<dyn Listener>,
    /// The instant at which the lock is not kept any longer; none if it is not kept.
    pub(super) until: Option<Instant>,
    pub(super) look: Look,
}

/// The instant of the next look for waiters that are not noticed: a process that has opened the file already,
/// perhaps before it was watched, may begin to wait at any time, and one that was noticed may lose the race for
/// the lock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) due: Instant,
    pause: Duration,
}

const FIRST_LOOK: Duration = Duration::from_millis(40);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl Look {
    pub(super) fn first() -> Self {
        Self {
            due: Instant::now() + FIRST_LOOK,
            pause: FIRST_LOOK,
        }
    }

    fn next(self) -> Self {
        let pause = (2 * self.pause).min(LONGEST_PAUSE);
        Self {
            due: Instant::now() + pause,
            pause,
        }
    }
}

/// The listeners for which it is time.
#[derive(Default)]
pub(super) struct Due {
    pub(super) expired: Vec<Arc<dyn Listener>>,
    pub(super) looks: Vec<Arc<dyn Listener>>,
}

impl Table {
    pub(super) fn entry(&mut self, watch: Watch, number: u64) -> Option<&mut WatchEntry> {
        let mut entries = self.entries.get_mut(&watch)?.iter_mut();
        entries.find(|entry| entry.number == number)
    }

    /// Takes what is due, and sets when there is more to do.
    pub(super) fn due(&mut self) -> Due {
        let now = Instant::now();
        let mut due = Due::default();
        self.wakes = None;
        for entry in self.entries.values_mut().flatten() {
            let Some(until) = entry.until else {
                continue;
            };
            if until <= now {
                // Revoked once; a lock that is kept anew sets another instant.
                entry.until = None;
                due.expired.extend(entry.listener.upgrade());
                continue;
            }
            if entry.look.due <= now {
                due.looks.extend(entry.listener.upgrade());
                // Less and less often: each look reads the kernel's table of all locks.
                entry.look = entry.look.next();
            }
            let next = until.min(entry.look.due);
            if self.wakes.is_none_or(|wakes| next < wakes) {
                self.wakes = Some(next);
            }
        }
        due
    }

    /// Forgets all entries, if nothing is heard any more. Nobody keeps anything by them from then on.
    pub(super) fn ends_deaf(&mut self) -> bool {
        if self.is_deaf {
            self.entries.clear();
            self.is_running = false;
        }
        self.is_deaf
    }

    /// Looks again soon: somebody waits, or may begin to.
    pub(super) fn look_soon(&mut self, listener: &Arc<dyn Listener>) {
        let is_meant = |entry: &&mut WatchEntry| {
            std::ptr::addr_eq(entry.listener.as_ptr(), Arc::as_ptr(listener))
        };
        for entry in self.entries.values_mut().flatten().filter(is_meant) {
            entry.look = Look::first();
        }
    }

    /// Returns the listeners to whose files something happened, and its meaning.
    pub(super) fn concerned(
        &self,
        events: &[(Option<Watch>, Event)],
    ) -> Vec<(Arc<dyn Listener>, Reason)> {
        let mut concerned = Vec::new();
        for (watch, entries) in &self.entries {
            let is_meant = |about: &Option<Watch>| about.is_none_or(|about| about == *watch);
            let of_this = events.iter().filter(|(about, _)| is_meant(about));
            // All events of one reading together: an open with its close is a notification, and no visitor.
            if let Some(reason) = Reason::of(of_this.map(|(_, event)| *event)) {
                let listeners = entries.iter().filter_map(|entry| entry.listener.upgrade());
                concerned.extend(listeners.map(|listener| (listener, reason)));
            }
        }
        concerned
    }
}
