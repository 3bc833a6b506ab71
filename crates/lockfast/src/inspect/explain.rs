//! Errors with all that is known of the holders.

use std::fmt;

use super::report;
use super::view::{LockView, Opener, Process, State};
use crate::types::error::Error;
use crate::types::text::Shown;

/// An [`Error`] together with the holders of the lock, as they were found when it was
/// [explained](Error::explain).
///
/// Its text is the text of the error, and names each holder with its command line, and for how long it has
/// held the lock if that is known.
#[derive(Clone, Debug)]
pub struct Explained<'a> {
    error: &'a Error,
    holders: Vec<LockView>,
    openers: Vec<Opener>,
}

impl Error {
    /// Finds the current holders of the lock, for the message: `cannot take lock /srv/a.lock: it is held by
    /// pid 4711 (python3 backup.py), for 12s`. With the feature `inspect`.
    ///
    /// The error itself has only what one system call reports, because a failed attempt must stay cheap. This
    /// method looks at the processes of the machine, as [`inspect::path`](super::path) does, and takes
    /// milliseconds. Call it when the message is shown. If the error is not about a held lock, or no holder
    /// is found, the text is the error's own.
    ///
    /// On Windows it names the processes that have the file open, one of which holds the lock, unless the
    /// holder is [known](super).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("nightly.lock");
    /// let lock = lockfast::Lock::open(&path)?;
    /// let guard = lock.lock()?;
    ///
    /// let error = lock.try_lock().unwrap_err();
    /// let text = error.explain().to_string();
    /// assert!(text.contains("nightly.lock: it is held by "));
    /// # #[cfg(target_os = "linux")]
    /// assert_eq!(error.explain().holders().len(), 1);
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    pub fn explain(&self) -> Explained<'_> {
        let (mut holders, mut openers) = (Vec::new(), Vec::new());
        if self.is_contended() || self.is_timed_out() {
            if let Ok(report) = report::path(self.path()) {
                holders = report.locks;
                openers = report.openers;
                holders.retain(|lock| lock.state == State::Holding && !lock.processes.is_empty());
            }
        }
        Explained {
            error: self,
            holders,
            openers,
        }
    }
}

impl Explained<'_> {
    /// Returns the locks whose holders are known.
    pub fn holders(&self) -> &[LockView] {
        &self.holders
    }
}

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (holders, openers) = (Holders(&self.holders), Openers(&self.openers));
        let known: Option<&dyn fmt::Display> = if !self.holders.is_empty() {
            Some(&holders)
        } else if !self.openers.is_empty() {
            Some(&openers)
        } else {
            None
        };
        self.error.write(f, known)
    }
}

/// The number of holders that are named. The others are counted.
const NAMED: usize = 3;

/// Displays holders, as in `pid 4711 (python3 backup.py), for 12s; pid 4712 (./sync.sh); and 5 more`.
struct Holders<'a>(&'a [LockView]);

impl fmt::Display for Holders<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, lock) in self.0.iter().take(NAMED).enumerate() {
            if number > 0 {
                f.write_str("; ")?;
            }
            holder(lock, f)?;
        }
        and_more(self.0.len(), f)
    }
}

/// Displays openers, as in `one of the processes that have it open: pid 4711 (python.exe); this process (pid 4712)`.
struct Openers<'a>(&'a [Opener]);

impl fmt::Display for Openers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one of the processes that have it open: ")?;
        for (number, opener) in self.0.iter().take(NAMED).enumerate() {
            if number > 0 {
                f.write_str("; ")?;
            }
            named(&opener.process, f)?;
        }
        and_more(self.0.len(), f)
    }
}

fn and_more(all: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match all.saturating_sub(NAMED) {
        0 => Ok(()),
        more => write!(f, "; and {more} more"),
    }
}

fn holder(lock: &LockView, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (number, process) in lock.processes.iter().enumerate() {
        if number > 0 {
            f.write_str(" and ")?;
        }
        named(process, f)?;
    }
    if let Some(label) = &lock.label {
        write!(f, " ({})", Shown::word(label))?;
    }
    match lock.since.and_then(|since| since.elapsed().ok()) {
        Some(held) => write!(f, ", for {held:.1?}"),
        None => Ok(()),
    }
}

fn named(process: &Process, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let own = std::process::id();
    if process.pid == own {
        write!(f, "this process (pid {own})")
    } else {
        write!(f, "{process}")
    }
}
