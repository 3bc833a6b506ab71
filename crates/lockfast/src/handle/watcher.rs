//! The thread that notices who wants a lock that this process keeps.
//!
//! There is one for all handles. It sleeps until something happens to one of their files, or until the
//! time of a lock that is kept is over, and ends when no file is watched any more. A forked child has
//! its own.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::rest::Reason;
use crate::file::{CacheWatch, LockFile};
use crate::sys::alarm::without_signals;
use crate::sys::made_once::MadeOnce;
use crate::sys::mutex;
use crate::sys::per_process::PerProcess;
use crate::sys::watch::{Watch, Watches};
use crate::sys::{Event, fork};
use crate::wait::no_thread;

/// The owner of a file that is watched.
pub(super) trait Listener: Send + Sync {
    /// Whether somebody waits for the lock in the kernel's queue.
    fn is_awaited(&self) -> bool;

    /// Gives a lock that is kept back to the kernel, at once if no thread is inside.
    fn revoke(&self, reason: Reason);
}

/// A file that is watched, until dropped.
pub(super) struct Watched {
    watcher: &'static Watcher,
    watch: Watch,
    number: u64,
    generation: u64,
}

struct Watcher {
    watches: Watches,
    table: Mutex<Table>,
}

/// Guarded by the mutex of the watcher. No listener is dropped while it is locked: that locks it too.
#[derive(Default)]
struct Table {
    /// A file may be watched for several handles.
    entries: HashMap<Watch, Vec<WatchEntry>>,
    /// The instant at which the thread looks at the clock; never, if none.
    wakes: Option<Instant>,
    is_running: bool,
    /// Whether the program has closed the descriptors: nothing is noticed any more.
    is_deaf: bool,
}

struct WatchEntry {
    number: u64,
    listener: Weak<dyn Listener>,
    /// The instant at which the lock is not kept any longer; none if it is not kept.
    until: Option<Instant>,
    look: Look,
}

/// The instant of the next look for waiters that are not noticed: a process that has opened the file already,
/// perhaps before it was watched, may begin to wait at any time, and one that was noticed may lose the race for
/// the lock.
#[derive(Clone, Copy, Debug)]
struct Look {
    due: Instant,
    pause: Duration,
}

