//! Keeping a lock that is not used, for as long as nobody else wants it.
//!
//! The lock stays in the lane of the queue, from where a thread of this process takes it again by one
//! atomic operation. Which bytes tell keepers and those who wait of each other, and why nobody is
//! overheard, is in [`crate::protocol::linger`]; here is when to keep and when to give up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::file::LockFile;
use crate::handle::watcher;
use crate::handle::{Handle, OfProcess};
use crate::sys::made_once::MadeOnce;
use crate::sys::{self, Event};
use crate::types::error::{Cause, Error, Operation, Result};
use crate::types::fairness::Fairness;
use crate::types::settings::Settings;
use crate::types::verify::Verify;

/// Whether a handle keeps its lock, in one process.
#[derive(Debug, Default)]
pub(crate) struct Lingering {
    /// In nanoseconds since some instant: not before that.
    not_before: AtomicU64,
    /// How long the last pause was.
    pause: AtomicU64,
    /// While somebody who opened the file has it open, and not before that either.
    visited: AtomicU64,
    /// How often it was revoked, whether it was kept then or not.
    revocations: AtomicU64,
    /// Was the last handle dropped?
    is_over: AtomicBool,
}

/// Why a lock is not kept any longer, or may be kept again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Somebody wants it, or the file is not what it was.
    Wanted,
    /// Somebody has opened the file, and may ask for the lock again and again.
    Visited,
    /// Somebody has closed it.
    Left,
    /// It was kept for as long as it may be.
    Expired,
}

impl Reason {
    /// What all that happened to a file means.
    pub(crate) fn of(events: impl Iterator<Item = Event>) -> Option<Self> {
        let (mut opened, mut closed, mut changed) = (0, 0, 0);
        for event in events {
            match event {
                Event::Opened => opened += 1,
                Event::Closed => closed += 1,
                Event::Changed => changed += 1,
            }
        }
        if opened > closed {
            Some(Self::Visited)
        } else if opened + changed > 0 {
            Some(Self::Wanted)
        } else {
            (closed > 0).then_some(Self::Left)
        }
    }
}

/// A pause is that long when nobody wanted the lock for a while before ...
const SHORTEST_PAUSE: Duration = Duration::from_micros(500);
/// ... and grows with each one that follows within so many times its length ...
const SOON: u64 = 8;
/// ... up to that.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// One who has opened the file and asks now and then gets a chance for that long, or until it has closed
/// it.
const VISIT: Duration = Duration::from_millis(30);

/// When its time is over, the lock is not kept for this part of that time, so that those get in who
/// can't be heard ...
const REST: u32 = 16;
/// ... but not for longer.
const LONGEST_REST: Duration = Duration::from_millis(100);

/// What is longer is for ever, and within all clocks.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Lingering {
    /// May it be kept now?
    pub(crate) fn is_allowed(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed) && self.not_before() <= now()
    }

    /// The same for one who began to find out when it had been revoked so often.
    pub(crate) fn is_allowed_since(&self, revocations: u64) -> bool {
        self.revocations() == revocations && self.is_allowed()
    }

    fn revocations(&self) -> u64 {
        self.revocations.load(Ordering::SeqCst)
    }

    fn not_before(&self) -> u64 {
        let visited = self.visited.load(Ordering::Relaxed);
        visited.max(self.not_before.load(Ordering::Relaxed))
    }

    fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Does not keep it for a while, for longer each time.
    pub(crate) fn pause(&self) {
        self.pause_from(now());
    }

    fn pause_from(&self, now: u64) {
        let not_before = self.not_before.load(Ordering::Relaxed);
        let last = self.pause.load(Ordering::Relaxed);
        let pause = if now < not_before.saturating_add(SOON * last) {
            (2 * last).clamp(nanoseconds(SHORTEST_PAUSE), nanoseconds(LONGEST_PAUSE))
        } else {
            nanoseconds(SHORTEST_PAUSE)
        };
        self.pause.store(pause, Ordering::Relaxed);
        self.rest(now, pause);
    }

    fn rest(&self, now: u64, rest: u64) {
        self.not_before
            .fetch_max(now.saturating_add(rest), Ordering::Relaxed);
    }
}

