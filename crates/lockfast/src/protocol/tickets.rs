//! In which order processes get in that want to be served first come, first served.
//!
//! The kernel's queue lets a newcomer in that asks in the instant of a release. So a handle with
//! [`Fairness::Fifo`](crate::Fairness) that can't get in at once locks a byte that stands for its
//! place in the line, its *ticket*, and who finds tickets lines up behind them:
//!
//! | bytes | name | meaning |
//! |---|---|---|
//! | `MIDDLE + n` | writers' ticket n | exclusive: whoever is to be alone, or upgradable, or to have a permit |
//! | `MIDDLE` | the first of them | exclusive: an upgradable reader that upgrades |
//! | `MIDDLE - 1 - n` | readers' ticket n | shared: readers |
//!
//! with `MIDDLE = 2^63 - 2^59` and `1 <= n < 2^58`, above all other bytes. A ticket is kept until
//! its owner is inside, or has its permits; a writer keeps it until it releases or downgrades, all in one call.
//!
//! 1. A newcomer asks for tickets (`F_OFD_GETLK`): a reader for those of writers, others for all. If
//!    there is none it tries to get in as without tickets. If there is, an attempt that must not wait
//!    has failed.
//! 2. Else it takes a ticket. It asks for numbers from the clock's on and takes the one above all
//!    that it sees, or the next one that is free.
//! 3. It asks for *earlier* tickets, again a reader for those of writers and others for all. If there
//!    is one it waits in the kernel for the byte of the latest of them, and asks again.
//! 4. If there is none it is first, and waits for the lock itself as one without a ticket does
//!    ([`plan`](super::plan)).
//!
//! Steps 2 and 3 are what a [`Ticket`] does, call by call; `order` makes those calls and the model
//! (`model`) explores them together with the plans.
//!
//! # Exclusion
//!
//! Whoever is inside followed a plan to its end. Tickets only delay it.
//!
//! # Nobody is overtaken
//!
//! Say that A had locked its ticket when B began, that one of the two is no reader, and that A neither
//! gives up nor dies. B's first question is asked after A locked its ticket, so B can't get in at
//! once. A's ticket is also there when B asks for numbers: B's number is above A's. The kernel looks at
//! the locks of a file one call after another, so from then on each answer "no earlier ticket" that
//! B gets comes after A's ticket is gone, and so after A was inside.
//!
//! The clock has no part in this. It only makes it likely that the first question is enough: tickets
//! are mostly taken in the order of its readings. So a clock that is set back, or that differs between
//! machines that share the file, costs some calls and no order.
//!
//! One that moves to another file, because the lock's file was replaced, takes the number that it had, or
//! the next one that is free. It began before it came to that file, so it overtakes nobody either.
//!
//! Readers that came before a writer go before it, and those that come after it wait for its ticket:
//! neither can starve the other (phase-fair). Between two who took their tickets at once, each while
//! the other was on its way, the numbers decide if both see each other, and the kernel's queue
//! otherwise.
//!
//! # No deadlock, no lost wake-up
//!
//! With a ticket in hand one waits only for a ticket with a smaller number, or, when there is none,
//! for the bytes of the plan. Whoever holds bytes of a plan does not wait for tickets: an upgrade
//! takes the first number, which nobody else takes, by an attempt. So there is no circle. What is waited for is a
//! lock, which ends with its owner; whoever is woken asks again, so it does not matter whether the
//! ticket before it was used or given up.
//!
//! # One wake-up
//!
//! Everybody waits for the latest of the earlier tickets, so those who exclude each other wait for
//! different bytes. A writer's ticket goes together with the lock, and then one wakes that is first
//! at once: the next writer, or all the readers up to it. It takes some 2 log n questions to find
//! the latest of n tickets, because the kernel tells just one in a range (`Search`).
//!
//! # Programs that lock everything
//!
//! A program that locks the whole file locks the tickets too. Then there is no number above. Who
//! wants a ticket waits in the kernel for the last one there is, and then asks for numbers again.
//! So while such a program is there, nobody has a place that others would have to respect. An upgrade
//! goes without a ticket then, as it waits for that program anyway.

