//! The wait of the first in the line for permits: until the file's notifier wakes it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::interruption::WakeSources;
use super::{Wait, earlier};
use crate::file::LockFile;
use crate::sys::made_once::MadeOnce;
use crate::sys::notifier::Notifier;
use crate::sys::park::Parker;
use crate::sys::per_process::PerProcess;
use crate::sys::{Notified, Parked};
use crate::types::error::Result;

impl Wait<'_> {
    /// Tries again whenever somebody may have released something, until it succeeds; `false` when
    /// the file is not at its path any more.
    pub(crate) fn at_notifier(
        &mut self,
        file: &LockFile,
        mut attempt: impl FnMut() -> Result<bool>,
        is_at_path: impl Fn() -> Result<bool>,
    ) -> Result<bool> {
        if attempt()? {
            return Ok(true);
        }
        // Another thread may have called `on_wait` meanwhile.
        self.told = self.told.map(|_| Instant::now());
        let mut notifier = Watching::on(file);
        let interruption = WakeSources::of_tokens().and_to_ask(self.asks_whether_to_go_on());
        let mut nap = SHORTEST_NAP;
        let mut must_look = true;
        loop {
            if must_look && !is_at_path()? {
                return Ok(false);
            }
            if attempt()? {
                return Ok(true);
            }
            self.unless_cancelled()?;
            self.unless_over(|| None)?;
            self.tell_if_due(|| None)?;
            let wake = Instant::now() + nap;
            let until = earlier(self.patience.deadline(), self.next_call());
            let until = earlier(until, interruption.come_back());
            let until = earlier(until, Some(wake)).unwrap_or(wake);
            let longest = match notifier {
                Some(_) => LONGEST_NAP,
                None => LONGEST_NAP_WITHOUT_NOTIFIER,
            };
            let outcome = match notifier.as_ref().map(|notifier| notifier.wait(until)) {
                Some(Ok(outcome)) => outcome,
                Some(Err(_)) => {
                    // The program may have closed its descriptor.
                    notifier = None;
                    nap = SHORTEST_NAP;
                    continue;
                }
                None => match Parker::default().park(Some(until)) {
                    Parked::Interrupted => Notified::Interrupted,
                    Parked::Granted | Parked::TimedOut => Notified::TimedOut,
                },
            };
            must_look = outcome == Notified::Changed;
            match outcome {
                Notified::Closed | Notified::Changed => nap = SHORTEST_NAP,
                Notified::Interrupted => self.unless_interrupted()?,
                Notified::TimedOut => {
                    must_look = nap == longest;
                    nap = (nap * 4).min(longest);
                }
            }
        }
    }
}

/// A notifier that watches a file; it stops and is kept for the next wait when dropped.
struct Watching(Option<Notifier>);

impl Watching {
    /// None where none is to be had.
    fn on(file: &LockFile) -> Option<Self> {
        let spare = spare().lock().unwrap_or_else(PoisonError::into_inner).pop();
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
            notifier.unwatch();
        }
        let mut spare = spare().lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < MAX_SPARE {
            spare.extend(self.0.take());
        }
    }
}

/// To close one takes milliseconds, so they are kept.
fn spare() -> &'static Mutex<Vec<Notifier>> {
    static SPARE: MadeOnce<PerProcess<Mutex<Vec<Notifier>>>> = MadeOnce::new();
    SPARE
        .get_or_make(|| PerProcess::new(Mutex::default()))
        .get(Mutex::default)
}

const MAX_SPARE: usize = 4;
const SHORTEST_NAP: Duration = Duration::from_millis(1);
const LONGEST_NAP: Duration = Duration::from_millis(100);
const LONGEST_NAP_WITHOUT_NOTIFIER: Duration = Duration::from_millis(10);
