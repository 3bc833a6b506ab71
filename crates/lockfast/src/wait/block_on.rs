//! A thread that waits for a future.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use super::wake_sources::WakeSources;
use crate::sys::Parked;
use crate::sys::primitive::Parker;
use crate::types::cancel;
use crate::types::wait_limit::WaitLimit;

/// The reason why a wait ended before its future was ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitEnd {
    /// The limit allows no wait.
    Contended,
    TimedOut,
    Cancelled,
}

struct Unpark(Parker);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.grant();
    }
}

/// Polls the future on this thread, which sleeps in between, until the limit or until a token ends the wait.
pub(crate) fn block_on<R>(limit: WaitLimit, future: impl Future<Output = R>) -> Result<R, WaitEnd> {
    let unpark = Arc::new(Unpark(Parker::default()));
    let waker = Waker::from(Arc::clone(&unpark));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let mut sources = None;
    loop {
        // Before the poll: a wake-up during it is not forgotten.
        unpark.0.reset();
        if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
            return Ok(result);
        }
        if limit == WaitLimit::None {
            return Err(WaitEnd::Contended);
        }
        let sources = sources.get_or_insert_with(WakeSources::of_tokens);
        loop {
            // After the tokens are armed: one that was cancelled before rings nothing.
            if cancel::is_demanded() {
                return Err(WaitEnd::Cancelled);
            }
            // Where no alarm can be had, the thread comes back by itself to look at the tokens.
            let until = super::limits::earlier(limit.deadline(), sources.come_back());
            match unpark.0.park(until) {
                Parked::Granted => break,
                // A signal of a token or of the program: the look above says which.
                Parked::Interrupted => {}
                Parked::TimedOut => {
                    if limit
                        .deadline()
                        .is_some_and(|deadline| deadline <= Instant::now())
                    {
                        return Err(WaitEnd::TimedOut);
                    }
                }
            }
        }
    }
}
