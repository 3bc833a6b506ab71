//! Files that stay open between a release and the next acquire.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::file_lock::FileLock;

/// The file of one lock, which stays open if the lock is acquired again and again.
#[derive(Debug, Default)]
pub(crate) struct OpenFileCache {
    /// The time of the last release.
    released: Option<Instant>,
    /// The number of times in a row that the file was opened again soon after a release.
    streak: u32,
    /// The file, while the lock is not held.
    open: Option<OpenFile>,
}

/// A file that stays open between a release and the next acquire.
#[derive(Debug)]
pub(crate) struct OpenFile {
    path: Vec<u8>,
    /// The directory where a relative path starts.
    directory: Option<PathBuf>,
    since: Instant,
    pub(crate) lock: FileLock,
    _share: Share,
}

/// A share of the number of files that may stay open in this process.
#[derive(Debug)]
struct Share;

const MOST_FILES: usize = 8;
const SHORTEST_STREAK: u32 = 16;
const LONGEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_STAY: Duration = Duration::from_millis(50);

static OPEN_FILES: AtomicUsize = AtomicUsize::new(0);

impl OpenFileCache {
    /// Takes the file out, if it stayed open.
    pub(crate) fn take(&mut self, path: &[u8]) -> Option<OpenFile> {
        let open = self.open.take()?;
        let now = Instant::now();
        let is_usable = self.is_streak(now)
            && now.duration_since(open.since) < LONGEST_STAY
            && open.path == path
            && open.directory == start_of(path);
        is_usable.then_some(open)
    }

    pub(crate) fn released(&mut self, open: Option<OpenFile>) {
        self.released = Some(Instant::now());
        // If two threads had one each, one stays open.
        if open.is_some() {
            self.open = open;
        }
    }

    /// Notes that the file was opened anew. Returns it if it may stay open.
    pub(crate) fn opened(&mut self, path: &[u8], lock: FileLock) -> Option<OpenFile> {
        let now = Instant::now();
        self.streak = if self.is_streak(now) {
            self.streak.saturating_add(1)
        } else {
            0
        };
        if self.streak < SHORTEST_STREAK {
            return None;
        }
        Share::take().map(|share| OpenFile {
            path: path.to_vec(),
            directory: start_of(path),
            since: now,
            lock,
            _share: share,
        })
    }

    fn is_streak(&self, now: Instant) -> bool {
        self.released
            .is_some_and(|released| now.duration_since(released) < LONGEST_PAUSE)
    }
}

/// Returns where a relative path starts: it leads elsewhere once the program changes its directory.
fn start_of(path: &[u8]) -> Option<PathBuf> {
    let is_relative = !path.starts_with(b"/");
    is_relative.then(|| std::env::current_dir().unwrap_or_default())
}

pub(crate) fn locked(cache: &Mutex<OpenFileCache>) -> MutexGuard<'_, OpenFileCache> {
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Share {
    fn take() -> Option<Self> {
        let taken = OPEN_FILES.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| {
            (open < MOST_FILES).then_some(open + 1)
        });
        taken.ok().map(|_| Self)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        OPEN_FILES.fetch_sub(1, Ordering::Relaxed);
    }
}