#[cfg(test)]
mod model;
mod search;

use std::ops::ControlFlow;

use super::Blocker;
use super::plan::Mode;
use crate::sys::{Access, Range};
use search::{Search, last_covered};

/// Where the writers' tickets begin, upwards, and those of readers, downwards: so what is earlier
/// than a writer's ticket is one range.
const MIDDLE: u64 = (1 << 63) - (1 << 59);

/// How many there are on each side.
const NUMBERS: u64 = 1 << 58;

/// Where the tickets begin.
pub(crate) const START: u64 = MIDDLE - NUMBERS;

/// On which side of the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    Readers,
    Writers,
}

impl Side {
    /// For those who want to get in.
    pub(crate) fn of(mode: Mode) -> Self {
        match mode {
            Mode::Read => Self::Readers,
            Mode::Upgradable | Mode::Write | Mode::Exclusive => Self::Writers,
        }
    }

    /// Is there anybody before a newcomer?
    pub(crate) fn anybody(self) -> Call {
        match self {
            Self::Readers => Call::Find(Access::Shared, bytes(Self::Writers, 0, NUMBERS)),
            Self::Writers => Call::Find(Access::Exclusive, range(START, 2 * NUMBERS)),
        }
    }

    /// How a ticket of that side is locked.
    fn taking(self) -> Access {
        match self {
            Self::Readers => Access::Shared,
            Self::Writers => Access::Exclusive,
        }
    }

    /// What conflicts with a ticket of that side, and not with those who wait for one.
    fn finding(self) -> Access {
        match self {
            Self::Readers => Access::Exclusive,
            Self::Writers => Access::Shared,
        }
    }
}

/// How the ticket of an upgrade is taken.
pub(crate) fn upgrade() -> Call {
    Call::Try(Access::Exclusive, bytes(Side::Writers, 0, 1))
}

/// Where all the tickets are.
pub(crate) fn all() -> Range {
    range(START, 0)
}

/// On which side the tickets are that a range is among, if it is.
#[cfg_attr(
    not(feature = "inspect"),
    allow(dead_code, reason = "only that feature asks")
)]
pub(crate) fn side_of(range: Range) -> Option<Side> {
    let end = range.start.checked_add(range.len)?;
    if range.len == 0 || range.start < START || end > MIDDLE + NUMBERS {
        None
    } else if end <= MIDDLE {
        Some(Side::Readers)
    } else if range.start >= MIDDLE {
        Some(Side::Writers)
    } else {
        None
    }
}

/// The number to begin with, of that instant in nanoseconds: it grows by 1 in 64 ns, and lasts for
/// 584 years.
pub(crate) fn number_at(nanoseconds: u64) -> u64 {
    (nanoseconds >> 6).clamp(1, NUMBERS - 1)
}

/// A kernel call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Which lock of others is in the way of such a one?
    Find(Access, Range),
    /// Locks it if that is possible at once.
    Try(Access, Range),
    /// Waits until it can be locked, and unlocks it.
    Await(Access, Range),
}

/// A ticket, from the moment that somebody wants one until it is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ticket {
    side: Side,
    /// The clock's.
    hint: u64,
    number: u64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// Looks for numbers that were given before.
    Choosing(Search),
    Taking,
    /// That number is taken: by which lock?
    Skipping,
    /// There is no number above: something covers the last one of that side.
    Blocked(Side, Access),
    /// Is anybody before it?
    Looking,
    /// Who is the latest of those before it? On the other side it is this one.
    Finding(Search, Option<u64>),
    Awaiting(Side, u64),
    First,
}

