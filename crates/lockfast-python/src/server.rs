//! Acquiring a lock that a server keeps, by a thread of Python.
//!
//! The answer to any request may take its time. So threads wait for the futures of the library only, which the
//! engine's own thread completes, and signals end each wait. The engine also ends a wait at its deadline, as it
//! then knows the holder and takes the waiter out of the line.

use std::future::Future;
use std::time::{Duration, Instant};

use lockfast::binding_support::timed_out;
use lockfast::engine;
use pyo3::prelude::*;

use crate::acquire::{Attempt, Failure, Request, wait_begins};
use crate::errors;
use crate::hooks::is_quiet;
use crate::limit::WaitLimit;
use crate::sleep::{End, sleep};

/// The time that an engine may take after a deadline to say who holds the lock.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// Acquires the lock by the futures of `start`.
pub(crate) fn acquire<G: Send, F: Future<Output = Attempt<G>> + Send>(
    py: Python<'_>,
    request: &Request<'_>,
    limit: &WaitLimit<'_>,
    start: impl Fn(engine::WaitLimit) -> F + Send,
) -> PyResult<G> {
    let begun = Instant::now();
    let timeout = limit.timeout.0;
    let within = engine_limit(timeout);
    let deadline = within.deadline().and_then(|end| end.checked_add(GRACE));
    let token = limit.cancel.as_ref().map(Bound::get);
    let finish = |end: End<Attempt<G>>| match end {
        End::Done(done) => done.map_err(|failure| failure.raised(py)),
        End::Raised(error) => Err(error),
        End::Cancelled => Err(errors::cancelled(py, request.path, begun.elapsed())),
        End::TimedOut => Err(errors::timed_out(py, request.path, begun.elapsed())),
    };
    let may_end = deadline.is_some() || token.is_some();
    if limit.blocking && has_one_request(py, request, timeout, may_end) {
        let future = start(within);
        return finish(py.detach(|| sleep(future, deadline, token, None)));
    }
    let future = start(engine::WaitLimit::None);
    let error = match py.detach(|| sleep(future, deadline, token, None)) {
        End::Done(Err(Failure::Lock(error))) if limit.blocking && error.is_contended() => error,
        end => return finish(end),
    };
    if timeout.is_some_and(|timeout| timeout.is_zero()) {
        return Err(errors::raised(py, timed_out(error, Duration::ZERO)));
    }
    let report = wait_begins(py, request, limit, &error)?;
    let future = start(within);
    let waited = finish(py.detach(|| sleep(future, deadline, token, Some(&report))));
    report.end(py, waited.as_ref().err());
    waited
}

/// Whether to join the line at once. A wait that is reported, or may be one for the caller itself, begins with
/// an attempt, which names the holder.
fn has_one_request(
    py: Python<'_>,
    request: &Request<'_>,
    timeout: Option<Duration>,
    may_end: bool,
) -> bool {
    may_end && timeout.is_none_or(|timeout| !timeout.is_zero()) && is_quiet(py, request.hooks)
}

/// The limit of a wait of the engine.
pub(crate) fn engine_limit(timeout: Option<Duration>) -> engine::WaitLimit {
    timeout.map_or(engine::WaitLimit::Forever, engine::WaitLimit::lasting)
}
