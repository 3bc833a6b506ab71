//! Cached locks of a lock file, and waiters that want them.

use std::time::Instant;

use super::goal::Goal;
use super::marks::{self, CacheWatch, Interest};
use super::{FileKind, LockFile};

impl LockFile {
    /// Keeps the watch of the file until the file is closed.
    pub(crate) fn set_watch(&self, watch: Box<dyn CacheWatch>) {
        if let FileKind::Cached(kept) = &self.kind {
            // The first one: each file is watched once, when it was opened.
            let _ = kept.set(watch);
        }
    }

    /// Has the cached lock revoked at that instant at the latest; `false` when nobody would do that, nor see
    /// who wants it.
    pub(crate) fn cache_until(&self, until: Instant) -> bool {
        let FileKind::Cached(watch) = &self.kind else {
            return false;
        };
        watch.get().is_some_and(|watch| watch.revoke_at(until))
    }

    /// Shows that the lock is cached; `false` when somebody wants it.
    pub(crate) fn show_cached(&self) -> bool {
        self.marks.show_cached(self)
    }

    /// Whether another process may have the lock cached.
    pub(crate) fn may_be_cached(&self) -> bool {
        // Only where files can be watched do processes cache locks.
        self.traits.supports_watch && marks::is_cached(self)
    }

    /// Shows that the lock is wanted, until what this returns is dropped.
    pub(crate) fn show_wanted(&self, goal: Goal) -> Interest<'_> {
        // Permits are never cached.
        if self.traits.supports_watch && goal != Goal::LeadQueue {
            self.marks.show_wanted(self);
        }
        Interest::new(self, &self.marks, goal.access())
    }
}
