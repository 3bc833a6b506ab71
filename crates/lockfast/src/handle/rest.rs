//! When a handle may keep its lock after a release, in one process.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::sys::Event;
use crate::sys::made_once::MadeOnce;

/// Whether a handle keeps its lock, in one process.
///
/// Each field is changed on its own: a release that reads an old value keeps a lock that is revoked right
/// afterwards, which `revocations` shows it.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// Not before that, in nanoseconds since some instant.
    pub(super) not_before: AtomicU64,
    /// The length of the last pause.
    pub(super) pause: AtomicU64,
    /// Not before that either, unless the visitor who opened the file closes it.
    pub(super) visited: AtomicU64,
    /// The number of revocations, whether the lock was kept then or not. Sequentially consistent, so that
    /// either a release sees the revocation, or the revocation sees the lock in the slot.
    pub(super) revocations: AtomicU64,
    /// Whether the last clone of the handle was dropped.
    // Set before the queue's mutex is locked to end lingering, and read again under it by a release that would
    // keep the lock.
    is_over: AtomicBool,
}

/// The reason why a lock is not kept any longer, or may be kept again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
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
    /// Returns the meaning of all that happened to a file.
    pub(super) fn of(events: impl Iterator<Item = Event>) -> Option<Self> {
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

/// The length of a pause before which nobody wanted the lock for a while ...
pub(super) const SHORTEST_PAUSE: Duration = Duration::from_micros(500);
/// ... and grows with each one that follows within so many times its length ...
const SOON: u64 = 8;
/// ... up to that.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// A visitor who has opened the file and asks now and then gets a chance for that long, or until it closes
/// the file.
pub(super) const VISIT: Duration = Duration::from_millis(30);

/// When its time is over, the lock is not kept for this part of that time, so that those get in who
/// can't be heard ...
pub(super) const REST_PART: u32 = 16;
/// ... but not for longer.
pub(super) const LONGEST_REST: Duration = Duration::from_millis(100);

/// A longer time is for ever, and within all clocks.
pub(super) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Rest {
    /// Whether the lock may be kept now.
    pub(super) fn is_allowed(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed) && self.not_before() <= now()
    }

    /// Whether the lock may be kept now and was not revoked since that number of revocations.
    pub(super) fn is_allowed_since(&self, revocations: u64) -> bool {
        self.revocations() == revocations && self.is_allowed()
    }

    pub(super) fn revocations(&self) -> u64 {
        self.revocations.load(Ordering::SeqCst)
    }

    fn not_before(&self) -> u64 {
        let visited = self.visited.load(Ordering::Relaxed);
        visited.max(self.not_before.load(Ordering::Relaxed))
    }

    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Keeps nothing for a while, for longer each time.
    pub(super) fn pause(&self) {
        self.pause_from(now());
    }

    fn pause_from(&self, now: u64) {
        let not_before = self.not_before.load(Ordering::Relaxed);
        // Two pauses at once may both double the same length. One is lost, which makes the next one
        // shorter.
        let last = self.pause.load(Ordering::Relaxed);
        let pause = if now < not_before.saturating_add(SOON * last) {
            (2 * last).clamp(nanoseconds(SHORTEST_PAUSE), nanoseconds(LONGEST_PAUSE))
        } else {
            nanoseconds(SHORTEST_PAUSE)
        };
        self.pause.store(pause, Ordering::Relaxed);
        self.rest(now, pause);
    }

    pub(super) fn rest(&self, now: u64, rest: u64) {
        // A longer rest that was set meanwhile stays.
        self.not_before
            .fetch_max(now.saturating_add(rest), Ordering::Relaxed);
    }
}

pub(super) fn now() -> u64 {
    static START: MadeOnce<Instant> = MadeOnce::new();
    // It never is 0, at which a pause that never was would end.
    nanoseconds(START.get_or_make(Instant::now).elapsed()) + 1
}

pub(super) fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_not_a_visit() {
        use Event::{Changed, Closed, Opened};
        let reason = |events: &[Event]| Reason::of(events.iter().copied());
        assert_eq!(reason(&[]), None);
        assert_eq!(reason(&[Opened]), Some(Reason::Visited));
        assert_eq!(reason(&[Opened, Closed]), Some(Reason::Wanted));
        assert_eq!(reason(&[Closed, Closed]), Some(Reason::Left));
        assert_eq!(reason(&[Changed, Closed]), Some(Reason::Wanted));
    }

    #[test]
    fn a_lock_that_is_revoked_meanwhile_is_not_kept() {
        let rest = Rest::default();
        let before = rest.revocations();
        assert!(rest.is_allowed_since(before));
        rest.revocations.fetch_add(1, Ordering::SeqCst);
        assert!(!rest.is_allowed_since(before) && rest.is_allowed());
    }

    #[test]
    fn pauses_grow_while_others_want_it_and_not_beyond_a_limit() {
        let rest = Rest::default();
        assert!(rest.is_allowed());
        let pause_at = |now| {
            rest.pause_from(now);
            assert!(rest.not_before() > now);
            (rest.not_before(), rest.not_before() - now)
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
        rest.pause_from(u64::MAX);
        assert!(!rest.is_allowed());
    }
}
