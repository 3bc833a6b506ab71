//! Time-outs as Python has them, and waiting without its lock, yet within its reach.

use std::cell::RefCell;
use std::future::Future;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use lockfast::binding_support::{at_once, standing_in, timed_out};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt};

use crate::cancel::CancelToken;
use crate::errors;
use crate::holding::Who;
use crate::hooks::{Hooks, Report};

/// How long a wait may take; forever if there is nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeout(pub(crate) Option<Duration>);

impl FromPyObject<'_, '_> for Timeout {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        if value.is_none() {
            return Ok(Self(None));
        }
        if value.is_instance_of::<PyBool>() {
            return Err(wrong_type(&value));
        }
        let seconds: f64 = if value.is_instance_of::<PyFloat>() || value.is_instance_of::<PyInt>() {
            value.extract()?
        } else if let Ok(method) = value.getattr("total_seconds") {
            method.call0()?.extract()?
        } else {
            // Fractions, decimals and other numbers.
            value.extract().map_err(|error: PyErr| {
                // What is a number, but too large for this, says so itself.
                if error.is_instance_of::<PyTypeError>(value.py()) {
                    wrong_type(&value)
                } else {
                    error
                }
            })?
        };
        if seconds.is_nan() || seconds < 0.0 {
            let text = format!("a time-out is 0 or more seconds, not {seconds}");
            return Err(PyValueError::new_err(text));
        }
        // One that is too long for the clock is as good as none.
        Ok(Self(Duration::try_from_secs_f64(seconds).ok()))
    }
}

#[cold]
fn wrong_type(value: &Bound<'_, PyAny>) -> PyErr {
    let class = value.get_type();
    let name = class
        .name()
        .map_or_else(|_| "?".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!(
        "a time-out is a number of seconds, a timedelta or None, not {name}"
    ))
}

/// The wishes of the caller of an acquire.
pub(crate) struct Want<'py> {
    pub(crate) blocking: bool,
    pub(crate) timeout: Timeout,
    pub(crate) cancel: Option<Bound<'py, CancelToken>>,
}

impl<'py> Want<'py> {
    pub(crate) fn new(
        blocking: bool,
        timeout: Timeout,
        cancel: Option<Bound<'py, CancelToken>>,
    ) -> PyResult<Self> {
        if !blocking && (timeout.0.is_some() || cancel.is_some()) {
            let text = "blocking=False waits for nothing: leave out timeout and cancel";
            return Err(PyValueError::new_err(text));
        }
        Ok(Self {
            blocking,
            timeout,
            cancel,
        })
    }

    /// To wait as long as it takes.
    pub(crate) fn forever() -> Self {
        Self {
            blocking: true,
            timeout: Timeout(None),
            cancel: None,
        }
    }

    /// Not to wait.
    pub(crate) fn at_once() -> Self {
        Self {
            blocking: false,
            ..Self::forever()
        }
    }
}

/// A request for a lock.
pub(crate) struct Ask<'a> {
    pub(crate) hooks: &'a Hooks,
    pub(crate) is_quick: bool,
    pub(crate) is_fifo: bool,
    /// The files for which nobody can wait who holds them.
    pub(crate) alone: &'a [&'a Path],
    /// The guard, by its address, that is no obstacle: what is to be upgraded.
    pub(crate) except: usize,
}

/// Why there is no guard.
#[derive(Debug)]
pub(crate) enum Trouble {
    Lock(lockfast::Error),
    /// The guard to upgrade is not held; with the reason.
    NotHeld(PathBuf, &'static str),
}

impl From<lockfast::Error> for Trouble {
    fn from(error: lockfast::Error) -> Self {
        Self::Lock(error)
    }
}

impl Trouble {
    #[cold]
    pub(crate) fn raised(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Lock(error) => {
                unless_signal(error).unwrap_or_else(|error| errors::raised(py, error))
            }
            Self::NotHeld(path, why) => errors::not_held(py, &path, why),
        }
    }
}

/// The result of an attempt or of a wait.
pub(crate) type Taken<G> = std::result::Result<G, Trouble>;

