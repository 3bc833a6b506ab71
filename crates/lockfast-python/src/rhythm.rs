//! When a file stays open between a release and the next acquire.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::process_lock::Handle;

/// How a file is acquired: again and again, or once in a while.
#[derive(Debug, Default)]
pub(crate) struct Rhythm {
    /// When it was last released.
    released: Option<Instant>,
    /// How often it was acquired without a pause.
    beats: u32,
    /// Nobody has it locked meanwhile.
    open: Option<Open>,
}

/// A file that stays open between a release and the next acquire.
#[derive(Debug)]
pub(crate) struct Open {
    path: Vec<u8>,
    /// Where a relative path starts.
    directory: Option<PathBuf>,
    since: Instant,
    pub(crate) handle: Handle,
    _place: Place,
}

/// One of the few places for those.
#[derive(Debug)]
struct Place;

const PLACES: usize = 8;
const BEATS: u32 = 16;
const PAUSE: Duration = Duration::from_millis(10);
const STAY: Duration = Duration::from_millis(50);

static TAKEN: AtomicUsize = AtomicUsize::new(0);

impl Rhythm {
    /// The file, if it stayed open.
    pub(crate) fn take(&mut self, path: &[u8]) -> Option<Open> {
        let open = self.open.take()?;
        let now = Instant::now();
        let stays = self.is_in_beat(now)
            && now.duration_since(open.since) < STAY
            && open.path == path
            && open.directory == start_of(path);
        stays.then_some(open)
    }

    pub(crate) fn released(&mut self, open: Option<Open>) {
        self.released = Some(Instant::now());
        // Two threads that each had one leave one.
        if open.is_some() {
            self.open = open;
        }
    }

    /// It was opened anew. It may stay open, if that goes on like this.
    pub(crate) fn opened(&mut self, path: &[u8], handle: Handle) -> Option<Open> {
        let now = Instant::now();
        self.beats = if self.is_in_beat(now) {
            self.beats.saturating_add(1)
        } else {
            0
        };
        if self.beats < BEATS {
            return None;
        }
        Place::take().map(|place| Open {
            path: path.to_vec(),
            directory: start_of(path),
            since: now,
            handle,
            _place: place,
        })
    }

    fn is_in_beat(&self, now: Instant) -> bool {
        self.released
            .is_some_and(|released| now.duration_since(released) < PAUSE)
    }
}

/// Where a relative path starts: it leads elsewhere when the program changes its directory.
fn start_of(path: &[u8]) -> Option<PathBuf> {
    let is_relative = !path.starts_with(b"/");
    is_relative.then(|| std::env::current_dir().unwrap_or_default())
}

pub(crate) fn look(rhythm: &Mutex<Rhythm>) -> MutexGuard<'_, Rhythm> {
    rhythm.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Place {
    fn take() -> Option<Self> {
        let taken = TAKEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
            (taken < PLACES).then_some(taken + 1)
        });
        taken.ok().map(|_| Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        TAKEN.fetch_sub(1, Ordering::Relaxed);
    }
}
