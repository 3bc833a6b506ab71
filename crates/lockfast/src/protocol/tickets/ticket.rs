//! The way of one ticket to the front.

use std::ops::ControlFlow;

use super::places::{Call, Side, bytes, earlier};
use super::search::{Search, last_covered};
use crate::protocol::Blocker;
use crate::protocol::layout::TICKETS;
use crate::sys::Access;

/// A ticket, from the moment that a process wants one until it is the first.
///
/// A state machine without a kernel: [`call`](Self::call) returns the next kernel call, and
/// [`found`](Self::found) or [`granted`](Self::granted) take its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ticket {
    side: Side,
    /// The number by the clock.
    hint: u64,
    /// Its own number, once it is taken; before, the one that it tries next.
    number: u64,
    stage: Stage,
}

/// | stage | its call | goes on with |
/// |---|---|---|
/// | `Choosing` | find the latest number that was given | `Taking`, `Blocked` |
/// | `Taking` | try its byte | `Looking` or `Finding` when granted, else `Skipping` |
/// | `Skipping` | find the lock that has this number | `Taking`, `Blocked` |
/// | `Blocked` | await the last number of that side, as something covers it | `Choosing` |
/// | `Looking` | find any earlier ticket (writers only) | `Finding`, `First` |
/// | `Finding` | find the latest earlier ticket; for the other side it is known | `Awaiting`, `First` |
/// | `Awaiting` | await that ticket | `Looking` or `Finding` |
/// | `First` | none | |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Choosing(Search),
    Taking,
    Skipping,
    Blocked(Side, Access),
    Looking,
    Finding(Search, Option<u64>),
    Awaiting(Side, u64),
    First,
}

impl Ticket {
    /// A ticket for a newcomer.
    pub(crate) fn new(side: Side, hint: u64) -> Self {
        Self {
            side,
            hint,
            number: hint,
            stage: Stage::Choosing(Search::new(Side::Writers, hint, TICKETS)),
        }
    }

    /// A ticket for a waiter that had this number before, for a file that was replaced.
    pub(crate) fn again(side: Side, number: u64) -> Self {
        Self {
            // Asks nobody for numbers: it keeps its place, and began to wait before it came to this
            // file.
            stage: Stage::Taking,
            ..Self::new(side, number)
        }
    }

    /// The ticket of an upgrade, which has been locked and is before all others.
    pub(crate) fn of_upgrade() -> Self {
        Self {
            stage: Stage::First,
            ..Self::new(Side::Writers, 0)
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether its byte is locked.
    pub(crate) fn is_taken(&self) -> bool {
        match self.stage {
            Stage::Choosing(_) | Stage::Taking | Stage::Skipping | Stage::Blocked(..) => false,
            Stage::Looking | Stage::Finding(..) | Stage::Awaiting(..) | Stage::First => true,
        }
    }

    /// The next call; `None` when it is the first.
    pub(crate) fn call(&self) -> Option<Call> {
        let own = bytes(self.side, self.number, self.number + 1);
        Some(match self.stage {
            Stage::Choosing(search) | Stage::Finding(search, _) => search.call(),
            Stage::Taking => Call::Try(self.side.taking(), own),
            Stage::Skipping => Call::Find(self.side.taking(), own),
            Stage::Blocked(side, access) => Call::Await(access, bytes(side, TICKETS - 1, TICKETS)),
            Stage::Looking => Call::Find(Access::Exclusive, earlier(self.number)),
            Stage::Awaiting(side, number) => {
                Call::Await(side.finding(), bytes(side, number, number + 1))
            }
            Stage::First => return None,
        })
    }

    /// Takes the outcome of [`Call::Find`].
    pub(crate) fn found(&mut self, blocker: Option<Blocker>) {
        self.stage = match (self.stage, blocker) {
            (Stage::Choosing(search), _) => match search.answered(blocker) {
                ControlFlow::Continue(search) => Stage::Choosing(search),
                ControlFlow::Break(latest) => self.choose(search.side, latest),
            },
            (Stage::Finding(search, other), _) => match search.answered(blocker) {
                ControlFlow::Continue(search) => Stage::Finding(search, other),
                ControlFlow::Break(latest) => self.join_queue(search.side, latest, other),
            },
            (Stage::Skipping, Some(blocker)) => {
                self.number = last_covered(self.side, self.number, TICKETS, blocker) + 1;
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

    /// Takes the outcome of [`Call::Try`] and [`Call::Await`].
    pub(crate) fn granted(&mut self, is_granted: bool) {
        self.stage = match (self.stage, is_granted) {
            // After each wait it looks again: the ticket before it may have been given up, and one
            // before that may still be there.
            (Stage::Taking, true) | (Stage::Awaiting(..), _) => self.look(),
            (Stage::Taking, false) => Stage::Skipping,
            (Stage::Blocked(..), true) => Self::new(self.side, self.hint).stage,
            (other, _) => other,
        };
    }

    /// Goes on when the latest number of that side is known. A writer looks at readers as well.
    fn choose(&mut self, side: Side, latest: Option<u64>) -> Stage {
        if let Some(latest) = latest {
            // Above all that it sees, whatever its clock says: that is why nobody is overtaken.
            self.number = self.number.max(latest + 1);
        }
        // A writer has to be behind readers as well; to a reader only writers' numbers matter.
        let has_more = (self.side, side) == (Side::Writers, Side::Writers);
        if has_more && self.number < TICKETS {
            return Stage::Choosing(Search::new(Side::Readers, self.number, TICKETS));
        }
        self.take(side, side.finding())
    }

    /// Takes the next number. If none is left, something covers the last one of that side.
    fn take(&mut self, side: Side, access: Access) -> Stage {
        if self.number < TICKETS {
            return Stage::Taking;
        }
        // Once the last number is free, it chooses anew from the clock's number on.
        self.number = self.hint;
        Stage::Blocked(side, access)
    }

    fn look(&self) -> Stage {
        match self.side {
            Side::Readers => self.find(),
            // One question for both sides. Mostly there is nobody, and two searches would cost more.
            Side::Writers => Stage::Looking,
        }
    }

    fn find(&self) -> Stage {
        Stage::Finding(Search::new(Side::Writers, 0, self.number), None)
    }

    /// Goes on when the latest earlier ticket of that side is known. A writer looks at readers as well.
    fn join_queue(&self, side: Side, latest: Option<u64>, other: Option<u64>) -> Stage {
        let above = latest.map_or(0, |latest| latest + 1);
        let has_more = (self.side, side) == (Side::Writers, Side::Writers);
        if has_more && above < self.number {
            // Only readers behind the latest writer matter: it waits for the latest of all.
            return Stage::Finding(Search::new(Side::Readers, above, self.number), latest);
        }
        match (latest, other) {
            (Some(latest), _) => Stage::Awaiting(side, latest),
            (None, Some(other)) => Stage::Awaiting(Side::Writers, other),
            (None, None) => Stage::First,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_looks_at_all_earlier_tickets_at_once() {
        let mut ticket = Ticket::again(Side::Writers, 7);
        ticket.granted(true);
        let expected = Call::Find(Access::Exclusive, earlier(7));
        assert_eq!(ticket.call(), Some(expected));
    }
}
