//! Sleeping until granted, with deadlines and with callbacks that can end the wait.
//!
//! A wait has two parts: among the threads of this process ([`turn`]), and, for the waiter that has the turn,
//! in the kernel's queue ([`kernel`]). [`Wait`] is what both share: its limits, and the hooks to call.
//!
//! A thread blocks, and a task awaits. Both are written once, as `async fn`: a thread runs it by
//! [`run_blocking`], because its sleeps block and so nothing is ever pending. For a task a helper thread
//! blocks in the kernel's queue ([`offload`]).

mod block_on;
mod cached;
mod contest;
mod context;
mod forked;
mod granted;
mod helper_pool;
mod kernel;
mod limits;
mod notifier;
mod offload;
mod opening;
mod poll;
mod ticker;
mod turn;
mod wake_sources;

use std::pin::pin;
use std::task::{Context, Poll, Waker};

pub(crate) use block_on::{WaitEnd, block_on};
pub(crate) use cached::without_pause;
pub(crate) use context::WaitContext;
pub(crate) use forked::in_one_process;
pub(crate) use helper_pool::no_thread;
pub(crate) use limits::Wait;
pub(crate) use offload::standing_in;
pub(crate) use turn::Admission;

/// Runs a wait that blocks this thread wherever it sleeps, and so is never pending.
pub(crate) fn run_blocking<R>(wait: impl Future<Output = R>) -> R {
    match pin!(wait).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!("the wait of a thread blocks"),
    }
}
