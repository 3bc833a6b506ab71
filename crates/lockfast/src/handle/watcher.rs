//! The thread that hears who wants a lock that this process keeps.
//!
//! There is one for all handles. It sleeps until something happens to one of their files, or until the
//! time of a lock that is kept is over, and ends when no file is watched any more. A forked child has
//! its own.

use std::collections::HashMap;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::file::{self, LockFile};
use crate::handle::Handle;
use crate::handle::linger::Reason;
use crate::sys::alarm::without_signals;
use crate::sys::made_once::MadeOnce;
use crate::sys::per_process::PerProcess;
use crate::sys::watch::{Watch, Watches};
use crate::sys::{Event, fork};
use crate::wait::no_thread;

/// A file that is watched, until dropped.
#[derive(Debug)]
pub(crate) struct Watched {
    watcher: &'static Watcher,
    watch: Watch,
    number: u64,
    generation: u64,
}

#[derive(Debug)]
struct Watcher {
    watches: Watches,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// A file may be watched for several handles.
    entries: HashMap<Watch, Vec<Entry>>,
    /// When the thread will look at the clock; never, if none.
    wakes: Option<Instant>,
    is_running: bool,
    /// Whether the program has closed the descriptors: nothing is heard any more.
    is_deaf: bool,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    handle: Weak<Handle>,
    /// When the time of what is kept is over; none if nothing is.
    until: Option<Instant>,
    look: Look,
}

/// When to look whether somebody waits who is not heard: one who has opened the file already, perhaps
/// before it was watched, may begin to wait at any time, and one who was heard may lose the race for the lock.
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

/// Watches the file on behalf of the handle.
///
/// # Errors
///
/// When there are too many watches, descriptors or threads.
pub(crate) fn watch(handle: &Arc<Handle>, file: &LockFile) -> io::Result<Watched> {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let watcher = Watcher::of_process()?;
    let mut table = watcher.table();
    if table.is_deaf {
        return Err(io::ErrorKind::NotConnected.into());
    }
    let watch = watcher.watches.add(file)?;
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    table.entries.entry(watch).or_default().push(Entry {
        number,
        handle: Arc::downgrade(handle),
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

impl file::CacheWatch for Watched {
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

/// What there is to do.
#[derive(Debug, Default)]
struct Due {
    expired: Vec<Arc<Handle>>,
    looks: Vec<Arc<Handle>>,
}

impl Table {
    fn entry(&mut self, watch: Watch, number: u64) -> Option<&mut Entry> {
        let mut entries = self.entries.get_mut(&watch)?.iter_mut();
        entries.find(|entry| entry.number == number)
    }

    /// Whose time is over, and for whom it is time to look; and when there is more to do.
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
                due.expired.extend(entry.handle.upgrade());
                continue;
            }
            if entry.look.due <= now {
                due.looks.extend(entry.handle.upgrade());
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

    /// Somebody waits, or may begin to.
    fn look_soon(&mut self, handle: &Arc<Handle>) {
        let is_meant =
            |entry: &&mut Entry| std::ptr::eq(entry.handle.as_ptr(), &raw const **handle);
        for entry in self.entries.values_mut().flatten().filter(is_meant) {
            entry.look = Look::first();
        }
    }

    /// To whom something happened, and what it means to them.
    fn concerned(&self, events: &[(Option<Watch>, Event)]) -> Vec<(Arc<Handle>, Reason)> {
        let mut concerned = Vec::new();
        for (watch, entries) in &self.entries {
            let is_meant = |about: &Option<Watch>| about.is_none_or(|about| about == *watch);
            let of_this = events.iter().filter(|(about, _)| is_meant(about));
            if let Some(reason) = Reason::of(of_this.map(|(_, event)| *event)) {
                let handles = entries.iter().filter_map(|entry| entry.handle.upgrade());
                concerned.extend(handles.map(|handle| (handle, reason)));
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
        let mut watcher = watcher.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// Sleeps once and serves those to whom something happened; `false` when none is left.
    ///
    /// No handle is dropped while the table is locked: that locks it too.
    fn round(&'static self) -> bool {
        let mut table = self.table();
        if table.entries.is_empty() {
            table.is_running = false;
            return false;
        }
        let Due { expired, looks } = table.due();
        let wakes = table.wakes;
        drop(table);
        for handle in expired {
            handle.revoke(Reason::Expired);
        }
        for handle in looks {
            if handle.is_awaited() {
                handle.revoke(Reason::Visited);
                self.table().look_soon(&handle);
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
        for (handle, reason) in concerned {
            handle.revoke(reason);
            if reason == Reason::Visited {
                self.table().look_soon(&handle);
            }
        }
        !self.table().ends_deaf()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const STACK_SIZE: usize = 128 * 1024;
