//! A wait of a task of asyncio: a future of the library that Python polls.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::acquire::{Attempt, Failure, attempt_once, last_attempt};
use crate::any_guard::KeptFor;
use crate::caller::Caller;
use crate::deadlock::would_wait_for_itself;
use crate::errors;
use crate::hooks::{Hooks, Report};
use crate::limit::Timeout;

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
    // poll: Fresh → Waiting or Over; Waiting → Waiting or Over. close, expire: any → Over. `Over` is also in
    // its place while a poll runs, so that a second one at the same time fails.
    /// No attempt was made yet.
    Fresh(Box<dyn FnOnce() -> Waiting + Send>),
    Waiting(Waiting),
    Over,
}

/// A request of a task for a lock.
pub(crate) struct TaskRequest {
    pub(crate) timeout: Timeout,
    /// Whether the kernel of this machine keeps the lock, so that an attempt takes no time.
    pub(crate) is_local: bool,
    pub(crate) hooks: Hooks,
    /// The files whose holder must not wait for them: it would wait for itself.
    pub(crate) exclusive: Vec<PathBuf>,
    /// The address of the guard to upgrade, which is no obstacle.
    pub(crate) upgraded: Option<usize>,
}

impl Pending {
    pub(crate) fn new<G, F>(
        request: TaskRequest,
        attempt: impl Fn() -> Attempt<G> + Send + Sync + 'static,
        start: impl FnOnce() -> F + Send + 'static,
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
        let start = move || {
            let future = start();
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
        let request = &self.request;
        let error = match attempt_once(py, request.is_local, true, &*self.attempt) {
            Ok(finish) => return Ok(Some(finish)),
            Err(Failure::Lock(error)) if error.is_contended() => error,
            Err(failure) => return Err(failure.raised(py)),
        };
        let exclusive: Vec<_> = request.exclusive.iter().map(PathBuf::as_path).collect();
        let may_end = request.timeout.0.is_some() || request.hooks.on_wait.is_some();
        let caller = Caller::task(task);
        if !may_end && would_wait_for_itself(py, &caller, &exclusive, request.upgraded)? {
            return Err(errors::deadlock(py, error.path(), "task"));
        }
        let report = Report::begin(py, &request.hooks, &error)?;
        // A wait begins once.
        let _ = self.report.set(report);
        Ok(None)
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

/// Makes the result of `__aexit__` of that lock.
pub(crate) fn leave<'py>(lock: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let leave = lock.py().import("lockfast._tasks")?.getattr("leave")?;
    leave.call1((lock,))
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
        let mut future = match self.take() {
            State::Over => return Err(PyRuntimeError::new_err("this wait is over")),
            State::Waiting(future) => future,
            State::Fresh(start) => match self.begin(py, task)? {
                Some(finish) => return finish(py, Caller::task(task), kept_for).map(Some),
                None => start(),
            },
        };
        let waker = Waker::from(Arc::new(PyWaker(wake)));
        // The first poll may do the work of an acquire, so other threads may run meanwhile.
        let polled = py.detach(|| {
            let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
            if polled.is_pending() {
                *self.state() = State::Waiting(future);
            }
            polled
        });
        match polled {
            Poll::Ready(Ok(finish)) => {
                self.ended(py, None);
                finish(py, Caller::task(task), kept_for).map(Some)
            }
            Poll::Ready(Err(failure)) => {
                let error = failure.raised(py);
                self.ended(py, Some(&error));
                Err(error)
            }
            Poll::Pending => Ok(None),
        }
    }

    /// Ends the wait, because of the exception if there is one. When this returns, nothing is left of it.
    #[pyo3(signature = (error = None))]
    fn close(&self, py: Python<'_>, error: Option<Bound<'_, PyAny>>) {
        let state = self.take();
        if matches!(state, State::Waiting(_)) {
            let error = error.map(PyErr::from_value);
            self.ended(py, error.as_ref());
        }
        py.detach(|| drop(state));
    }

    /// The longest time of the wait, in seconds.
    #[getter]
    fn timeout(&self) -> Option<f64> {
        self.request.timeout.0.map(|timeout| timeout.as_secs_f64())
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
        let taken = last_attempt(py, self.request.is_local, begun, &*self.attempt);
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

/// A waker that calls a function of Python.
struct PyWaker(Py<PyAny>);

impl Wake for PyWaker {
    fn wake(self: Arc<Self>) {
        // While the interpreter shuts down there is no task left to wake.
        Python::try_attach(|py| {
            if let Err(error) = self.0.call0(py) {
                error.write_unraisable(py, None);
            }
        });
    }
}
