//! The wait of the first in the line for permits: until the file's bell rings.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::interruption::WakeSources;
use super::{Wait, earlier};
use crate::file::LockFile;
use crate::sys::bell::Bell;
use crate::sys::made_once::MadeOnce;
use crate::sys::park::Parker;
use crate::sys::per_process::PerProcess;
use crate::sys::{Parked, Rung};
use crate::types::error::Result;

impl Wait<'_> {
    /// Tries again whenever somebody may have released something, until it succeeds; `false` when
    /// the file is not at its path any more.
    pub(crate) fn at_bell(
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
        let mut bell = Hung::on(file);
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
            let longest = match bell {
                Some(_) => LONGEST_NAP,
                None => LONGEST_NAP_WITHOUT_BELL,
            };
            let rung = match bell.as_ref().map(|bell| bell.listen(until)) {
                Some(Ok(rung)) => rung,
                Some(Err(_)) => {
                    // The program may have closed its descriptor.
                    bell = None;
                    nap = SHORTEST_NAP;
                    continue;
                }
                None => match Parker::default().park(Some(until)) {
                    Parked::Interrupted => Rung::Interrupted,
                    Parked::Granted | Parked::TimedOut => Rung::TimedOut,
                },
            };
            must_look = rung == Rung::Changed;
            match rung {
                Rung::Closed | Rung::Changed => nap = SHORTEST_NAP,
                Rung::Interrupted => self.unless_interrupted()?,
                Rung::TimedOut => {
                    must_look = nap == longest;
                    nap = (nap * 4).min(longest);
                }
            }
        }
    }
}

/// A bell that hangs on a file; taken off and kept for the next wait when dropped.
struct Hung(Option<Bell>);

impl Hung {
    /// None where none is to be had.
    fn on(file: &LockFile) -> Option<Self> {
        let spare = spare().lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut bell = match spare {
            Some(bell) => bell,
            None => Bell::new().ok()?,
        };
        bell.hang(file, file.permits().all()).ok()?;
        Some(Self(Some(bell)))
    }

    fn listen(&self, until: Instant) -> std::io::Result<Rung> {
        let bell = self.0.as_ref().expect("it is there until dropped");
        bell.listen(until)
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        if let Some(bell) = &mut self.0 {
            bell.take_down();
        }
        let mut spare = spare().lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < MAX_SPARE {
            spare.extend(self.0.take());
        }
    }
}

/// To close one takes milliseconds, so they are kept.
fn spare() -> &'static Mutex<Vec<Bell>> {
    static SPARE: MadeOnce<PerProcess<Mutex<Vec<Bell>>>> = MadeOnce::new();
    SPARE
        .get_or_make(|| PerProcess::new(Mutex::default()))
        .get(Mutex::default)
}

const MAX_SPARE: usize = 4;
const SHORTEST_NAP: Duration = Duration::from_millis(1);
const LONGEST_NAP: Duration = Duration::from_millis(100);
const LONGEST_NAP_WITHOUT_BELL: Duration = Duration::from_millis(10);
