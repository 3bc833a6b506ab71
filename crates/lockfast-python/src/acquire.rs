//! Acquiring by a thread of Python: one attempt, and then a wait that signals and exceptions can end.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lockfast::binding_support::{at_once, timed_out};
use lockfast::engine;
use pyo3::prelude::*;

use crate::caller::Caller;
use crate::deadlock::would_wait_for_itself;
use crate::errors;
use crate::holding::Holding;
use crate::hooks::{Hooks, Report};
use crate::interrupt::{self, raised_meanwhile};
use crate::limit::WaitLimit;
use crate::server;
use crate::sleep::{End, MOMENT, sleep};

/// A request for a lock.
pub(crate) struct Request<'a> {
    pub(crate) hooks: &'a Hooks,
    /// Whether the kernel of this machine keeps the lock, so that an attempt takes no time.
    pub(crate) is_local: bool,
    /// Whether a server of a space keeps the lock, and is asked by futures only.
    pub(crate) is_on_server: bool,
    /// Whether a waiter that gives up loses its place in the FIFO order.
    pub(crate) is_fifo: bool,
    /// The path or name that errors name.
    pub(crate) path: &'a Path,
    /// The handles whose holder must not wait for them: it would wait for itself.
    pub(crate) exclusive: &'a [&'a Holding],
    /// The address of the guard to upgrade, which is no obstacle.
    pub(crate) upgraded: Option<usize>,
}

/// The reason why there is no guard.
#[derive(Debug)]
pub(crate) enum Failure {
    Lock(lockfast::Error),
    /// The guard to upgrade is not held, with the reason.
    NotHeld(PathBuf, &'static str),
}

impl From<lockfast::Error> for Failure {
    fn from(error: lockfast::Error) -> Self {
        Self::Lock(error)
    }
}

impl Failure {
    #[cold]
    pub(crate) fn raised(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Lock(error) => {
                interrupt::exception_of(error).unwrap_or_else(|error| errors::raised(py, error))
            }
            Self::NotHeld(path, why) => errors::not_held(py, &path, why),
        }
    }
}

/// The result of an attempt or of a wait.
pub(crate) type Attempt<G> = std::result::Result<G, Failure>;

/// Makes an attempt, and waits if it finds the lock held.
///
/// The thread first waits in the kernel's queue itself for a moment, by `within`, as that is the fastest.
/// Then a helper waits there, by the future of `start`, and this thread looks ten times a second whether
/// Python wants to run a signal handler or to raise an exception of another thread. If it left the
/// kernel's queue for that, it would lose its place.
#[inline]
#[allow(clippy::needless_pass_by_value, reason = "it is made for this call")]
pub(crate) fn acquire<G: Send, F: Future<Output = Attempt<G>> + Send>(
    py: Python<'_>,
    request: &Request<'_>,
    limit: WaitLimit<'_>,
    attempt: impl Fn() -> Attempt<G> + Sync,
    within: impl Fn(Duration) -> Attempt<G> + Sync,
    start: impl Fn(engine::WaitLimit) -> F + Send,
) -> PyResult<G> {
    if request.is_on_server {
        return server::acquire(py, request, &limit, start);
    }
    match attempt_once(py, request.is_local, limit.blocking, &attempt) {
        Ok(guard) => Ok(guard),
        Err(Failure::Lock(error)) if limit.blocking && error.is_contended() => {
            wait(py, request, &limit, error, &attempt, within, start)
        }
        Err(failure) => Err(failure.raised(py)),
    }
}

/// Makes a single attempt, and keeps the interpreter's lock only where that takes no time.
#[inline]
pub(crate) fn attempt_once<G: Send>(
    py: Python<'_>,
    is_local: bool,
    will_wait: bool,
    attempt: &(impl Fn() -> Attempt<G> + Sync + ?Sized),
) -> Attempt<G> {
    // A server may take seconds to answer. A local call is cheaper than to give up the interpreter's lock.
    if !is_local {
        return py.detach(attempt);
    }
    let (taken, has_met_keeper) = at_once(attempt);
    match taken {
        // A process that only caches the lock releases it within a millisecond.
        Err(Failure::Lock(error)) if error.is_contended() && has_met_keeper && !will_wait => {
            py.detach(attempt)
        }
        taken => taken,
    }
}

