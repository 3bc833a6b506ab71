//! A wait of a task of asyncio: a future of the library that Python polls.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use lockfast::binding_support::timed_out;
use lockfast::engine;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::acquire::{Attempt, Failure, attempt_once, last_attempt};
use crate::any_guard::KeptFor;
use crate::caller::Caller;
use crate::deadlock::would_wait_for_itself;
use crate::errors;
use crate::holding::Holding;
use crate::hooks::{Hooks, Report, is_quiet};
use crate::limit::Timeout;
use crate::server;
use crate::wake::Wakes;

/// Makes the object of the guard, and keeps it for that caller.
type Finish = Box<dyn FnOnce(Python<'_>, Caller, KeptFor) -> PyResult<Py<PyAny>> + Send>;

type Waiting = Pin<Box<dyn Future<Output = Attempt<Finish>> + Send>>;

/// A wait of a task. Closing or dropping it ends the wait and leaves nothing behind.
#[pyclass(frozen, module = "lockfast._lockfast")]
pub(crate) struct Pending {
    request: TaskRequest,
    attempt: Box<dyn Fn() -> Attempt<Finish> + Send + Sync>,
    state: Mutex<State>,
    report: OnceLock<Report>,
}

enum State {
    // poll: Fresh → Trying, Waiting or Over; Trying → Trying, Waiting or Over; Waiting → Waiting or Over.
    // close, expire: any → Over. `Over` is also in its place while a poll runs, so that a second one at the
    // same time fails.
    /// No attempt was made yet.
    Fresh(Start),
    /// A server is asked whether the lock is free. If it is not, the wait begins, with that limit.
    Trying(Waiting, Start, engine::WaitLimit),
    Waiting(Waiting),
    Over,
}

/// Begins a wait with that limit.
type Start = Box<dyn Fn(engine::WaitLimit) -> Waiting + Send>;

/// A request of a task for a lock.
pub(crate) struct TaskRequest {
    pub(crate) timeout: Timeout,
    /// Whether the kernel of this machine keeps the lock, so that an attempt takes no time.
    pub(crate) is_local: bool,
    /// Whether a server of a space keeps the lock, and is asked by futures only.
    pub(crate) is_on_server: bool,
    pub(crate) hooks: Hooks,
    /// The path or name that errors name.
    pub(crate) path: PathBuf,
    /// The handles whose holder must not wait for them: it would wait for itself.
    pub(crate) exclusive: Vec<Arc<Holding>>,
    /// The address of the guard to upgrade, which is no obstacle.
    pub(crate) upgraded: Option<usize>,
}

impl Pending {
    pub(crate) fn new<G, F>(
        request: TaskRequest,
        attempt: impl Fn() -> Attempt<G> + Send + Sync + 'static,
        start: impl Fn(engine::WaitLimit) -> F + Send + 'static,
        finish: impl Fn(Python<'_>, G, Caller, KeptFor) -> PyResult<Py<PyAny>> + Send + Sync + 'static,
    ) -> Self
    where
        G: Send + 'static,
        F: Future<Output = Attempt<G>> + Send + 'static,
    {
        let finish = Arc::new(finish);
        let boxed = move |guard| {
            let finish = Arc::clone(&finish);
            let finish =
                move |py: Python<'_>, caller, kept_for| finish(py, guard, caller, kept_for);
            Box::new(finish) as Finish
        };
        let later = boxed.clone();
        let start = move |limit| {
            let (future, later) = (start(limit), later.clone());
            Box::pin(async move { future.await.map(later) }) as Waiting
        };
        Self {
            request,
            attempt: Box::new(move || attempt().map(&boxed)),
            state: Mutex::new(State::Fresh(Box::new(start))),
            report: OnceLock::new(),
        }
    }

    /// Makes the object to await, to enter by `async with`, or to make into a task.
    pub(crate) fn awaitable<'py>(self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let class = py.import("lockfast._tasks")?.getattr("Acquiring")?;
        class.call1((Py::new(py, self)?, name))
    }

    /// Makes the result of `__aenter__` of a handle.
    pub(crate) fn enter(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        let enter = py.import("lockfast._tasks")?.getattr("enter")?;
        enter.call1((Py::new(py, self)?,))
    }

    /// Makes the first attempt. If it finds the lock held, reports that the wait begins.
    fn begin(&self, py: Python<'_>, task: &Bound<'_, PyAny>) -> PyResult<Option<Finish>> {
        match attempt_once(py, self.request.is_local, true, &*self.attempt) {
            Ok(finish) => Ok(Some(finish)),
            Err(Failure::Lock(error)) if error.is_contended() => {
                self.wait_begins(py, task, &error)?;
                Ok(None)
            }
            Err(failure) => Err(failure.raised(py)),
        }
    }

    /// Begins to ask a server. A wait that is reported, or may be one for the caller itself, begins with an
    /// attempt, which names the holder.
    fn begin_on_server(&self, py: Python<'_>, start: Start) -> State {
        let request = &self.request;
        let limit = server::engine_limit(request.timeout.0);
        let is_zero = request.timeout.0.is_some_and(|timeout| timeout.is_zero());
        if limit.deadline().is_some() && !is_zero && is_quiet(py, &request.hooks) {
            return State::Waiting(start(limit));
        }
        State::Trying(start(engine::WaitLimit::None), start, limit)
    }

    /// Reports that the wait begins. Fails if it would never end.
    fn wait_begins(
        &self,
        py: Python<'_>,
        task: &Bound<'_, PyAny>,
        error: &lockfast::Error,
    ) -> PyResult<()> {
        let request = &self.request;
        let exclusive: Vec<_> = request.exclusive.iter().map(|holding| &**holding).collect();
        let may_end = request.timeout.0.is_some() || request.hooks.on_wait.is_some();
        let caller = Caller::task(task);
        if !may_end && would_wait_for_itself(py, &caller, &exclusive, request.upgraded)? {
            return Err(errors::deadlock(py, error.path(), "task"));
        }
        let report = Report::begin(py, &request.hooks, error)?;
        // A wait begins once.
        let _ = self.report.set(report);
        Ok(())
    }

    fn ended(&self, py: Python<'_>, failed: Option<&PyErr>) {
        if let Some(report) = self.report.get() {
            report.end(py, failed);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> State {
        std::mem::replace(&mut *self.state(), State::Over)
    }
}

/// Polls a future without the interpreter's lock, as the first poll may do the work of an acquire.
fn poll_once(py: Python<'_>, future: &mut Waiting, wake: &Arc<Wakes>) -> Poll<Attempt<Finish>> {
    let waker = Waker::from(Arc::clone(wake));
    py.detach(|| future.as_mut().poll(&mut Context::from_waker(&waker)))
}

/// Makes the result of `__aexit__` of that lock.
pub(crate) fn leave<'py>(
    lock: &Bound<'py, PyAny>,
    exception: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let leave = lock.py().import("lockfast._tasks")?.getattr("leave")?;
    leave.call1((lock, exception.iter().next()))
}

#[pymethods]
impl Pending {
    /// Returns the guard, or None; then a thread calls the function when it is time to poll again.
    fn poll(
        &self,
        py: Python<'_>,
        wake: Py<PyAny>,
        task: &Bound<'_, PyAny>,
        is_block: bool,
    ) -> PyResult<Option<Py<PyAny>>> {
        let kept_for = KeptFor::block_if(is_block);
        let is_on_server = self.request.is_on_server;
        let mut state = match self.take() {
            State::Fresh(start) if is_on_server => self.begin_on_server(py, start),
            State::Fresh(start) => match self.begin(py, task)? {
                Some(finish) => return finish(py, Caller::task(task), kept_for).map(Some),
                None => State::Waiting(start(engine::WaitLimit::Forever)),
            },
            state => state,
        };
        let wake = Arc::new(Wakes::new(wake, is_on_server));
        let done = loop {
            let future = match &mut state {
                State::Trying(future, ..) | State::Waiting(future) => future,
                State::Fresh(_) | State::Over => {
                    return Err(PyRuntimeError::new_err("this wait is over"));
                }
            };
            let Poll::Ready(done) = poll_once(py, future, &wake) else {
                *self.state() = state;
                return Ok(None);
            };
            match (done, state) {
                (Err(Failure::Lock(error)), State::Trying(_, start, limit))
                    if error.is_contended() =>
                {
                    if self
                        .request
                        .timeout
                        .0
                        .is_some_and(|timeout| timeout.is_zero())
                    {
                        break Err(Failure::Lock(timed_out(error, Duration::ZERO)));
                    }
                    self.wait_begins(py, task, &error)?;
                    state = State::Waiting(start(limit));
                }
                (done, _) => break done,
            }
        };
        match done {
            Ok(finish) => {
                self.ended(py, None);
                finish(py, Caller::task(task), kept_for).map(Some)
            }
            Err(failure) => {
                let error = failure.raised(py);
                self.ended(py, Some(&error));
                Err(error)
            }
        }
    }

    /// Ends the wait, because of the exception if there is one. When this returns, nothing is left of it.
    #[pyo3(signature = (error = None))]
    fn close(&self, py: Python<'_>, error: Option<Bound<'_, PyAny>>) {
        let state = self.take();
        if matches!(state, State::Trying(..) | State::Waiting(_)) {
            let error = error.map(PyErr::from_value);
            self.ended(py, error.as_ref());
        }
        py.detach(|| drop(state));
    }

    /// The longest time of the wait, in seconds. An engine on a server ends it before, unless it is stuck.
    #[getter]
    fn timeout(&self) -> Option<f64> {
        let mut timeout = self.request.timeout.0?;
        if self.request.is_on_server {
            timeout = timeout.saturating_add(server::GRACE);
        }
        Some(timeout.as_secs_f64())
    }

    /// Ends a wait that timed out: returns the guard if the lock is free by now, or else raises `Timeout`.
    fn expire(
        &self,
        py: Python<'_>,
        task: &Bound<'_, PyAny>,
        is_block: bool,
    ) -> PyResult<Py<PyAny>> {
        let state = self.take();
        py.detach(|| drop(state));
        let begun = self
            .report
            .get()
            .map_or_else(Instant::now, |report| report.begun);
        let taken = if self.request.is_on_server {
            let waited = self.request.timeout.0.unwrap_or_default();
            Err(errors::timed_out(py, &self.request.path, waited))
        } else {
            last_attempt(py, self.request.is_local, begun, &*self.attempt)
        };
        self.ended(py, taken.as_ref().err());
        taken?(py, Caller::task(task), KeptFor::block_if(is_block))
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("exclusive", &self.request.exclusive)
            .finish_non_exhaustive()
    }
}
