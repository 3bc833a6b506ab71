//! The signs of waiters that have been overtaken for too long (see [`crate::protocol::starving`]).

use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::{LockFile, OpenFile};
use crate::protocol::plan::{Mode, Part};
use crate::protocol::starving::{self, Contest, PATIENCE};
use crate::sys::{self, Access, Target};

/// The looks of an open file for signs.
///
/// Threads that share permits use it at once: then one of them may look once more or less.
#[derive(Debug)]
pub(super) struct Lookout {
    /// Whether waiters of this file show that they starve.
    has_contests: bool,
    opened: Instant,
    /// The number of attempts that follow without a look at the clock.
    skips: AtomicU32,
    /// The number of attempts since the clock was read, up to the one that reads it next.
    skipped: AtomicU32,
    /// Times in nanoseconds since it was opened, each at least 1. The last time the clock was read ...
    read: AtomicU64,
    /// ... the last look that found no sign, or 0 ...
    looked: AtomicU64,
    /// ... the first time that the lock was free though a sign was out, or 0 if that is over ...
    idle: AtomicU64,
    /// ... and the time before which no sign is heeded.
    heedless: AtomicU64,
}

impl Lookout {
    pub(super) fn new(has_contests: bool) -> Self {
        Self {
            has_contests,
            opened: Instant::now(),
            skips: AtomicU32::new(if has_contests { 0 } else { SKIPS }),
            skipped: AtomicU32::new(1),
            read: AtomicU64::new(0),
            looked: AtomicU64::new(0),
            idle: AtomicU64::new(0),
            heedless: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        nanoseconds(self.opened.elapsed()) + 1
    }

    /// Whether it is time for a look. Attempts that follow each other quickly share one reading of the clock.
    fn is_due(&self) -> bool {
        let skips = self.skips.load(Relaxed);
        if skips > 0 {
            self.skips.store(skips - 1, Relaxed);
            return false;
        }
        if !self.has_contests {
            return true;
        }
        let now = self.now();
        let (looked, before) = (self.looked.load(Relaxed), self.read.swap(now, Relaxed));
        if looked == 0 || now.saturating_sub(looked) >= nanoseconds(PATIENCE) {
            return now >= self.heedless.load(Relaxed);
        }
        let each = now.saturating_sub(before) / u64::from(self.skipped.load(Relaxed));
        let is_quick = each * u64::from(SKIPS) <= nanoseconds(PATIENCE) / 8;
        let skips = if is_quick { SKIPS } else { 0 };
        self.skips.store(skips, Relaxed);
        self.skipped.store(skips + 1, Relaxed);
        false
    }

    /// Notes the outcome of a look. Until one finds no sign, every attempt looks.
    fn note(&self, found: bool) -> bool {
        let skips = if found || self.has_contests { 0 } else { SKIPS };
        self.skips.store(skips, Relaxed);
        self.skipped.store(1, Relaxed);
        if !found {
            self.looked.store(self.now(), Relaxed);
        }
        found
    }

    /// Learns from a look at the lock, while a sign is out, how the line is.
    fn line_state(&self, is_free: bool) -> LineState {
        let now = self.now();
        let since = match self.idle.load(Relaxed) {
            _ if !is_free => 0,
            0 => now,
            since => since,
        };
        let is_over = is_free && now.saturating_sub(since) >= nanoseconds(IDLE);
        self.idle.store(if is_over { 0 } else { since }, Relaxed);
        if is_over {
            self.heedless.store(now + nanoseconds(HEEDLESS), Relaxed);
            return LineState::Abandoned;
        }
        if is_free {
            LineState::Idle
        } else {
            LineState::Moves
        }
    }
}

/// What a look at the lock shows of the line of the starving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineState {
    /// The lock is held.
    Moves,
    /// The lock is free: whoever has the line is about to take it, or does not run.
    Idle,
    /// The lock was free for [`IDLE`]. Whoever has the line was stopped, most likely.
    Abandoned,
}

impl LockFile {
    /// Whether a newcomer has to let waiters go first that have been overtaken for too long.
    #[inline]
    pub(super) fn gives_way(&self, mode: Mode) -> bool {
        let looks = match mode {
            Mode::Read => !self.bytes && self.lookout.has_contests,
            Mode::Write => self.bytes || self.lookout.has_contests,
            Mode::Upgradable | Mode::Exclusive => self.lookout.has_contests,
        };
        looks && self.lookout.is_due() && self.sees_sign(mode)
    }

