//! The thread that notices who wants a lock that this process keeps.
//!
//! There is one for all handles. It sleeps until something happens to one of their files, or until the
//! time of a lock that is kept is over, and ends when no file is watched any more. A forked child has
//! its own.

mod table;

use std::fmt;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Weak};
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

use table::{Due, Look, Table, WatchEntry};

pub(super) use table::Listener;

/// A file that is watched, until dropped.
pub(super) struct Watched {
    watcher: &'static Watcher,
    watch: Watch,
    // Its entry has the same number; other handles with the same file have entries of their own.
    number: u64,
    // A forked child has none of the parent's watches.
    generation: u64,
}

struct Watcher {
    // Its wait goes without the mutex, which the thread must not hold while it sleeps.
    watches: Watches,
    table: Mutex<Table>,
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
    // Under the mutex: the kernel has one watch for each file, which the drop of another handle could
    // remove between this call and the entry.
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
    // Made in either case: its drop takes the entry out again if no thread could be started.
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
            // The thread sleeps for longer than that.
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
            // The thread ends when it finds no entries.
            self.watcher.watches.ring();
        }
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
            // A panic ends a round, not the thread: other handles rely on it.
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
            // Under the mutex: the next watch starts another thread.
            table.is_running = false;
            return false;
        }
        let Due { expired, looks } = table.due();
        let wakes = table.wakes;
        // Listeners are called without the mutex: to revoke may drop a handle, whose watch locks it.
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
        // An instant that was set since `wakes` was read has rung the alarm, which ends this sleep at once.
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
