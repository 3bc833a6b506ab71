//! The line of those that wait for a file, and the looks of newcomers (see [`crate::protocol::line`]).

use std::io;
use std::mem;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use super::{Goal, LockFile, OpenFile};
use crate::protocol::line::{self, Contest, LOOK_EVERY};
use crate::protocol::plan::{Mode, Part};
use crate::sys::{self, Access, Range, Target};

/// The looks of an open file for signs.
///
/// Threads that share permits use it at once: then one of them may look once more or less.
#[derive(Debug)]
pub(super) struct Lookout {
    /// Whether those that wait for this file stand in a line.
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

    pub(super) fn now(&self) -> u64 {
        nanoseconds(self.opened.elapsed()) + 1
    }

    /// Whether it is time for a look. Attempts that follow each other quickly share one reading of the clock.
    #[inline]
    fn is_due(&self) -> bool {
        let skips = self.skips.load(Relaxed);
        if skips > 0 {
            self.skips.store(skips - 1, Relaxed);
            return false;
        }
        self.is_due_now()
    }

    fn is_due_now(&self) -> bool {
        const EVERY: u64 = nanoseconds(LOOK_EVERY);
        if !self.has_contests {
            return true;
        }
        let now = self.now();
        let (looked, before) = (self.looked.load(Relaxed), self.read.load(Relaxed));
        self.read.store(now, Relaxed);
        if looked == 0 || now.saturating_sub(looked) >= EVERY {
            return now >= self.heedless.load(Relaxed);
        }
        // At the pace of the last attempts, those that skip the clock take at most an eighth of the
        // time between two looks. So a newcomer overtakes for little longer than that time.
        let since = now.saturating_sub(before).min(EVERY);
        let is_quick =
            since * u64::from(SKIPS) <= EVERY / 8 * u64::from(self.skipped.load(Relaxed));
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
        // Free for one look is no proof: whoever was woken may not run yet.
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

/// The state of the line, as a look at the lock shows it.
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
    /// Whether a newcomer has to let those go first that wait.
    #[inline]
    pub(super) fn gives_way(&self, mode: Mode) -> bool {
        if mode == Mode::Read && self.bytes {
            let looks = self.lookout.has_contests && self.gate_lookout.is_due();
            return looks && self.sees_writer_at_gate();
        }
        let looks = self.lookout.has_contests || mode == Mode::Write && self.bytes;
        looks && self.lookout.is_due() && self.sees_sign()
    }

    #[cold]
    fn sees_sign(&self) -> bool {
        let signs = if self.lookout.has_contests {
            line::signs(self.bytes, self.flock)
        } else {
            Part::Rooms.range(0)
        };
        self.lookout.note(self.is_shown(signs))
    }

    /// Whether a writer is on its way to the gate: it has locked a door, and readers only share doors.
    #[cold]
    fn sees_writer_at_gate(&self) -> bool {
        let doors = Part::Doors.range(0);
        let found = sys::lock::blocker(self, Access::Shared, doors).is_some();
        self.gate_lookout.note(found)
    }

    /// Whether somebody else has a sign or a line of that range.
    fn is_shown(&self, range: Range) -> bool {
        let blocker = sys::lock::blocker(self, Access::Exclusive, range);
        // For a `flock`, what another program has locked of the file is no sign.
        blocker.is_some_and(|blocker| self.bytes || line::is_within(blocker.start))
    }

    /// Tries for somebody who does not wait, after those who do had the time to take the lock and did not: they were
    /// stopped, most likely.
    #[cold]
    pub(crate) fn try_after_waiters(&self, mode: Mode) -> bool {
        let target = if self.bytes {
            Target::Bytes(Part::Main.range(0))
        } else {
            Target::File
        };
        let is_free = || self.is_free(mode.access(), target);
        if !self.lookout.has_contests || !self.gives_way(mode) || !is_free() {
            return false;
        }
        let begun = Instant::now();
        while begun.elapsed() < WAKES {
            thread::yield_now();
        }
        // Without a second look, which would refuse the lock to a thread that was preempted here.
        let is_in = is_free() && matches!(self.try_without_look(Goal::Enter(mode)), Ok(true));
        if is_in {
            self.note_won();
        }
        is_in
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

    /// Whether others wait, as far as this file has to know.
    pub(crate) fn is_sign_out(&self, contest: Contest) -> bool {
        if !self.lookout.has_contests || !self.lookout.is_due() {
            return false;
        }
        self.lookout.note(self.is_shown(contest.sign()))
    }

    /// Notes that a contest was won. The winner need not look for a while: that keeps short sections quick, as
    /// not each of them has to wait until another process is awake.
    pub(crate) fn note_won(&self) {
        self.lookout.idle.store(0, Relaxed);
        self.lookout.note(false);
    }

    /// Whether those that wait for this file stand in a line.
    pub(crate) fn has_contests(&self) -> bool {
        self.lookout.has_contests
    }

    /// Whether others wait and nobody has the line: the next one is waking up.
    pub(crate) fn is_line_passing(&self, contest: Contest) -> bool {
        let is_taken = contest.line().is_some_and(|line| self.is_shown(line));
        !is_taken && self.is_shown(contest.sign())
    }

    /// Shows that somebody waits, until the result is dropped; none when that can't be shown.
    pub(crate) fn wait_openly(&self, contest: Contest) -> io::Result<Option<LinePlace<'_>>> {
        // Nobody heeds a sign now, and a line that is abandoned leads nowhere: it waits for the lock
        // itself.
        if self.lookout.now() < self.lookout.heedless.load(Relaxed) {
            return Ok(None);
        }
        // Only another program that locks these bytes, as one does that locks everything, can refuse
        // this.
        if !self.try_lock(Access::Shared, Target::Bytes(contest.sign()))? {
            return Ok(None);
        }
        let mut place = LinePlace {
            file: self,
            contest,
            is_first: true,
        };
        if let Some(line) = place.line() {
            // After the sign, which is what newcomers look for.
            place.is_first = self.try_lock(Access::Exclusive, line)?;
        }
        Ok(Some(place))
    }
}

/// The sign of a waiter, and its place in the line.
#[derive(Debug)]
#[must_use]
pub(crate) struct LinePlace<'f> {
    file: &'f LockFile,
    contest: Contest,
    /// Whether nobody was before it in the line.
    pub(crate) is_first: bool,
}

