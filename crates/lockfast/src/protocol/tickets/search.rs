//! The search for the latest ticket in a range of numbers.

use std::ops::ControlFlow;

use super::places::{Call, Side, bytes};
use crate::protocol::Blocker;
use crate::protocol::layout::WRITER_TICKETS;

/// Looks for the highest number of one side in a range of numbers.
///
/// The kernel names any of the locks in a range. So the search asks for the whole range, and then for the
/// upper half of what is left, until nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Search {
    pub(super) side: Side,
    /// Invariant: `low..high` is unknown, nothing is locked from `high` on, and `latest` is below `low`.
    low: u64,
    high: u64,
    asks_upper_half: bool,
    latest: Option<u64>,
}

impl Search {
    pub(super) fn new(side: Side, low: u64, high: u64) -> Self {
        Self {
            side,
            low,
            high,
            asks_upper_half: false,
            latest: None,
        }
    }

    fn lowest_asked(&self) -> u64 {
        if self.asks_upper_half {
            self.low + (self.high - self.low) / 2
        } else {
            self.low
        }
    }

    pub(super) fn call(&self) -> Call {
        let asked = bytes(self.side, self.lowest_asked(), self.high);
        Call::Find(self.side.finding(), asked)
    }

    /// Goes on with the answer, or ends with the latest number.
    pub(super) fn answered(mut self, blocker: Option<Blocker>) -> ControlFlow<Option<u64>, Self> {
        let asked = self.lowest_asked();
        if let Some(blocker) = blocker {
            let last = last_covered(self.side, asked, self.high, blocker);
            self.latest = Some(last);
            self.low = last + 1;
            self.asks_upper_half = true;
        } else if self.asks_upper_half {
            // Nothing in the upper half: the latest one is in the lower half, if there is one.
            self.high = asked;
            self.asks_upper_half = false;
        } else {
            return ControlFlow::Break(self.latest);
        }
        if self.low < self.high {
            ControlFlow::Continue(self)
        } else {
            ControlFlow::Break(self.latest)
        }
    }
}

/// The highest number in `low..high` that the lock covers. Programs that know nothing of tickets lock more
/// than one byte.
pub(super) fn last_covered(side: Side, low: u64, high: u64, blocker: Blocker) -> u64 {
    let last = match side {
        Side::Writers => (blocker.range().end() - 1).saturating_sub(WRITER_TICKETS.start),
        Side::Readers => (WRITER_TICKETS.start - 1).saturating_sub(blocker.start),
    };
    // The lock may begin before the range that was asked about, or end behind it.
    last.clamp(low, high - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Range;

    fn blocker(Range { start, len }: Range) -> Blocker {
        let pid = None;
        Blocker { start, len, pid }
    }

    /// Asks a kernel that has these locks, and names any of those in the way; also how often it asked.
    fn latest(side: Side, low: u64, high: u64, locks: &[Range], pick: usize) -> (Option<u64>, u32) {
        let mut search = Search::new(side, low, high);
        for asked in 1.. {
            let Call::Find(_, range) = search.call() else {
                panic!("it asks")
            };
            let overlaps = |lock: &&Range| lock.overlaps(range);
            let in_the_way: Vec<_> = locks.iter().filter(overlaps).collect();
            let named = in_the_way.get(pick % in_the_way.len().max(1));
            match search.answered(named.map(|&&lock| blocker(lock))) {
                ControlFlow::Continue(more) => search = more,
                ControlFlow::Break(latest) => return (latest, asked),
            }
        }
        unreachable!("it ends")
    }

    #[test]
    fn the_search_finds_the_latest_wherever_the_kernel_begins() {
        for side in [Side::Readers, Side::Writers] {
            for taken in 0..1_u64 << 6 {
                let numbers: Vec<_> = (0..6).filter(|bit| taken & (1 << bit) != 0).collect();
                let lock = |&number: &u64| bytes(side, number, number + 1);
                let locks: Vec<_> = numbers.iter().map(lock).collect();
                for (low, high) in [(0, 6), (2, 5), (3, 1 << 58)] {
                    let inside = |number: &&u64| (low..high).contains(*number);
                    let expected = numbers.iter().rev().find(inside).copied();
                    for pick in 0..6 {
                        let (found, _) = latest(side, low, high, &locks, pick);
                        assert_eq!(found, expected, "{side:?} {numbers:?} {low}..{high} {pick}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_search_asks_few_times_for_many_tickets() {
        for side in [Side::Readers, Side::Writers] {
            let lock = |number: u64| bytes(side, 1_000_000 * number, 1_000_000 * number + 1);
            let locks: Vec<_> = (1..=1000).map(lock).collect();
            let (found, asked) = latest(side, 0, 1 << 58, &locks, 0);
            assert_eq!(found, Some(1_000_000_000));
            assert!(asked < 100, "{asked}");
            let (found, asked) = latest(side, 0, 1_000_000_001, &locks, 0);
            assert_eq!(found, Some(1_000_000_000));
            assert!(asked < 40, "{asked}");
        }
    }

    #[test]
    fn a_lock_of_everything_covers_the_latest() {
        for side in [Side::Readers, Side::Writers] {
            assert_eq!(latest(side, 5, 9, &[Range::ALL], 0).0, Some(8));
            let some = bytes(side, 3, 7);
            assert_eq!(latest(side, 0, 1 << 58, &[some], 0).0, Some(6));
            assert_eq!(latest(side, 0, 5, &[some], 0).0, Some(4));
        }
    }
}
