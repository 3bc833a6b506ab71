//! The wait of the first in the queue for permits: until the file's notifier reports a release.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::context::WaitContext;
use super::limits::Wait;
use super::wake_sources::WakeSources;
use crate::file::LockFile;
use crate::sys::Notified;
use crate::sys::made_once::MadeOnce;
use crate::sys::mutex;
use crate::sys::naps::Naps;
use crate::sys::notifier::Notifier;
use crate::sys::per_process::PerProcess;
use crate::types::error::Result;

impl<C: WaitContext> Wait<'_, C> {
    /// Tries again whenever somebody may have released something, until it succeeds; `false` when
    /// the file is not at its path any more.
    pub(crate) fn until_notified(
        &mut self,
        file: &LockFile,
        mut attempt: impl FnMut() -> Result<bool>,
        is_at_path: impl Fn() -> Result<bool>,
    ) -> Result<bool> {
        if attempt()? {
            return Ok(true);
        }
        if self.is_broken {
            return Err(self.cancelled());
        }
        // Another thread may have called `on_wait` meanwhile.
        self.reported = self.reported.map(|_| Instant::now());
        // To make a notifier costs more than an attempt, and mostly permits are free by now.
        let mut watching = Watching::begin(file);
        let sources = WakeSources::of_tokens().and_to_ask(self.asks_whether_to_go_on());
        let mut naps = if watching.is_some() { NAPS } else { BLIND_NAPS };
        let mut must_look = true;
        loop {
            if must_look && !is_at_path()? {
                return Ok(false);
            }
            // After the watch has begun: a release from here on is reported.
            if attempt()? {
                return Ok(true);
            }
            let until = self.before_nap(&sources, naps, || None)?;
            let outcome = match watching.as_ref().map(|watching| watching.wait(until)) {
                Some(Ok(outcome)) => outcome,
                Some(Err(_)) => {
                    // The program may have closed its descriptor.
                    watching = None;
                    naps = BLIND_NAPS;
                    continue;
                }
                None => {
                    self.park_until(until)?;
                    Notified::TimedOut
                }
            };
            // A file that was moved or deleted is reported; the longest naps are for reports that were
            // lost.
            must_look = outcome == Notified::Changed;
            match outcome {
                Notified::Closed | Notified::Changed => naps.restart(),
                Notified::Interrupted => self.ensure_not_interrupted()?,
                Notified::TimedOut => must_look = !naps.lengthen(),
            }
        }
    }
}

/// A notifier that watches a file; kept for the next wait when dropped.
struct Watching(Option<Notifier>);

impl Watching {
    /// Returns none where none is to be had.
    fn begin(file: &LockFile) -> Option<Self> {
        // In a statement of its own, so that the mutex is free while a notifier is made.
        let spare = mutex::lock(spare()).pop();
        let mut notifier = match spare {
            Some(notifier) => notifier,
            None => Notifier::new().ok()?,
        };
        notifier.watch(file, file.permits().all()).ok()?;
        Some(Self(Some(notifier)))
    }

    fn wait(&self, until: Instant) -> std::io::Result<Notified> {
        let notifier = self.0.as_ref().expect("it is there until dropped");
        notifier.wait(until)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some(notifier) = &mut self.0 {
            // Without the mutex: to end a watch is a system call.
            notifier.unwatch();
        }
        let mut spare = mutex::lock(spare());
        // Otherwise it is dropped here, which takes milliseconds.
        if spare.len() < MAX_SPARE {
            spare.extend(self.0.take());
        }
    }
}

/// Notifiers for the next waits: closing one takes milliseconds.
fn spare() -> &'static Mutex<Vec<Notifier>> {
    static SPARE: MadeOnce<PerProcess<Mutex<Vec<Notifier>>>> = MadeOnce::new();
    SPARE
        .get_or_make(|| PerProcess::new(Mutex::default()))
        .get(Mutex::default)
}

const MAX_SPARE: usize = 4;
const NAPS: Naps = Naps::new(Duration::from_millis(1), Duration::from_millis(100));
const BLIND_NAPS: Naps = Naps::SHORT;