impl Handle {
    /// An error if what was chosen does not go together with lingering.
    pub(crate) fn must_allow_linger(settings: &Settings) -> std::result::Result<(), Cause> {
        let Some(linger) = settings.linger else {
            return Ok(());
        };
        let why = if linger.is_zero() {
            "linger needs a time that is longer than zero"
        } else if settings.remove_on_release {
            "linger and remove_on_release exclude each other: a lock that is kept is not released"
        } else if settings.verify == Verify::Path {
            "linger and Verify::Path exclude each other: a lock that is kept is taken again without \
             a look at the path"
        } else if settings.owner_record {
            "linger and owner_record exclude each other: a lock that is kept is taken again without a \
             new record"
        } else if settings.fairness == Fairness::Fifo {
            "linger and Fairness::Fifo exclude each other: who keeps the lock overtakes those who ask \
             for it"
        } else if settings.permits.is_some() {
            "a semaphore can't linger"
        } else {
            return Ok(());
        };
        Err(Cause::InvalidOption(why))
    }

    /// Watches the file from now on, if locks on it linger.
    pub(crate) fn watch(self: &Arc<Self>, file: &LockFile) -> Result<()> {
        if self.settings().linger.is_none() {
            return Ok(());
        }
        let refuse = |cause| Err(Error::new(self.path(), Operation::Open, cause));
        if !file.traits.supports_watch {
            let why = "linger needs Linux and a local file system, where every program that opens the \
                       lock file is noticed: leave it out";
            return refuse(Cause::Unsupported(why, None));
        }
        match watcher::watch(self, file) {
            Ok(watched) => {
                file.set_watch(Box::new(watched));
                Ok(())
            }
            Err(error) => {
                let why = "linger needs to watch the lock file (inotify): leave it out, or raise the \
                           limits fs.inotify.max_user_instances and fs.inotify.max_user_watches";
                refuse(Cause::Unsupported(why, Some(error)))
            }
        }
    }

    /// May the lock be kept, as nobody wants it and the file is the one at the path? Then everything that
    /// others look at tells that it is kept, and what this returns tells later whether that is still so:
    /// what happens to the file from now on revokes it.
    pub(crate) fn may_linger(&self, process: &OfProcess, file: &LockFile) -> Option<u64> {
        let linger = self.settings().linger?;
        let revocations = process.lingering.revocations();
        if process.queue.has_waiting() || !process.lingering.is_allowed() {
            return None;
        }
        // It may have been deleted while it was in use, when there was nothing to revoke.
        if !matches!(self.is_at_path(file), Ok(true)) {
            return None;
        }
        if !file.show_cached() {
            process.lingering.pause();
            return None;
        }
        let until = Instant::now() + linger.min(LONGEST);
        file.cache_until(until).then_some(revocations)
    }

    /// Does somebody wait for it in the kernel's queue?
    pub(crate) fn is_awaited(&self) -> bool {
        let (file, _) = self.process().queue.glance();
        file.is_some_and(|file| sys::watch::is_awaited(&file))
    }

    /// Gives a lock that is kept back to the kernel, at once if no thread is inside.
    pub(crate) fn revoke(&self, reason: Reason) {
        let process = self.process();
        let lingering = &process.lingering;
        match reason {
            Reason::Wanted => lingering.pause(),
            Reason::Visited => {
                lingering.pause();
                let until = now() + nanoseconds(VISIT);
                lingering.visited.store(until, Ordering::Relaxed);
            }
            Reason::Left => {
                lingering.visited.store(0, Ordering::Relaxed);
                return;
            }
            Reason::Expired => {
                let rest = self.settings().linger.unwrap_or_default() / REST;
                let rest = rest.clamp(SHORTEST_PAUSE, LONGEST_REST);
                lingering.rest(now(), nanoseconds(rest));
            }
        }
        // Who is about to keep it sees this, or has kept it when the queue is asked.
        lingering.revocations.fetch_add(1, Ordering::SeqCst);
        process.end_linger();
    }

    /// Nothing is kept any more: nobody is there to take it again.
    pub(crate) fn end_linger(&self) {
        if self.settings().linger.is_some() {
            let process = self.process();
            process.lingering.end();
            process.end_linger();
        }
        // A forked child has what its parent had parked; it holds nothing, but takes memory.
        for parent in self.inherited() {
            drop(parent.queue.empty_lane());
        }
    }
}

impl OfProcess {
    fn end_linger(&self) {
        if self.queue.end_linger() {
            self.held.store(false, Ordering::Relaxed);
        }
    }
}

