//! The status of a file when it was last found at its path.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::sys::{ChangeTime, Status};

/// The links and the change time of a file when it was last found at its path, if that is known.
///
/// Both are in one word, so any thread may read or replace it at any time: whatever is in it was true of the
/// file at its path. Such a status never comes back once the file was moved, deleted or replaced.
///
/// | bits | meaning |
/// |---|---|
/// | 0 and 1 | the number of links; 0 when nothing is known |
/// | the others | the change time in nanoseconds since 1970; 0 when it is not to be compared |
///
/// Files with more links than fit, and times that do not fit, are not remembered: for them each acquire looks
/// the path up.
#[derive(Debug, Default)]
pub(super) struct VerifiedStat(AtomicU64);

const LINK_BITS: u32 = 2;

/// The clocks of file systems tick a hundred times a second, or faster.
const TICK: Duration = Duration::from_millis(10);

impl VerifiedStat {
    #[inline]
    pub(super) fn is_known(&self) -> bool {
        // Relaxed, here and below: the word is all there is, and nothing is read through it.
        self.0.load(Ordering::Relaxed) != 0
    }

    /// Whether the file has the status that it had at its path.
    #[inline]
    pub(super) fn is_unchanged(&self, status: &Status, by_time: bool) -> bool {
        // What is remembered fits, and what does not fit is another 2^62 nanoseconds away.
        let ChangeTime(seconds, nanoseconds) = status.changed;
        let time = seconds
            .wrapping_mul(1_000_000_000)
            .wrapping_add(nanoseconds);
        #[allow(clippy::cast_sign_loss, reason = "bits to compare")]
        let time = if by_time {
            (time as u64) << LINK_BITS
        } else {
            0
        };
        status.links < 1 << LINK_BITS && time | status.links == self.0.load(Ordering::Relaxed)
    }

    /// Remembers the status of the path. A change that is so young that the next one may have the same time
    /// shows nothing, so it is not remembered.
    pub(super) fn remember(&self, status: &Status, by_time: bool) {
        let packed = packed(status, by_time).filter(|_| !by_time || is_settled(status.changed));
        self.0.store(packed.unwrap_or(0), Ordering::Relaxed);
    }
}

#[inline]
fn packed(status: &Status, by_time: bool) -> Option<u64> {
    let links = Some(status.links).filter(|links| (1..1 << LINK_BITS).contains(links))?;
    let time = if by_time {
        nanoseconds(status.changed)?
    } else {
        0
    };
    (time < 1 << (u64::BITS - LINK_BITS)).then_some((time << LINK_BITS) | links)
}

#[inline]
fn nanoseconds(ChangeTime(seconds, nanoseconds): ChangeTime) -> Option<u64> {
    let seconds = u64::try_from(seconds).ok()?;
    let nanoseconds = u64::try_from(nanoseconds).ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanoseconds)
}

/// Whether the next change will have another time.
fn is_settled(changed: ChangeTime) -> bool {
    let changed = nanoseconds(changed).map(Duration::from_nanos);
    let changed = changed.and_then(|since| UNIX_EPOCH.checked_add(since));
    let age = changed.and_then(|changed| SystemTime::now().duration_since(changed).ok());
    age.is_some_and(|age| age > 4 * TICK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{FileId, FileSort};

    fn status(links: u64, changed: ChangeTime) -> Status {
        Status {
            id: FileId::default(),
            links,
            changed,
            sort: FileSort::Regular,
            owner: 0,
        }
    }

    fn ago(age: Duration) -> ChangeTime {
        let changed = (SystemTime::now() - age)
            .duration_since(UNIX_EPOCH)
            .expect("after 1970");
        let seconds = changed.as_secs().try_into().expect("this century");
        ChangeTime(seconds, changed.subsec_nanos().into())
    }

    fn is_remembered(links: u64, changed: ChangeTime) -> bool {
        let verified = VerifiedStat::default();
        verified.remember(&status(links, changed), true);
        assert_eq!(
            verified.is_unchanged(&status(links, changed), true),
            verified.is_known()
        );
        verified.is_known()
    }

    #[test]
    fn a_change_time_counts_only_where_the_next_change_has_another() {
        assert!(!is_remembered(1, ago(Duration::ZERO)));
        assert!(!is_remembered(1, ago(TICK)));
        assert!(is_remembered(1, ago(Duration::from_secs(1))));
        // A clock that was set back shows nothing, nor does a time that can't be.
        assert!(!is_remembered(1, ChangeTime(i64::MAX, 0)));
        assert!(!is_remembered(1, ChangeTime(-1, 0)));
    }

    #[test]
    fn another_change_time_or_number_of_links_is_seen() {
        let (old, older) = (ChangeTime(1_000_000_000, 5), ChangeTime(1_000_000_000, 4));
        for links in 1..4 {
            let verified = VerifiedStat::default();
            verified.remember(&status(links, old), true);
            assert!(verified.is_unchanged(&status(links, old), true));
            assert!(!verified.is_unchanged(&status(links, older), true));
            assert!(!verified.is_unchanged(&status(links - 1, old), true));
            assert!(!verified.is_unchanged(&status(links + 4, old), true));
        }
        assert!(!is_remembered(4, old) && !is_remembered(0, old));
    }

    #[test]
    fn where_a_rename_shows_no_time_the_links_alone_count() {
        let verified = VerifiedStat::default();
        verified.remember(&status(1, ago(Duration::ZERO)), false);
        assert!(verified.is_unchanged(&status(1, ChangeTime(7, 7)), false));
        assert!(!verified.is_unchanged(&status(0, ChangeTime(7, 7)), false));
    }
}