impl Ticket {
    /// One for a newcomer.
    pub(crate) fn new(side: Side, hint: u64) -> Self {
        Self {
            side,
            hint,
            number: hint,
            stage: Stage::Choosing(Search::new(Side::Writers, hint, NUMBERS)),
        }
    }

    /// One for somebody who had that number before, in the line for a file that was replaced.
    pub(crate) fn again(side: Side, number: u64) -> Self {
        Self {
            stage: Stage::Taking,
            ..Self::new(side, number)
        }
    }

    /// That of an upgrade, which has been locked and is before all others.
    pub(crate) fn of_upgrade() -> Self {
        Self {
            stage: Stage::First,
            ..Self::new(Side::Writers, 0)
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Has it been locked?
    pub(crate) fn is_taken(&self) -> bool {
        match self.stage {
            Stage::Choosing(_) | Stage::Taking | Stage::Skipping | Stage::Blocked(..) => false,
            Stage::Looking | Stage::Finding(..) | Stage::Awaiting(..) | Stage::First => true,
        }
    }

    /// What is to be done next; nothing more when it is the first.
    pub(crate) fn call(&self) -> Option<Call> {
        let own = bytes(self.side, self.number, self.number + 1);
        Some(match self.stage {
            Stage::Choosing(search) | Stage::Finding(search, _) => search.call(),
            Stage::Taking => Call::Try(self.side.taking(), own),
            Stage::Skipping => Call::Find(self.side.taking(), own),
            Stage::Blocked(side, access) => Call::Await(access, bytes(side, NUMBERS - 1, NUMBERS)),
            Stage::Looking => {
                let earlier = range(MIDDLE - self.number, 2 * self.number);
                Call::Find(Access::Exclusive, earlier)
            }
            Stage::Awaiting(side, number) => {
                Call::Await(side.finding(), bytes(side, number, number + 1))
            }
            Stage::First => return None,
        })
    }

    /// What [`Call::Find`] found.
    pub(crate) fn found(&mut self, blocker: Option<Blocker>) {
        self.stage = match (self.stage, blocker) {
            (Stage::Choosing(search), _) => match search.answered(blocker) {
                ControlFlow::Continue(search) => Stage::Choosing(search),
                ControlFlow::Break(latest) => self.choose(search.side, latest),
            },
            (Stage::Finding(search, other), _) => match search.answered(blocker) {
                ControlFlow::Continue(search) => Stage::Finding(search, other),
                ControlFlow::Break(latest) => self.line_up(search.side, latest, other),
            },
            (Stage::Skipping, Some(blocker)) => {
                self.number = last_covered(self.side, self.number, NUMBERS, blocker) + 1;
                self.take(self.side, self.side.taking())
            }
            (Stage::Skipping, None) => Stage::Taking,
            (Stage::Looking, Some(_)) => self.find(),
            (Stage::Looking, None) => Stage::First,
            (Stage::Taking | Stage::Blocked(..) | Stage::Awaiting(..) | Stage::First, _) => {
                unreachable!("it did not ask")
            }
        };
    }

    /// What [`Call::Try`] and [`Call::Await`] came to.
    pub(crate) fn granted(&mut self, is_granted: bool) {
        self.stage = match (self.stage, is_granted) {
            (Stage::Taking, true) | (Stage::Awaiting(..), _) => self.look(),
            (Stage::Taking, false) => Stage::Skipping,
            (Stage::Blocked(..), true) => Self::new(self.side, self.hint).stage,
            (other, _) => other,
        };
    }

    /// The latest number of that side is known. For a writer one of readers may be later.
    fn choose(&mut self, side: Side, latest: Option<u64>) -> Stage {
        if let Some(latest) = latest {
            self.number = self.number.max(latest + 1);
        }
        let has_more = (self.side, side) == (Side::Writers, Side::Writers);
        if has_more && self.number < NUMBERS {
            return Stage::Choosing(Search::new(Side::Readers, self.number, NUMBERS));
        }
        self.take(side, side.finding())
    }

    /// If there is no number left, something covers the last one of that side.
    fn take(&mut self, side: Side, access: Access) -> Stage {
        if self.number < NUMBERS {
            return Stage::Taking;
        }
        self.number = self.hint;
        Stage::Blocked(side, access)
    }

    fn look(&self) -> Stage {
        match self.side {
            Side::Readers => self.find(),
            Side::Writers => Stage::Looking,
        }
    }

    fn find(&self) -> Stage {
        Stage::Finding(Search::new(Side::Writers, 0, self.number), None)
    }

    /// The latest ticket of that side is known. For a writer one of readers may be later.
    fn line_up(&self, side: Side, latest: Option<u64>, other: Option<u64>) -> Stage {
        let above = latest.map_or(0, |latest| latest + 1);
        let has_more = (self.side, side) == (Side::Writers, Side::Writers);
        if has_more && above < self.number {
            return Stage::Finding(Search::new(Side::Readers, above, self.number), latest);
        }
        match (latest, other) {
            (Some(latest), _) => Stage::Awaiting(side, latest),
            (None, Some(other)) => Stage::Awaiting(Side::Writers, other),
            (None, None) => Stage::First,
        }
    }
}

/// Where the tickets with these numbers are.
fn bytes(side: Side, low: u64, high: u64) -> Range {
    match side {
        Side::Writers => range(MIDDLE + low, high - low),
        Side::Readers => range(MIDDLE - high, high - low),
    }
}

fn range(start: u64, len: u64) -> Range {
    Range { start, len }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::plan::Part;
    use crate::protocol::{exclusive_len, permits};

    fn end(range: Range) -> u64 {
        range.start + range.len
    }

    #[test]
    fn tickets_lie_above_everything_else() {
        let whole = Part::Whole.range(exclusive_len((1 << 22) - 1, u64::MAX));
        for below in [whole, Part::Rooms.range(0), permits::presence(permits::MAX)] {
            assert!(end(below) <= START);
        }
        assert!(i64::try_from(end(bytes(Side::Writers, 0, NUMBERS))).is_ok());
        for part in [Part::All, Part::BeyondMain, Part::BeyondUpgrade] {
            assert!(part.reaches_tickets());
        }
        for part in [Part::Whole, Part::Rooms, Part::Line] {
            assert!(!part.reaches_tickets());
        }
    }

    #[test]
    fn the_first_number_is_left_to_upgrades() {
        assert_eq!(number_at(0), 1);
        assert_eq!(number_at(u64::MAX), NUMBERS - 1);
        assert!(number_at(1_000) < number_at(1_100));
        let Call::Try(_, upgrade) = upgrade() else {
            panic!("it tries")
        };
        assert_eq!(end(upgrade), bytes(Side::Writers, 1, 2).start);
    }

    #[test]
    fn a_ticket_tells_its_side() {
        for side in [Side::Readers, Side::Writers] {
            for number in [0, 1, NUMBERS - 1] {
                assert_eq!(side_of(bytes(side, number, number + 1)), Some(side));
            }
        }
        let below = range(START - 1, 1);
        let beyond = range(MIDDLE + NUMBERS, 1);
        for other in [all(), below, beyond, range(MIDDLE - 1, 2), range(0, 0)] {
            assert_eq!(side_of(other), None, "{other:?}");
        }
    }

    #[test]
    fn what_is_earlier_than_a_writer_is_one_range() {
        let earlier = |side| bytes(side, 0, 7);
        assert_eq!(end(earlier(Side::Readers)), earlier(Side::Writers).start);
        let mut ticket = Ticket::again(Side::Writers, 7);
        ticket.granted(true);
        let expected = range(earlier(Side::Readers).start, 14);
        assert_eq!(ticket.call(), Some(Call::Find(Access::Exclusive, expected)));
    }
}