/// Takes what `attempt` gives at once, or else waits.
///
/// The thread waits in the kernel's queue itself for a moment, by `within`, as that is the quickest. After
/// that a helper waits there, by the future of `start`, and this thread looks ten times a second
/// whether Python wants something of it: a handler of a signal, or an exception of another thread.
/// For that a thread would have to leave the kernel's queue, and lose its place.
#[inline]
#[allow(clippy::needless_pass_by_value, reason = "it is made for this call")]
pub(crate) fn acquire<G: Send, F: Future<Output = Taken<G>> + Send>(
    py: Python<'_>,
    ask: &Ask<'_>,
    want: Want<'_>,
    attempt: impl Fn() -> Taken<G> + Sync,
    within: impl Fn(Duration) -> Taken<G> + Sync,
    start: impl FnOnce() -> F + Send,
) -> PyResult<G> {
    match first(py, ask.is_quick, want.blocking, &attempt) {
        Ok(guard) => Ok(guard),
        Err(Trouble::Lock(error)) if want.blocking && error.is_contended() => {
            wait(py, ask, &want, error, &attempt, within, start)
        }
        Err(trouble) => Err(trouble.raised(py)),
    }
}

/// A single attempt, with the interpreter's lock only where it takes no time.
#[inline]
pub(crate) fn first<G: Send>(
    py: Python<'_>,
    is_quick: bool,
    will_wait: bool,
    attempt: &(impl Fn() -> Taken<G> + Sync + ?Sized),
) -> Taken<G> {
    if !is_quick {
        return py.detach(attempt);
    }
    let (taken, has_met_keeper) = at_once(attempt);
    match taken {
        // Whoever keeps the lock without using it gives it up within a millisecond.
        Err(Trouble::Lock(error)) if error.is_contended() && has_met_keeper && !will_wait => {
            py.detach(attempt)
        }
        taken => taken,
    }
}

#[cold]
pub(crate) fn wait<G: Send, F: Future<Output = Taken<G>> + Send>(
    py: Python<'_>,
    ask: &Ask<'_>,
    want: &Want<'_>,
    error: lockfast::Error,
    attempt: &(impl Fn() -> Taken<G> + Sync),
    within: impl Fn(Duration) -> Taken<G> + Sync,
    start: impl FnOnce() -> F + Send,
) -> PyResult<G> {
    let timeout = want.timeout.0;
    if timeout.is_some_and(|timeout| timeout.is_zero()) {
        return Err(errors::raised(py, timed_out(error, Duration::ZERO)));
    }
    let may_end = timeout.is_some() || want.cancel.is_some() || ask.hooks.on_wait.is_some();
    if !may_end && Who::this_thread().would_wait_for_itself(py, ask.alone, ask.except)? {
        return Err(errors::deadlock(py, error.path(), "thread"));
    }
    let report = Report::begin(py, ask.hooks, &error)?;
    let waited = waited(py, ask, want, &report, attempt, within, start);
    report.end(py, waited.as_ref().err());
    waited
}

fn waited<G: Send, F: Future<Output = Taken<G>> + Send>(
    py: Python<'_>,
    ask: &Ask<'_>,
    want: &Want<'_>,
    report: &Report,
    attempt: &(impl Fn() -> Taken<G> + Sync),
    within: impl Fn(Duration) -> Taken<G> + Sync,
    start: impl FnOnce() -> F + Send,
) -> PyResult<G> {
    let deadline = want
        .timeout
        .0
        .and_then(|timeout| report.begun.checked_add(timeout));
    let token = want.cancel.as_ref().map(Bound::get);
    // None when a moment has passed, and there is more time.
    let for_a_moment = || -> Option<PyResult<G>> {
        let left = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
        let moment = deadline.map_or(MOMENT, |deadline| left(deadline).min(MOMENT));
        let done = py.detach(|| match token {
            Some(token) => token.run(|| within(moment)),
            None => within(moment),
        });
        match done {
            Err(Trouble::Lock(error)) if error.is_timed_out() => {
                let is_over = deadline.is_some_and(|deadline| deadline <= Instant::now());
                let error = timed_out(error, report.begun.elapsed());
                is_over.then(|| Err(errors::raised(py, error)))
            }
            done => Some(done.map_err(|trouble| trouble.raised(py))),
        }
    };
    if !ask.is_fifo && !report.is_hooked() {
        if let Some(done) = for_a_moment() {
            return done;
        }
    }
    match py.detach(|| block_on(start(), deadline, token, report)) {
        // Without a helper it waits all the same, though it loses its place now and then.
        Over::Done(Err(Trouble::Lock(error))) if errors::is_without_thread(&error) => loop {
            if let Some(error) = raised_meanwhile() {
                return Err(error);
            }
            if let Some(done) = for_a_moment() {
                return done;
            }
        },
        Over::Done(done) => done.map_err(|trouble| trouble.raised(py)),
        Over::Raised(error) => Err(error),
        Over::Cancelled => Err(errors::cancelled(py, report.path(), report.begun.elapsed())),
        Over::TimedOut => last(py, ask.is_quick, report.begun, attempt),
    }
}