const FIRST_LOOK: Duration = Duration::from_millis(40);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl Look {
    fn first() -> Self {
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

/// Watches the file on behalf of the listener.
///
/// # Errors
///
/// When there are too many watches, descriptors or threads.
pub(super) fn watch(listener: Weak<dyn Listener>, file: &LockFile) -> io::Result<Watched> {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let watcher = Watcher::of_process()?;
    let mut table = watcher.table();
    if table.is_deaf {
        return Err(io::ErrorKind::NotConnected.into());
    }
    let watch = watcher.watches.add(file)?;
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    table.entries.entry(watch).or_default().push(WatchEntry {
        number,
        listener,
        until: None,
        look: Look::first(),
    });
    let started = watcher.start(&mut table);
    drop(table);
    let owned = Watched {
        watcher,
        watch,
        number,
        generation: fork::generation(),
    };
    started.map(|()| owned)
}

impl CacheWatch for Watched {
    fn revoke_at(&self, until: Instant) -> bool {
        let mut table = self.watcher.table();
        let Some(entry) = table.entry(self.watch, self.number) else {
            return false;
        };
        entry.until = Some(until);
        let due = until.min(entry.look.due);
        if table.wakes.is_none_or(|wakes| due < wakes) {
            table.wakes = Some(due);
            return self.watcher.watches.ring();
        }
        true
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").finish_non_exhaustive()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.generation != fork::generation() {
            // A forked child's copy: the watcher is the parent's.
            return;
        }
        let mut table = self.watcher.table();
        let Some(entries) = table.entries.get_mut(&self.watch) else {
            return;
        };
        entries.retain(|entry| entry.number != self.number);
        if entries.is_empty() {
            table.entries.remove(&self.watch);
            self.watcher.watches.remove(self.watch);
        }
        if table.entries.is_empty() {
            self.watcher.watches.ring();
        }
    }
}

/// The listeners for which it is time.
#[derive(Default)]
struct Due {
    expired: Vec<Arc<dyn Listener>>,
    looks: Vec<Arc<dyn Listener>>,
}

impl Table {
    fn entry(&mut self, watch: Watch, number: u64) -> Option<&mut WatchEntry> {
        let mut entries = self.entries.get_mut(&watch)?.iter_mut();
        entries.find(|entry| entry.number == number)
    }

    /// Takes what is due, and sets when there is more to do.
    fn due(&mut self) -> Due {
        let now = Instant::now();
        let mut due = Due::default();
        self.wakes = None;
        for entry in self.entries.values_mut().flatten() {
            let Some(until) = entry.until else {
                continue;
            };
            if until <= now {
                entry.until = None;
                due.expired.extend(entry.listener.upgrade());
                continue;
            }
            if entry.look.due <= now {
                due.looks.extend(entry.listener.upgrade());
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
    fn ends_deaf(&mut self) -> bool {
        if self.is_deaf {
            self.entries.clear();
            self.is_running = false;
        }
        self.is_deaf
    }

    /// Looks again soon: somebody waits, or may begin to.
    fn look_soon(&mut self, listener: &Arc<dyn Listener>) {
        let is_meant = |entry: &&mut WatchEntry| {
            std::ptr::addr_eq(entry.listener.as_ptr(), Arc::as_ptr(listener))
        };
        for entry in self.entries.values_mut().flatten().filter(is_meant) {
            entry.look = Look::first();
        }
    }

    /// Returns the listeners to whose files something happened, and its meaning.
    fn concerned(&self, events: &[(Option<Watch>, Event)]) -> Vec<(Arc<dyn Listener>, Reason)> {
        let mut concerned = Vec::new();
        for (watch, entries) in &self.entries {
            let is_meant = |about: &Option<Watch>| about.is_none_or(|about| about == *watch);
            let of_this = events.iter().filter(|(about, _)| is_meant(about));
            if let Some(reason) = Reason::of(of_this.map(|(_, event)| *event)) {
                let listeners = entries.iter().filter_map(|entry| entry.listener.upgrade());
                concerned.extend(listeners.map(|listener| (listener, reason)));
            }
        }
        concerned
    }
}

impl Watcher {
    fn of_process() -> io::Result<&'static Self> {
        static WATCHER: MadeOnce<PerProcess<Mutex<Option<&'static Watcher>>>> = MadeOnce::new();
        let watcher = WATCHER
            .get_or_make(|| PerProcess::new(Mutex::default()))
            .get(Mutex::default);
        let mut watcher = mutex::lock(watcher);
        if let Some(watcher) = *watcher {
            if watcher.watches.is_there() {
                return Ok(watcher);
            }
        }
        // One for the rest of the process's life, or until the program closes its descriptors.
        let new = Box::leak(Box::new(Self {
            watches: Watches::new()?,
            table: Mutex::default(),
        }));
        Ok(watcher.insert(new))
    }

    fn start(&'static self, table: &mut Table) -> io::Result<()> {
        if !table.is_running {
            let builder = thread::Builder::new()
                .name("lockfast-linger".to_owned())
                .stack_size(STACK_SIZE);
            without_signals(|| builder.spawn(|| self.run())).map_err(no_thread)?;
            table.is_running = true;
        }
        Ok(())
    }

    fn run(&'static self) {
        loop {
            // What a handle has of the program's is dropped with it, and may panic.
            let round = panic::catch_unwind(AssertUnwindSafe(|| self.round()));
            if matches!(round, Ok(false)) {
                return;
            }
        }
    }

    /// Sleeps once and serves the listeners to whose files something happened; `false` when none is left.
    fn round(&'static self) -> bool {
        let mut table = self.table();
        if table.entries.is_empty() {
            table.is_running = false;
            return false;
        }
        let Due { expired, looks } = table.due();
        let wakes = table.wakes;
        drop(table);
        for listener in expired {
            listener.revoke(Reason::Expired);
        }
        for listener in looks {
            if listener.is_awaited() {
                listener.revoke(Reason::Visited);
                self.table().look_soon(&listener);
            }
        }
        let happened = self.watches.wait(wakes).unwrap_or_else(|_| {
            if !self.watches.is_there() {
                self.table().is_deaf = true;
                return vec![(None, Event::Changed)];
            }
            // It is not known what happened, so everything is given up, but not all the time.
            thread::sleep(Duration::from_millis(10));
            vec![(None, Event::Changed)]
        });
        let concerned = self.table().concerned(&happened);
        for (listener, reason) in concerned {
            listener.revoke(reason);
            if reason == Reason::Visited {
                self.table().look_soon(&listener);
            }
        }
        !self.table().ends_deaf()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        mutex::lock(&self.table)
    }
}

const STACK_SIZE: usize = 128 * 1024;