fn now() -> u64 {
    static START: MadeOnce<Instant> = MadeOnce::new();
    // It never is 0, at which a pause that never was would end.
    nanoseconds(START.get_or_make(Instant::now).elapsed()) + 1
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(all(target_os = "linux", not(lockfast_unsupported)))]
    use crate::protocol::plan::Mode;
    #[cfg(all(target_os = "linux", not(lockfast_unsupported)))]
    use crate::types::wait_limit::WaitLimit;

    #[test]
    fn a_ring_is_told_from_a_visit() {
        use Event::{Changed, Closed, Opened};
        let reason = |events: &[Event]| Reason::of(events.iter().copied());
        assert_eq!(reason(&[]), None);
        assert_eq!(reason(&[Opened]), Some(Reason::Visited));
        assert_eq!(reason(&[Opened, Closed]), Some(Reason::Wanted));
        assert_eq!(reason(&[Closed, Closed]), Some(Reason::Left));
        assert_eq!(reason(&[Changed, Closed]), Some(Reason::Wanted));
    }

    #[cfg(all(target_os = "linux", not(lockfast_unsupported)))]
    #[test]
    fn what_was_given_up_is_not_kept_again_at_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let settings = Settings {
            linger: Some(Duration::from_secs(3600)),
            ..Settings::default()
        };
        let after = |reasons: &[Reason]| {
            let handle = Handle::open(&directory.path().join("a.lock"), settings.clone());
            let handle = handle.expect("opened");
            for &reason in reasons {
                handle.revoke(reason);
            }
            let lingering = &handle.process().lingering;
            let [not_before, visited, pause] =
                [&lingering.not_before, &lingering.visited, &lingering.pause]
                    .map(|instant| instant.load(Ordering::Relaxed) > 0);
            (not_before, visited, pause)
        };
        assert_eq!(after(&[]), (false, false, false));
        assert_eq!(after(&[Reason::Wanted]), (true, false, true));
        assert_eq!(after(&[Reason::Visited]), (true, true, true));
        assert_eq!(after(&[Reason::Visited, Reason::Left]), (true, false, true));
        assert_eq!(after(&[Reason::Expired]), (true, false, false));
    }

    /// However long the pause is over when it is released.
    #[cfg(all(target_os = "linux", not(lockfast_unsupported)))]
    #[test]
    fn what_was_deleted_while_it_was_in_use_is_not_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.lock");
        let settings = Settings {
            linger: Some(Duration::from_secs(3600)),
            ..Settings::default()
        };
        for mode in [Mode::Exclusive, Mode::Read] {
            let handle = Handle::open(&path, settings.clone()).expect("opened");
            let take = || {
                handle
                    .acquire(mode, WaitLimit::Forever)
                    .expect("it is free")
            };
            let hold = take();
            std::fs::remove_file(&path).expect("removed");
            let lingering = &handle.process().lingering;
            while lingering.revocations() == 0 {
                std::thread::yield_now();
            }
            lingering.not_before.store(0, Ordering::Relaxed);
            drop(hold);
            assert!(take().is_current().expect("looked at"), "{mode:?}");
        }
    }

    #[test]
    fn what_is_revoked_meanwhile_is_not_kept() {
        let lingering = Lingering::default();
        let before = lingering.revocations();
        assert!(lingering.is_allowed_since(before));
        lingering.revocations.fetch_add(1, Ordering::SeqCst);
        assert!(!lingering.is_allowed_since(before) && lingering.is_allowed());
    }

    #[test]
    fn pauses_grow_while_others_want_it_and_not_beyond_a_limit() {
        let lingering = Lingering::default();
        assert!(lingering.is_allowed());
        let pause_at = |now| {
            lingering.pause_from(now);
            assert!(lingering.not_before() > now);
            (lingering.not_before(), lingering.not_before() - now)
        };
        let (mut end, mut last) = pause_at(1);
        assert_eq!(last, nanoseconds(SHORTEST_PAUSE));
        for _ in 0..20 {
            let (next, pause) = pause_at(end);
            assert!(pause > last || pause == nanoseconds(LONGEST_PAUSE));
            (end, last) = (next, pause);
        }
        assert_eq!(last, nanoseconds(LONGEST_PAUSE));
        // Nobody wanted it for long.
        let (_, pause) = pause_at(end + SOON * last);
        assert_eq!(pause, nanoseconds(SHORTEST_PAUSE));
        lingering.pause_from(u64::MAX);
        assert!(!lingering.is_allowed());
    }
}
