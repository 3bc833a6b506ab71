//! Who comes first among the processes, where that is promised.
//!
//! What the kernel is asked, and why that is right, is in `protocol/tickets.rs`; here it is asked.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::file::{Goal, LockFile};
use crate::protocol::permits;
use crate::protocol::tickets::{self, Call, Side, Ticket};
use crate::sys::Access;
use crate::sys::{self, Target};

/// The place of an open file in the line.
#[derive(Debug, Default)]
pub(crate) struct FifoQueue {
    /// Only the one whose turn it is uses it, so it is never contended.
    ticket: Mutex<Option<Ticket>>,
}

/// A place in the line, given up when dropped.
#[derive(Debug)]
#[must_use = "the place is given up when this is dropped"]
pub(crate) struct InOrder(Option<InLine>);

/// The same, where there is a line.
#[derive(Debug)]
struct InLine {
    file: Arc<LockFile>,
    goal: Goal,
    has_arrived: bool,
}

impl FifoQueue {
    fn ticket(&self) -> MutexGuard<'_, Option<Ticket>> {
        self.ticket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tickets were unlocked with other bytes.
    pub(crate) fn forget(&self) {
        *self.ticket() = None;
    }
}

impl Goal {
    /// On which side it lines up; nowhere, if it goes before all others.
    fn side(self) -> Option<Side> {
        match self {
            Self::Enter(mode) | Self::Join(mode) => Some(Side::of(mode)),
            Self::LeadLine => Some(Side::Writers),
            Self::Upgrade => None,
        }
    }

    /// Is the ticket of no use once this is reached? Else it goes with what was reached.
    fn ends_order(self) -> bool {
        match self {
            Self::Enter(mode) | Self::Join(mode) => !mode.is_alone(),
            Self::Upgrade | Self::LeadLine => false,
        }
    }
}

impl LockFile {
    /// Takes a place in the line of the processes, unless there is no such line or it has one.
    /// Never waits. The number is that of an earlier file, if the lock's file was replaced.
    pub(crate) fn take_place(&self, goal: Goal, number: &mut Option<u64>) -> io::Result<()> {
        let Some(order) = self.order() else {
            return Ok(());
        };
        if order.ticket().is_some() {
            return Ok(());
        }
        let Some(side) = goal.side() else {
            if let Some(ticket) = self.upgrade_ticket()? {
                *order.ticket() = Some(ticket);
            }
            return Ok(());
        };
        let mut ticket = match *number {
            Some(number) => Ticket::again(side, number),
            None => Ticket::new(side, tickets::number_at(now())),
        };
        let never_waits = |_, _| Ok(false);
        self.advance(&mut ticket, Ticket::is_taken, never_waits, &|error| error)?;
        *number = Some(ticket.number());
        *order.ticket() = Some(ticket);
        Ok(())
    }

    /// Is nobody in the line before it? Calls `lock` for what may have to be waited for.
    pub(crate) fn comes_first<E>(
        &self,
        goal: Goal,
        lock: impl FnMut(Access, Target) -> Result<bool, E>,
        fail: &impl Fn(io::Error) -> E,
    ) -> Result<bool, E> {
        let Some(order) = self.order() else {
            return Ok(true);
        };
        let own = *order.ticket();
        let Some(mut ticket) = own else {
            return match goal.side().map(Side::anybody) {
                Some(Call::Find(access, range)) => sys::lock::find(self, access, range)
                    .map(|found| found.is_none())
                    .map_err(fail),
                _ => Ok(true),
            };
        };
        let is_first = self.advance(&mut ticket, |_| false, lock, fail)?;
        *order.ticket() = Some(ticket);
        Ok(is_first)
    }

    /// Is somebody in the line for permits, or in the way of all?
    pub(crate) fn has_order(&self) -> bool {
        // In case of doubt it lines up, and is told of the error.
        !matches!(
            sys::lock::find(self, Access::Shared, permits::head_and_above()),
            Ok(None)
        )
    }

    /// Leaves the line.
    pub(crate) fn leave_order(&self) -> io::Result<()> {
        let Some(order) = self.order() else {
            return Ok(());
        };
        if order.ticket().is_some() {
            sys::lock::release(self, Target::Bytes(tickets::all()))?;
            order.forget();
        }
        Ok(())
    }

    /// Makes the calls of the ticket until it is the first or `is_enough`; `false` when it
    /// would have to wait, and `lock` does not.
    fn advance<E>(
        &self,
        ticket: &mut Ticket,
        is_enough: impl Fn(&Ticket) -> bool,
        mut lock: impl FnMut(Access, Target) -> Result<bool, E>,
        fail: &impl Fn(io::Error) -> E,
    ) -> Result<bool, E> {
        while !is_enough(ticket) {
            match ticket.call() {
                None => break,
                Some(Call::Find(access, range)) => {
                    ticket.found(sys::lock::find(self, access, range).map_err(fail)?);
                }
                Some(Call::Try(access, range)) => {
                    let granted = sys::lock::try_lock(self, access, Target::Bytes(range));
                    ticket.granted(granted.map_err(fail)?);
                }
                Some(Call::Await(access, range)) => {
                    let granted = lock(access, Target::Bytes(range))?;
                    if granted {
                        sys::lock::release(self, Target::Bytes(range)).map_err(fail)?;
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

    fn upgrade_ticket(&self) -> io::Result<Option<Ticket>> {
        let Call::Try(access, range) = tickets::upgrade() else {
            unreachable!("it never waits")
        };
        let granted = sys::lock::try_lock(self, access, Target::Bytes(range))?;
        Ok(granted.then(Ticket::of_upgrade))
    }
}

impl InOrder {
    /// Takes a place in the line, if there is such a line.
    pub(crate) fn of(
        file: &Arc<LockFile>,
        goal: Goal,
        number: &mut Option<u64>,
    ) -> io::Result<Self> {
        if file.order().is_none() {
            return Ok(Self::nowhere());
        }
        let place = InLine {
            file: Arc::clone(file),
            goal,
            has_arrived: false,
        };
        file.take_place(goal, number)?;
        Ok(Self(Some(place)))
    }

    /// Where there is no line.
    pub(crate) fn nowhere() -> Self {
        Self(None)
    }

    /// Has reached what it was for.
    #[inline]
    pub(crate) fn arrive(self) -> io::Result<()> {
        self.0.map_or(Ok(()), InLine::arrive)
    }
}

impl InLine {
    fn arrive(mut self) -> io::Result<()> {
        self.has_arrived = true;
        if self.goal.ends_order() {
            self.file.leave_order()
        } else {
            Ok(())
        }
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        if !self.has_arrived && self.file.is_own() {
            // Whoever gives the file back releases all of it once more, and closes it if that fails.
            let _ = self.file.leave_order();
        }
    }
}

/// The time of day in nanoseconds: what all processes and machines agree upon best.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos().try_into().unwrap_or(u64::MAX))
}