/// The last attempt of a wait whose time is over, which tells who holds the lock.
pub(crate) fn last<G: Send>(
    py: Python<'_>,
    is_quick: bool,
    begun: Instant,
    attempt: &(impl Fn() -> Taken<G> + Sync + ?Sized),
) -> PyResult<G> {
    match first(py, is_quick, false, attempt) {
        Err(Trouble::Lock(error)) => {
            Err(Trouble::Lock(timed_out(error, begun.elapsed())).raised(py))
        }
        taken => taken.map_err(|trouble| trouble.raised(py)),
    }
}

/// How a wait ended.
enum Over<G> {
    Done(Taken<G>),
    TimedOut,
    Cancelled,
    Raised(PyErr),
}

/// Sleeps until the future is ready, while a helper waits in the kernel's queue. When it returns,
/// nothing is left of the wait.
fn block_on<G>(
    future: impl Future<Output = Taken<G>>,
    deadline: Option<Instant>,
    token: Option<&CancelToken>,
    report: &Report,
) -> Over<G> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let _woken = token.map(CancelToken::wake_this_thread);
    let mut next_look = Instant::now() + MOMENT;
    let next_call = || Some(Instant::now() + report.interval()?);
    let mut call = next_call();
    // A wait that may end by itself is no deadlock for certain.
    let never_gives_up = deadline.is_none() && token.is_none() && call.is_none();
    loop {
        let context = &mut Context::from_waker(&waker);
        let polled = if never_gives_up {
            standing_in(|| future.as_mut().poll(context))
        } else {
            future.as_mut().poll(context)
        };
        if let Poll::Ready(done) = polled {
            return Over::Done(done);
        }
        if token.is_some_and(CancelToken::is_cancelled) {
            return Over::Cancelled;
        }
        let now = Instant::now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            return Over::TimedOut;
        }
        if call.is_some_and(|call| call <= now) {
            if let Err(error) = report.tell_again() {
                return Over::Raised(error);
            }
            call = next_call();
        }
        if next_look <= now {
            if let Some(error) = raised_meanwhile() {
                return Over::Raised(error);
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

/// How long a thread waits in the kernel's queue itself, and how often it looks what Python wants after that.
const MOMENT: Duration = Duration::from_millis(100);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// What a signal's handler raised, if that is why it failed.
pub(crate) fn unless_signal(error: lockfast::Error) -> std::result::Result<PyErr, lockfast::Error> {
    let raised = if error.is_cancelled() {
        RAISED.take()
    } else {
        None
    };
    raised.ok_or(error)
}

/// Lets Python's handlers run after a signal; ends the wait if one raised an exception.
pub(crate) fn on_interrupt() -> ControlFlow<()> {
    match raised_meanwhile() {
        Some(error) => {
            RAISED.set(Some(error));
            ControlFlow::Break(())
        }
        None => ControlFlow::Continue(()),
    }
}

/// Lets the interpreter do what it does between two steps of a program: run the handlers of signals, and raise
/// an exception that another thread wants to see in this one. Only a function of Python has such steps.
fn raised_meanwhile() -> Option<PyErr> {
    Python::try_attach(|py| {
        errors::known(py, "step")
            .and_then(|step| step.call0())
            .err()
    })
    .flatten()
}

thread_local! {
    /// What ended the wait of this thread.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}