impl LinePlace<'_> {
    /// Leaves sign and line to the release of the lock, which gives them back with all other bytes.
    pub(crate) fn keep(self) {
        mem::forget(self);
    }

    /// The byte to wait for before the lock.
    pub(crate) fn line(&self) -> Option<Target> {
        self.contest.line().map(Target::Bytes)
    }

    /// Looks whether those before it in the line run.
    pub(crate) fn line_state(&self, access: Access, target: Target) -> LineState {
        let file = self.file;
        file.lookout.line_state(file.is_free(access, target))
    }
}

impl Drop for LinePlace<'_> {
    fn drop(&mut self) {
        // Should this fail, the release of the lock gives them back.
        let _ = sys::lock::release(self.file, Target::Bytes(self.contest.both()));
    }
}

/// Whether those that wait for that file stand in a line. A server's answer costs more than it is worth.
pub(super) fn has_contests(file: &OpenFile, bytes: bool) -> bool {
    let traits = file.traits;
    let is_apart = bytes || !traits.has_one_lock_table;
    sys::lock::IS_OVERTAKEN
        && traits.has_ranges
        && !traits.is_remote
        && is_apart
        && (file.writable || !bytes)
}

/// Without the 128 bits of `as_nanos`: a free lock reads the clock. It is right for 584 years.
pub(super) const fn nanoseconds(span: Duration) -> u64 {
    span.as_secs()
        .wrapping_mul(1_000_000_000)
        .wrapping_add(span.subsec_nanos() as u64)
}

/// The time in which a process wakes up, unless it gets no processor.
pub(crate) const WAKES: Duration = Duration::from_micros(200);

/// The number of quick attempts without a look at the clock.
const SKIPS: u32 = 15;

/// The time for which the lock must be free until the line counts as abandoned ...
pub(crate) const IDLE: Duration = Duration::from_millis(50);
/// ... and for which no sign is heeded then.
pub(super) const HEEDLESS: Duration = Duration::from_secs(1);
