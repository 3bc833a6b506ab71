//! The FIFO order among processes, for one open file.
//!
//! `protocol/tickets.rs` has the calls and why they are right; this file makes them.

use std::fs::File;
use std::io;
use std::sync::{Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use super::goal::Goal;
use crate::protocol::permits;
use crate::protocol::tickets::{self, Call, Side, Ticket};
use crate::sys::mutex;
use crate::sys::{self, Access, Target};

/// The ticket of an open file, if it has one.
#[derive(Debug, Default)]
pub(super) struct FifoQueue {
    /// Only the thread with the turn uses it, so it is never contended.
    // | the ticket | its byte |
    // |---|---|
    // | none | – |
    // | after an error | may be locked, until `leave` |
    // | not taken yet | is not locked: something covers all numbers, and the wait goes on |
    // | taken | is locked until `leave`, or until a release that reaches the tickets |
    ticket: Mutex<Option<Ticket>>,
}

impl Goal {
    /// The side of its ticket; `None` if it goes before all others.
    fn side(self) -> Option<Side> {
        match self {
            Self::Enter(mode) | Self::Join(mode) => Some(Side::of(mode)),
            Self::LeadQueue => Some(Side::Writers),
            Self::Upgrade => None,
        }
    }

    /// Whether the ticket is of no use once this is reached. Otherwise it goes with the lock.
    pub(super) fn ends_ticket(self) -> bool {
        match self {
            Self::Enter(mode) | Self::Join(mode) => !mode.is_alone(),
            Self::Upgrade | Self::LeadQueue => false,
        }
    }
}

impl FifoQueue {
    /// Takes a ticket, unless it has one. Never waits.
    ///
    /// The number is that of an earlier file, if the lock's file was replaced. After an error its byte may be
    /// locked, so the ticket is stored in that case too, for [`leave`](Self::leave).
    pub(super) fn take_ticket(
        &self,
        file: &File,
        goal: Goal,
        number: &mut Option<u64>,
    ) -> io::Result<()> {
        // A wait that begins again keeps its place.
        if self.ticket().is_some() {
            return Ok(());
        }
        // An upgrade has the main bytes, so whoever has a ticket may wait for it. To queue behind those
        // would be a deadlock.
        let Some(side) = goal.side() else {
            let taken = take_upgrade_ticket(file);
            if !matches!(taken, Ok(false)) {
                *self.ticket() = Some(Ticket::of_upgrade());
            }
            return taken.map(drop);
        };
        let mut ticket = match *number {
            Some(number) => Ticket::again(side, number),
            None => Ticket::new(side, tickets::number_at(now())),
        };
        let never_waits = |_, _| Ok(false);
        let taken = advance(file, &mut ticket, Ticket::is_taken, never_waits, &|error| {
            error
        });
        *self.ticket() = Some(ticket);
        taken?;
        *number = Some(ticket.number());
        Ok(())
    }

    /// Whether nobody is before this file. Calls `lock` for what may have to be waited for.
    pub(super) fn is_first<E>(
        &self,
        file: &File,
        goal: Goal,
        lock: impl FnMut(Access, Target) -> Result<bool, E>,
        fail: &impl Fn(io::Error) -> E,
    ) -> Result<bool, E> {
        // A copy: the mutex is not held while it waits.
        let own = *self.ticket();
        let Some(mut ticket) = own else {
            return match goal.side().map(Side::anybody) {
                Some(Call::Find(access, range)) => sys::lock::find(file, access, range)
                    .map(|found| found.is_none())
                    .map_err(fail),
                _ => Ok(true),
            };
        };
        // After an error a ticket stays stored, so that `leave` unlocks its byte.
        let is_first = advance(file, &mut ticket, |_| false, lock, fail)?;
        *self.ticket() = Some(ticket);
        Ok(is_first)
    }

    /// Gives up the ticket.
    pub(super) fn leave(&self, file: &File) -> io::Result<()> {
        if self.ticket().is_some() {
            sys::lock::release(file, Target::Bytes(tickets::all()))?;
            // After the release: a ticket that could not be unlocked is still there.
            self.forget();
        }
        Ok(())
    }

    /// Notes that the ticket was unlocked with other bytes.
    pub(super) fn forget(&self) {
        *self.ticket() = None;
    }

    fn ticket(&self) -> MutexGuard<'_, Option<Ticket>> {
        mutex::lock(&self.ticket)
    }
}

/// Whether anybody is in the queue for permits, with a ticket or as the head, or holds everything.
pub(super) fn is_anybody_before_permits(file: &File) -> bool {
    // In case of doubt the caller joins the queue, and gets the error there.
    !matches!(
        sys::lock::find(file, Access::Shared, permits::head_and_above()),
        Ok(None)
    )
}

/// Makes the calls of the ticket until it is the first or `is_enough`; `false` when it would have to wait,
/// and `lock` does not.
fn advance<E>(
    file: &File,
    ticket: &mut Ticket,
    is_enough: impl Fn(&Ticket) -> bool,
    mut lock: impl FnMut(Access, Target) -> Result<bool, E>,
    fail: &impl Fn(io::Error) -> E,
) -> Result<bool, E> {
    while !is_enough(ticket) {
        match ticket.call() {
            None => break,
            Some(Call::Find(access, range)) => {
                ticket.found(sys::lock::find(file, access, range).map_err(fail)?);
            }
            Some(Call::Try(access, range)) => {
                let granted = sys::lock::try_lock(file, access, Target::Bytes(range));
                ticket.granted(granted.map_err(fail)?);
            }
            Some(Call::Await(access, range)) => {
                let granted = lock(access, Target::Bytes(range))?;
                // The byte was locked to learn that its owner is gone; nobody may wait for it now.
                if granted {
                    sys::lock::release(file, Target::Bytes(range)).map_err(fail)?;
                }
                ticket.granted(granted);
                if !granted {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

fn take_upgrade_ticket(file: &File) -> io::Result<bool> {
    let Call::Try(access, range) = tickets::upgrade() else {
        unreachable!("it never waits")
    };
    sys::lock::try_lock(file, access, Target::Bytes(range))
}

/// The time of day in nanoseconds: what all processes and machines agree upon best.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos().try_into().unwrap_or(u64::MAX))
}

#[cfg(all(test, target_os = "linux", not(lockfast_unsupported)))]
mod tests {
    use super::*;
    use crate::protocol::plan::Mode;

    #[test]
    fn a_ticket_whose_call_failed_is_unlocked_when_the_place_is_left() {
        for goal in [Goal::LeadQueue, Goal::Upgrade, Goal::Enter(Mode::Write)] {
            let place = tempfile::NamedTempFile::new().expect("a file");
            // The kernel refuses exclusive locks by a descriptor that only reads.
            let file = File::open(place.path()).expect("opened");
            let queue = FifoQueue::default();
            assert!(queue.take_ticket(&file, goal, &mut None).is_err());
            // After an error of a server the byte may be locked all the same.
            let locked = sys::lock::try_lock(&file, Access::Shared, Target::Bytes(tickets::all()));
            assert!(locked.expect("no error"), "nobody else has it");
            queue.leave(&file).expect("left");
            let found = sys::lock::blocker(place.as_file(), Access::Exclusive, tickets::all());
            assert_eq!(found, None, "{goal:?}");
        }
    }
}
