//! Telling each other who wants the lock and who keeps it (see [`crate::protocol::linger`]).

use std::io;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{Goal, LockFile};
use crate::handle::watcher::Watched;
use crate::protocol::linger;
use crate::sys::notifier;
use crate::sys::{self, Target};
use crate::sys::{Access, Range};

impl LockFile {
    /// Is everybody noticed who opens it, and whatever is done to it?
    pub(crate) fn is_heard(&self) -> bool {
        self.traits.supports_watch
    }

    /// It is watched from now on, until it is dropped.
    pub(crate) fn set_watched(&self, watched: Watched) {
        // It was not before: each file is watched once, when it was opened.
        let _ = self.watched.set(watched);
    }

    /// What is kept is revoked then at the latest; `false` when nobody would hear who wants it.
    pub(crate) fn keep_until(&self, until: Instant) -> bool {
        let watched = self.watched.get();
        watched.is_some_and(|watched| watched.revoke_at(until))
    }

    /// Tells that it is kept; `false` when somebody wants it. Ends with the release, in either case.
    pub(crate) fn begin_to_keep(&self) -> bool {
        self.has_sign.store(true, Ordering::Relaxed);
        matches!(self.try_bytes(Access::Shared, linger::marks()), Ok(true))
            && sys::lock::blocker(&self.file, Access::Exclusive, linger::wanted()).is_none()
    }

    /// Does somebody else keep it, or may do so?
    pub(crate) fn may_be_kept(&self) -> bool {
        let kept = linger::cache_mark();
        self.is_heard() && sys::lock::blocker(&self.file, Access::Exclusive, kept).is_some()
    }

    /// Tells that it is wanted until what this returns is dropped, and rings if somebody may keep it.
    pub(crate) fn ask_for(&self, goal: Goal) -> Asking<'_> {
        if self.is_heard() && goal != Goal::LeadLine {
            self.has_sign.store(true, Ordering::Relaxed);
            let sign = linger::waiter_mark(std::process::id(), sys::file::number(&self.file));
            if !matches!(self.try_bytes(Access::Exclusive, sign), Ok(true)) {
                // Should this fail, what is kept is given up when its time is over.
                let _ = self.try_bytes(Access::Shared, linger::wanted());
                notifier::notify(&self.file);
            }
        }
        Asking {
            file: self,
            goal,
            is_given_back: false,
        }
    }

    /// Gives back what was locked of these bytes.
    pub(crate) fn stop_asking(&self) -> io::Result<()> {
        if self.has_sign.swap(false, Ordering::Relaxed) {
            sys::lock::release(&self.file, Target::Bytes(linger::all()))?;
        }
        Ok(())
    }

    fn try_bytes(&self, access: Access, range: Range) -> io::Result<bool> {
        sys::lock::try_lock(&self.file, access, Target::Bytes(range))
    }
}

/// One who tells that it wants the lock.
#[derive(Debug)]
#[must_use]
pub(crate) struct Asking<'f> {
    file: &'f LockFile,
    goal: Goal,
    is_given_back: bool,
}

impl Asking<'_> {
    /// It has the lock. One who is alone with it gives all back together; it hinders nobody until then.
    pub(crate) fn has_got_it(mut self) {
        self.is_given_back = self.goal.access() == Access::Exclusive;
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if !self.is_given_back {
            // Should this fail, the next release gives it back.
            let _ = self.file.stop_asking();
        }
    }
}