    #[cold]
    fn sees_sign(&self, mode: Mode) -> bool {
        let of_readers = mode == Mode::Write && self.bytes;
        let signs = if self.lookout.has_contests {
            starving::all_signs(of_readers, self.flock)
        } else {
            Part::Rooms.range(0)
        };
        let found = sys::lock::blocker(self, Access::Exclusive, signs).is_some();
        self.lookout.note(found) && !(self.lookout.has_contests && self.is_abandoned(mode))
    }

    #[cold]
    fn is_abandoned(&self, mode: Mode) -> bool {
        let target = if self.bytes {
            Target::Bytes(Part::Main.range(0))
        } else {
            Target::File
        };
        let is_free = self.is_free(mode.access(), target);
        self.lookout.line_state(is_free) == LineState::Abandoned
    }

    fn is_free(&self, access: Access, target: Target) -> bool {
        match target {
            Target::Bytes(range) => sys::lock::blocker(self, access, range).is_none(),
            // The kernel does not tell, so it is taken for an instant.
            Target::File => {
                matches!(self.try_lock(access, target), Ok(true))
                    && sys::lock::release(self, target).is_ok()
            }
        }
    }

    /// Whether waiters of the contest starve, as far as this file has to know.
    pub(crate) fn is_sign_out(&self, contest: Contest) -> bool {
        if !self.lookout.has_contests || !self.lookout.is_due() {
            return false;
        }
        let sign = sys::lock::blocker(self, Access::Exclusive, contest.sign());
        self.lookout.note(sign.is_some())
    }

    /// Notes that a contest was won: whoever else waits, the line moves.
    pub(crate) fn note_won(&self) {
        self.lookout.idle.store(0, Relaxed);
    }

    /// Whether a waiter of this file can show that it starves.
    pub(crate) fn has_contests(&self) -> bool {
        self.lookout.has_contests
    }

    /// Shows that a waiter starves, until the result is dropped; none when that can't be shown.
    pub(crate) fn starve(&self, contest: Contest) -> io::Result<Option<Starving<'_>>> {
        if self.lookout.now() < self.lookout.heedless.load(Relaxed) {
            return Ok(None);
        }
        if !self.try_lock(Access::Shared, Target::Bytes(contest.sign()))? {
            return Ok(None);
        }
        let mut starving = Starving {
            file: self,
            contest,
            is_first: false,
        };
        // A file of the program's may be open for reading only. Then the sign is of no use.
        let line = self.try_lock(Access::Exclusive, starving.line());
        Ok(line.ok().map(|is_first| {
            starving.is_first = is_first;
            starving
        }))
    }
}

/// The sign of a waiter that starves, and its place in the line.
#[derive(Debug)]
#[must_use]
pub(crate) struct Starving<'f> {
    file: &'f LockFile,
    contest: Contest,
    /// Whether nobody was before it in the line.
    pub(crate) is_first: bool,
}

impl Starving<'_> {
    /// The byte to wait for before the lock.
    pub(crate) fn line(&self) -> Target {
        Target::Bytes(self.contest.line())
    }

    /// Looks whether those before it in the line run.
    pub(crate) fn line_state(&self, access: Access, target: Target) -> LineState {
        let file = self.file;
        file.lookout.line_state(file.is_free(access, target))
    }
}

impl Drop for Starving<'_> {
    fn drop(&mut self) {
        // Should this fail, the release of the lock gives them back.
        let _ = sys::lock::release(self.file, Target::Bytes(self.contest.both()));
    }
}

/// Whether the waiters of that file show that they starve. A server's answer costs more than it is worth, and
/// only a file that is open for writing can be locked exclusively.
pub(super) fn has_contests(file: &OpenFile, bytes: bool) -> bool {
    let traits = file.traits;
    let is_apart = bytes || !traits.has_one_lock_table;
    sys::lock::IS_OVERTAKEN && traits.has_ranges && !traits.is_remote && is_apart && file.writable
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// The number of quick attempts without a look at the clock.
const SKIPS: u32 = 15;

/// The time for which the lock must be free until the line counts as abandoned ...
pub(crate) const IDLE: Duration = Duration::from_millis(50);
/// ... and for which no sign is heeded then.
const HEEDLESS: Duration = Duration::from_secs(1);
