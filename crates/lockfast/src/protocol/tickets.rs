//! FIFO order: the tickets by which processes get in strictly in the order in which they came.
//!
//! The kernel grants a lock to a newcomer that asks in the instant of a release. So a handle with
//! [`Fairness::Fifo`](crate::Fairness) that can't get in at once locks a byte that stands for its
//! place in the queue, its *ticket*, and those that find tickets queue behind them. A ticket has a number and
//! a side:
//!
//! | ticket | meaning |
//! |---|---|
//! | writers' ticket n | exclusive: a writer, an upgradable reader, or one that wants a permit |
//! | writers' ticket 0 | exclusive: an upgradable reader that upgrades |
//! | readers' ticket n | shared: readers |
//!
//! with `1 <= n < 2^58`, above all other bytes (see [`layout`](super::layout)). A ticket is kept until its
//! owner is inside, or has its permits; a writer keeps it until it releases or downgrades, all in one call.
//!
//! 1. A newcomer asks for tickets (`F_OFD_GETLK`): a reader for those of writers, others for all. If
//!    there is none it tries to get in as without tickets. If there is one, an attempt that must not wait
//!    has failed.
//! 2. Otherwise it takes a ticket. It asks for numbers from the clock's on and takes the one above all
//!    that it sees, or the next one that is free.
//! 3. It asks for *earlier* tickets, again a reader for those of writers and others for all. If there
//!    is one it waits in the kernel for the byte of the latest of them, and asks again.
//! 4. If there is none it is first, and waits for the lock itself as one without a ticket does
//!    ([`plan`](super::plan)).
//!
//! Steps 2 and 3 are what a [`Ticket`] does, call by call; `file::fifo` makes those calls and the model
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
//! A waiter that moves to another file, because the lock's file was replaced, takes its number there, or the
//! next one that is free. It began before it came to that file, so it overtakes nobody either.
//!
//! Readers that came before a writer go before it, and those that come after it wait for its ticket:
//! neither can starve the other (phase-fair). Between two that took their tickets at the same time, each
//! while the other was on its way, the numbers decide if both see each other, and the kernel's queue
//! otherwise.
//!
//! # No deadlock, no lost wake-up
//!
//! With a ticket a process waits only for a ticket with a smaller number, or, when there is none, for the
//! bytes of the plan. Whoever holds bytes of a plan does not wait for tickets: an upgrade takes the first
//! number, which nobody else takes, by an attempt. So there is no circle. Each wait is for a lock, which ends
//! with its owner; whoever wakes up asks again, so it does not matter whether the ticket before it was used
//! or given up.
//!
//! # One wake-up
//!
//! Everybody waits for the latest of the earlier tickets, so those that conflict wait for different
//! bytes. A writer's ticket goes together with the lock, and then one wakes that is first at once: the next
//! writer, or all the readers up to it. It takes some 2 log n questions to find the latest of n tickets,
//! because the kernel names just one in a range (`search`).
//!
//! # Programs that lock everything
//!
//! A program that locks the whole file locks the tickets too. Then there is no number above. A process that
//! wants a ticket waits in the kernel for the last one there is, and then asks for numbers again.
//! So while such a program is there, nobody has a place that others would have to respect. An upgrade
//! goes without a ticket then, as it waits for that program anyway.

#[cfg(test)]
mod model;
mod places;
mod search;
mod ticket;

#[cfg(feature = "inspect")]
pub(crate) use places::side_of;
pub(crate) use places::{Call, Side, all, number_at, upgrade};
pub(crate) use ticket::Ticket;
