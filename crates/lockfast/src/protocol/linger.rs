//! Cached locks: how a process that keeps a lock it does not use learns that others want it.
//!
//! With [`Options::linger`](crate::Options::linger) a process keeps the kernel's lock after a release,
//! idle, and takes it again without a system call. A waiter can't tell such a *cached* lock from one that is
//! in use, so it has to show that it wants the lock, and the process that caches it has to listen. The
//! bytes are in [`layout`](super::layout): wanted, cache mark, waiter marks.
//!
//! # The waiter
//!
//! Before it waits in the kernel, it locks its own waiter mark. If that succeeds, nobody caches the lock,
//! and nobody can begin to before the mark is released: one call, and the mark is released with the rest. If
//! it fails, somebody may cache the lock. Then the waiter shares the wanted byte and notifies: it opens and
//! closes the file, which wakes those that watch it.
//!
//! # The process that caches the lock
//!
//! It watches the file all the time. After a release it first shares all marks, and then looks whether the
//! wanted byte is locked. If either shows a waiter, it releases everything in the kernel. Otherwise it keeps
//! main bytes and marks until it is notified, or until its time is over. Whatever it hears, it does not
//! cache the lock again for a while, so that the waiter gets in.
//!
//! # Why no waiter is overlooked
//!
//! A waiter mark that is locked keeps everybody from sharing all of them. A mark that could not be locked is
//! followed by wanted byte and notification, in this order; and the process that caches the lock shares the
//! marks and then looks for the wanted byte. So if that look misses the wanted byte, the notification comes
//! later than the look, and the watch sees it.
//!
//! A waiter mark is found by the pid of its owner and the number of its descriptor. Two processes of
//! different pid namespaces may have the same mark: then the second one notifies in vain.
//!
//! Programs that know nothing of this mostly open the file when they want the lock, and are noticed. But such
//! a program may lose the race for the lock, or may have opened the file long ago and begin to wait at any
//! time. So the process that caches the lock looks into the kernel's table of locks at least once a second,
//! and gives the lock up when somebody waits.

use super::layout::{CACHE_MARK, WAITER_MARKS, WANTED};
use crate::sys::Range;

const DESCRIPTOR_BITS: u32 = 20;

/// Shared by those who wait while the lock may be cached.
pub(crate) fn wanted() -> Range {
    WANTED
}

/// The cache mark and all waiter marks: shared by the process that caches the lock.
pub(crate) fn marks() -> Range {
    Range::between(CACHE_MARK.start, WAITER_MARKS.end())
}

/// Locked if somebody caches the lock, and never by a waiter.
pub(crate) fn cache_mark() -> Range {
    CACHE_MARK
}

/// The mark of one waiter.
pub(crate) fn waiter_mark(pid: u32, descriptor: u32) -> Range {
    // Two that meet in one mark by the remainder are safe: the second one notifies in vain.
    let number = (u64::from(pid) << DESCRIPTOR_BITS) | u64::from(descriptor);
    Range::new(WAITER_MARKS.start + number % WAITER_MARKS.len, 1)
}

/// The pid that the mark is of, in its namespace.
#[cfg_attr(
    not(feature = "inspect"),
    allow(dead_code, reason = "only that feature asks")
)]
pub(crate) fn owner_of_mark(mark: Range) -> Option<u32> {
    // A process that caches the lock has all marks, which name nobody.
    if mark.len != 1 || !WAITER_MARKS.contains(mark) {
        return None;
    }
    let pid = u32::try_from((mark.start - WAITER_MARKS.start) >> DESCRIPTOR_BITS).ok()?;
    (pid > 0).then_some(pid)
}

/// All bytes of this protocol.
pub(crate) fn all() -> Range {
    Range::between(WANTED.start, WAITER_MARKS.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_names_its_owner_and_lies_among_the_marks() {
        let mark = waiter_mark;
        for (pid, descriptor) in [
            (0, 0),
            (1, 3),
            ((1 << 22) - 1, (1 << 20) - 1),
            (u32::MAX, 7),
        ] {
            assert!(WAITER_MARKS.contains(mark(pid, descriptor)));
        }
        assert_eq!(owner_of_mark(mark((1 << 22) - 1, 7)), Some((1 << 22) - 1));
        assert_eq!(owner_of_mark(mark(1, (1 << 20) - 1)), Some(1));
        let beyond = Range::new(marks().end(), 1);
        for other in [cache_mark(), wanted(), marks(), beyond] {
            assert_eq!(owner_of_mark(other), None);
        }
        assert_ne!(mark(1, 3), mark(1, 4));
        assert_ne!(mark(1, 3), mark(2, 3));
        assert!(all().contains(marks()) && all().contains(wanted()));
    }
}
