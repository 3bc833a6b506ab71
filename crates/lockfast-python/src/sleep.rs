//! The sleep of a thread while a helper waits for it in the kernel's queue.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use lockfast::binding_support::standing_in;
use pyo3::prelude::*;

use crate::cancel::CancelToken;
use crate::hooks::Report;
use crate::interrupt::raised_meanwhile;

/// The time that a thread waits in the kernel's queue itself, and then between two looks what Python wants.
pub(crate) const MOMENT: Duration = Duration::from_millis(100);

/// The end of a wait.
pub(crate) enum End<T> {
    Done(T),
    TimedOut,
    Cancelled,
    Raised(PyErr),
}

/// Sleeps until the future is ready, or the wait ends for another reason. When this returns, nothing is
/// left of the wait.
pub(crate) fn sleep<T>(
    future: impl Future<Output = T>,
    deadline: Option<Instant>,
    token: Option<&CancelToken>,
    report: Option<&Report>,
) -> End<T> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    // Before the first look at the token, so that no cancellation is missed.
    let _woken = token.map(CancelToken::wake_this_thread);
    let mut next_look = Instant::now() + MOMENT;
    let next_call = || Some(Instant::now() + report?.interval()?);
    let mut call = next_call();
    // Only a wait that can't end by itself is a certain deadlock.
    let never_gives_up =
        report.is_some() && deadline.is_none() && token.is_none() && call.is_none();
    loop {
        let context = &mut Context::from_waker(&waker);
        // The helper gets a name by which reports count it and this thread as one.
        let polled = if never_gives_up {
            standing_in(|| future.as_mut().poll(context))
        } else {
            future.as_mut().poll(context)
        };
        if let Poll::Ready(done) = polled {
            return End::Done(done);
        }
        if token.is_some_and(CancelToken::is_cancelled) {
            return End::Cancelled;
        }
        let now = Instant::now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            return End::TimedOut;
        }
        if call.is_some_and(|call| call <= now) {
            if let Some(Err(error)) = report.map(Report::notify_again) {
                return End::Raised(error);
            }
            call = next_call();
        }
        if next_look <= now {
            if let Some(error) = raised_meanwhile() {
                return End::Raised(error);
            }
            next_look = Instant::now() + MOMENT;
        }
        let until = [deadline, call]
            .into_iter()
            .flatten()
            .fold(next_look, Instant::min);
        thread::park_timeout(until.saturating_duration_since(Instant::now()));
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
