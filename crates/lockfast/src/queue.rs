//! Threads and tasks of one process queue here, first come, first served.
//!
//! A handle has one descriptor, and the kernel sees one locker in it. So its threads agree here
//! first: one writer, or any number of readers of which one may be upgradable. The waiter that has the
//! [`Turn`] makes the kernel calls on behalf of all. A turn passes directly to the first waiter, so
//! nobody who comes later gets in between; and readers queue behind a writer that waits.
//!
//! For a while a lock may pass among the threads without the kernel, by the [`Handoff`]. A lock that no other
//! thread wants is taken and left without the mutex, by the [`FastSlot`].
//!
//! Nothing is woken and no kernel lock is released while the mutex is held: a change of the state returns
//! what is to be done [after it](after::After). The one exception is a turn that is given up after the last
//! of those inside has left: nobody may enter before that lock is gone.

mod after;
mod enter;
mod fast;
mod handoff;
mod leave;
mod left_out;
mod shared;
mod sleeper;
mod state;
mod turn;
mod unlock;
mod wait_list;
mod waiter;

pub(crate) use enter::{Enqueued, TryEnter};
pub(crate) use fast::FastSlot;
pub(crate) use handoff::Handoff;
pub(crate) use leave::Leave;
pub(crate) use shared::Queue;
pub(crate) use turn::Turn;
pub(crate) use unlock::Unlock;
pub(crate) use waiter::{QueuedWaiter, SpinOutcome};

#[cfg(all(test, lockfast_model))]
mod model;
#[cfg(all(test, not(lockfast_model)))]
mod tests;
#[cfg(all(test, not(lockfast_model)))]
mod together;
