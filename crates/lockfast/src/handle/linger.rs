//! Keeping a lock that is not used, for as long as nobody else wants it.
//!
//! The lock stays in the hand-off slot of the queue, from where a thread of this process takes it again by one
//! atomic operation. [`crate::protocol::linger`] says by which bytes keepers and waiters find each other, and
//! why no waiter is overlooked. Here a release decides to keep the lock, and the watcher gives it up:
//!
//! | lock | event | lock then |
//! |---|---|---|
//! | released | nobody waits, [`Rest`](super::rest::Rest) allows it, the kept mark shows no waiter | kept in the slot |
//! | kept | a thread of this process acquires | taken from the slot, without the kernel |
//! | kept | [`Reason::Wanted`], [`Reason::Visited`] | unlocked; kept again after a pause |
//! | kept | [`Reason::Expired`] | unlocked; kept again after a rest |
//! | held | any of these | held; the release finds a new number of revocations and unlocks |
//! | kept or held | the last handle is dropped | unlocked now, or by its release |

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::rest::{
    LONGEST, LONGEST_REST, REST_PART, Reason, SHORTEST_PAUSE, VISIT, nanoseconds, now,
};
use super::shared::{Handle, ProcessState};
use super::watcher::{self, Listener};
use crate::file::LockFile;
use crate::sys;
use crate::types::error::{Cause, Error, Operation, Result};
use crate::types::fairness::Fairness;
use crate::types::settings::Settings;
use crate::types::verify::Verify;

/// An error if lingering is combined with an option that rules it out.
pub(crate) fn ensure_may_linger(settings: &Settings) -> std::result::Result<(), Cause> {
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

impl Handle {
    /// Watches the file from now on, if locks on it linger.
    pub(super) fn watch(self: &Arc<Self>, file: &LockFile) -> Result<()> {
        if self.settings.linger.is_none() {
            return Ok(());
        }
        let refuse = |cause| Err(Error::new(self.path(), Operation::Open, cause));
        if !file.traits.supports_watch {
            let why = "linger needs Linux and a local file system, where every program that opens the \
                       lock file is noticed: leave it out";
            return refuse(Cause::Unsupported(why, None));
        }
        // Weak: the file has the watch and the handle has the file, which would be a circle.
        let listener = Arc::downgrade(self);
        match watcher::watch(listener, file) {
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

    /// Whether the lock may be kept, as nobody wants it and the file is the one at the path. Then all that others
    /// look at shows that it is kept. Returns the number of revocations so far: what happens to the file from
    /// now on revokes the lock, and is to be noticed under the queue's mutex.
    pub(super) fn may_linger(&self, process: &ProcessState, file: &LockFile) -> Option<u64> {
        let linger = self.settings.linger?;
        // Read first: a later revocation is seen under the mutex of the queue, by `is_allowed_since`.
        let revocations = process.rest.revocations();
        if process.queue.has_waiting() || !process.rest.is_allowed() {
            return None;
        }
        // It may have been deleted while it was in use, when there was nothing to revoke.
        if !matches!(self.is_at_path(file), Ok(true)) {
            return None;
        }
        if !file.show_cached() {
            process.rest.pause();
            return None;
        }
        // Before the lock is in the slot, so that it is never kept without an end.
        let until = Instant::now() + linger.min(LONGEST);
        file.cache_until(until).then_some(revocations)
    }

    /// Nothing is kept any more: nobody is there to take it again, and what is kept keeps the handle.
    pub(super) fn end(&self) {
        let process = self.process();
        if self.settings.linger.is_some() {
            // First, so that a release which runs now keeps nothing.
            process.rest.end();
            process.end_linger();
        }
        process.queue.end();
        // A forked child has what its parent kept; it holds nothing, but takes memory.
        for parent in self.process.inherited() {
            parent.queue.empty_inherited();
        }
    }
}

impl ProcessState {
    fn end_linger(&self) {
        // Only if the lock was idle. A holder leaves by `release`, which clears the flag.
        if self.queue.end_linger() {
            self.held.store(false, Ordering::Relaxed);
        }
    }
}

impl Listener for Handle {
    fn is_awaited(&self) -> bool {
        let (file, _) = self.process().queue.glance();
        file.is_some_and(|file| sys::watch::is_awaited(&file))
    }

    fn revoke(&self, reason: Reason) {
        let process = self.process();
        let rest = &process.rest;
        match reason {
            Reason::Wanted => rest.pause(),
            Reason::Visited => {
                rest.pause();
                let until = now() + nanoseconds(VISIT);
                rest.visited.store(until, Ordering::Relaxed);
            }
            Reason::Left => {
                rest.visited.store(0, Ordering::Relaxed);
                return;
            }
            Reason::Expired => {
                let span = self.settings.linger.unwrap_or_default() / REST_PART;
                let span = span.clamp(SHORTEST_PAUSE, LONGEST_REST);
                rest.rest(now(), nanoseconds(span));
            }
        }
        // Who is about to keep it sees this, or has kept it when the queue is asked.
        rest.revocations.fetch_add(1, Ordering::SeqCst);
        process.end_linger();
    }
}

#[cfg(all(test, target_os = "linux", not(lockfast_unsupported)))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::protocol::plan::Mode;
    use crate::types::wait_limit::WaitLimit;

    #[test]
    fn a_lock_that_was_given_up_is_not_kept_again_at_once() {
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
            let rest = &handle.process().rest;
            let [not_before, visited, pause] = [&rest.not_before, &rest.visited, &rest.pause]
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
    #[test]
    fn a_lock_whose_file_was_deleted_while_held_is_not_kept() {
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
            let rest = &handle.process().rest;
            while rest.revocations() == 0 {
                std::thread::yield_now();
            }
            rest.not_before.store(0, Ordering::Relaxed);
            drop(hold);
            assert!(take().is_current().expect("looked at"), "{mode:?}");
        }
    }
}