/// Waits for a lock that an attempt found held; the error names the holder.
#[cold]
pub(crate) fn wait<G: Send, F: Future<Output = Attempt<G>> + Send>(
    py: Python<'_>,
    request: &Request<'_>,
    limit: &WaitLimit<'_>,
    error: lockfast::Error,
    attempt: &(impl Fn() -> Attempt<G> + Sync),
    within: impl Fn(Duration) -> Attempt<G> + Sync,
    start: impl Fn(engine::WaitLimit) -> F + Send,
) -> PyResult<G> {
    let timeout = limit.timeout.0;
    if timeout.is_some_and(|timeout| timeout.is_zero()) {
        return Err(errors::raised(py, timed_out(error, Duration::ZERO)));
    }
    let report = wait_begins(py, request, limit, &error)?;
    let waited = wait_and_report(py, request, limit, &report, attempt, within, start);
    report.end(py, waited.as_ref().err());
    waited
}

/// Reports that the wait of a thread begins. Fails if it would never end.
pub(crate) fn wait_begins(
    py: Python<'_>,
    request: &Request<'_>,
    limit: &WaitLimit<'_>,
    error: &lockfast::Error,
) -> PyResult<Report> {
    let hooks = request.hooks;
    let may_end = limit.timeout.0.is_some() || limit.cancel.is_some() || hooks.on_wait.is_some();
    let caller = Caller::this_thread();
    if !may_end && would_wait_for_itself(py, &caller, request.exclusive, request.upgraded)? {
        return Err(errors::deadlock(py, error.path(), "thread"));
    }
    Report::begin(py, hooks, error)
}

fn wait_and_report<G: Send, F: Future<Output = Attempt<G>> + Send>(
    py: Python<'_>,
    request: &Request<'_>,
    limit: &WaitLimit<'_>,
    report: &Report,
    attempt: &(impl Fn() -> Attempt<G> + Sync),
    within: impl Fn(Duration) -> Attempt<G> + Sync,
    start: impl Fn(engine::WaitLimit) -> F + Send,
) -> PyResult<G> {
    let timeout = limit.timeout.0;
    let deadline = timeout.and_then(|timeout| report.begun.checked_add(timeout));
    let token = limit.cancel.as_ref().map(Bound::get);
    // Returns None when the moment has passed, but not the deadline.
    let for_a_moment = || -> Option<PyResult<G>> {
        let left = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
        let moment = deadline.map_or(MOMENT, |deadline| left(deadline).min(MOMENT));
        let done = py.detach(|| match token {
            Some(token) => token.run(|| within(moment)),
            None => within(moment),
        });
        match done {
            Err(Failure::Lock(error)) if error.is_timed_out() => {
                let is_over = deadline.is_some_and(|deadline| deadline <= Instant::now());
                let error = timed_out(error, report.begun.elapsed());
                is_over.then(|| Err(errors::raised(py, error)))
            }
            done => Some(done.map_err(|failure| failure.raised(py))),
        }
    };
    // A wait that ends after a moment would lose its place in the FIFO order, and `sleep` calls the hook.
    if !request.is_fifo && !report.is_hooked() {
        if let Some(done) = for_a_moment() {
            return done;
        }
    }
    let future = start(engine::WaitLimit::Forever);
    match py.detach(|| sleep(future, deadline, token, Some(report))) {
        // Without a helper the thread waits all the same, though it loses its place now and then.
        End::Done(Err(Failure::Lock(error))) if errors::is_without_thread(&error) => loop {
            if let Some(error) = raised_meanwhile() {
                return Err(error);
            }
            if let Some(done) = for_a_moment() {
                return done;
            }
        },
        End::Done(done) => done.map_err(|failure| failure.raised(py)),
        End::Raised(error) => Err(error),
        End::Cancelled => Err(errors::cancelled(py, report.path(), report.begun.elapsed())),
        End::TimedOut => last_attempt(py, request.is_local, report.begun, attempt),
    }
}

/// Makes the last attempt of a wait that timed out; its error names the holder.
pub(crate) fn last_attempt<G: Send>(
    py: Python<'_>,
    is_local: bool,
    begun: Instant,
    attempt: &(impl Fn() -> Attempt<G> + Sync + ?Sized),
) -> PyResult<G> {
    match attempt_once(py, is_local, false, attempt) {
        Err(Failure::Lock(error)) => {
            Err(Failure::Lock(timed_out(error, begun.elapsed())).raised(py))
        }
        taken => taken.map_err(|failure| failure.raised(py)),
    }
}
