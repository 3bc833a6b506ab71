//! A wait of a task of asyncio: a future of lockfast, polled by Python.

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::errors;
use crate::holding::Who;
use crate::hooks::{Hooks, Report};
use crate::patience::{self, Taken, Timeout, Trouble};

/// Gives the guard as an object of Python, which that one holds, maybe for a block of the handle.
type Finish = Box<dyn FnOnce(Python<'_>, Who, bool) -> PyResult<Py<PyAny>> + Send>;

type Attempt = Box<dyn Fn() -> Taken<Finish> + Send + Sync>;
type Waiting = Pin<Box<dyn Future<Output = Taken<Finish>> + Send>>;

/// A wait that is not over; closing or dropping it ends the wait and leaves nothing behind.
#[pyclass(frozen, module = "lockfast._lockfast")]
pub(crate) struct Pending {
    timeout: Option<Duration>,
    is_quick: bool,
    hooks: Hooks,
    /// The files for which nobody can wait who holds them.
    alone: Vec<PathBuf>,
    except: usize,
    attempt: Attempt,
    state: Mutex<State>,
    report: OnceLock<Report>,
}

enum State {
    /// Nothing was done yet.
    Fresh(Box<dyn FnOnce() -> Waiting + Send>),
    Waiting(Waiting),
    Over,
}

/// How a lock is asked for by a task.
pub(crate) struct TaskAsk {
    pub(crate) timeout: Timeout,
    pub(crate) is_quick: bool,
    pub(crate) hooks: Hooks,
    pub(crate) alone: Vec<PathBuf>,
    /// The guard, by its address, that is no obstacle: what is to be upgraded.
    pub(crate) except: usize,
}

impl Pending {
    pub(crate) fn new<G, F>(
        ask: TaskAsk,
        attempt: impl Fn() -> Taken<G> + Send + Sync + 'static,
        start: impl FnOnce() -> F + Send + 'static,
        finish: impl Fn(Python<'_>, G, Who, bool) -> PyResult<Py<PyAny>> + Send + Sync + 'static,
    ) -> Self
    where
        G: Send + 'static,
        F: Future<Output = Taken<G>> + Send + 'static,
    {
        let finish = Arc::new(finish);
        let boxed = move |guard| {
            let finish = Arc::clone(&finish);
            let finish = move |py: Python<'_>, who, is_block| finish(py, guard, who, is_block);
            Box::new(finish) as Finish
        };
        let later = boxed.clone();
        let start = move || {
            let future = start();
            Box::pin(async move { future.await.map(later) }) as Waiting
        };
        Self {
            timeout: ask.timeout.0,
            is_quick: ask.is_quick,
            hooks: ask.hooks,
            alone: ask.alone,
            except: ask.except,
            attempt: Box::new(move || attempt().map(&boxed)),
            state: Mutex::new(State::Fresh(Box::new(start))),
            report: OnceLock::new(),
        }
    }

    /// To be awaited, entered by `async with`, or made into a task.
    pub(crate) fn awaitable<'py>(self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let class = py.import("lockfast._tasks")?.getattr("Acquiring")?;
        class.call1((Py::new(py, self)?, name))
    }

    /// The result of `__aenter__` of a handle.
    pub(crate) fn enter(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        let enter = py.import("lockfast._tasks")?.getattr("enter")?;
        enter.call1((Py::new(py, self)?,))
    }

    /// Makes the first attempt; reports the wait that begins if it fails.
    fn begin(&self, py: Python<'_>, task: &Bound<'_, PyAny>) -> PyResult<Option<Finish>> {
        let error = match patience::first(py, self.is_quick, true, &*self.attempt) {
            Ok(finish) => return Ok(Some(finish)),
            Err(Trouble::Lock(error)) if error.is_contended() => error,
            Err(trouble) => return Err(trouble.raised(py)),
        };
        let alone: Vec<_> = self.alone.iter().map(PathBuf::as_path).collect();
        let may_end = self.timeout.is_some() || self.hooks.on_wait.is_some();
        if !may_end && Who::task(task).would_wait_for_itself(py, &alone, self.except)? {
            return Err(errors::deadlock(py, error.path(), "task"));
        }
        let report = Report::begin(py, &self.hooks, &error)?;
        // It begins once.
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

/// What `__aexit__` of that lock returns.
pub(crate) fn leave<'py>(lock: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let leave = lock.py().import("lockfast._tasks")?.getattr("leave")?;
    leave.call1((lock,))
}

#[pymethods]
impl Pending {
    /// Gives the guard, or None; then the function is called, by whichever thread, when it is time to
    /// poll again.
    fn poll(
        &self,
        py: Python<'_>,
        wake: Py<PyAny>,
        task: &Bound<'_, PyAny>,
        is_block: bool,
    ) -> PyResult<Option<Py<PyAny>>> {
        let mut future = match self.take() {
            State::Over => return Err(PyRuntimeError::new_err("this wait is over")),
            State::Waiting(future) => future,
            State::Fresh(start) => match self.begin(py, task)? {
                Some(finish) => return finish(py, Who::task(task), is_block).map(Some),
                None => start(),
            },
        };
        let waker = Waker::from(Arc::new(Alarm(wake)));
        // The first poll may do the work of an acquire.
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
                finish(py, Who::task(task), is_block).map(Some)
            }
            Poll::Ready(Err(trouble)) => {
                let error = trouble.raised(py);
                self.ended(py, Some(&error));
                Err(error)
            }
            Poll::Pending => Ok(None),
        }
    }

    /// Ends the wait, because of that exception if there is one. When this returns, nothing is left of it.
    #[pyo3(signature = (error = None))]
    fn close(&self, py: Python<'_>, error: Option<Bound<'_, PyAny>>) {
        let state = self.take();
        if matches!(state, State::Waiting(_)) {
            let error = error.map(PyErr::from_value);
            self.ended(py, error.as_ref());
        }
        py.detach(|| drop(state));
    }

    /// In seconds.
    #[getter]
    fn timeout(&self) -> Option<f64> {
        self.timeout.map(|timeout| timeout.as_secs_f64())
    }

    /// Ends a wait that took too long: gives the guard if the lock is free by now, or raises `Timeout`.
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
        let taken = patience::last(py, self.is_quick, begun, &*self.attempt);
        self.ended(py, taken.as_ref().err());
        taken?(py, Who::task(task), is_block)
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("alone", &self.alone)
            .finish_non_exhaustive()
    }
}

/// Calls a function of Python.
struct Alarm(Py<PyAny>);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        // While the interpreter is shut down there is nobody left to wake.
        Python::try_attach(|py| {
            if let Err(error) = self.0.call0(py) {
                error.write_unraisable(py, None);
            }
        });
    }
}

/// The path of a lock, for which whoever holds it can't wait.
pub(crate) fn alone(path: &Path) -> Vec<PathBuf> {
    vec![path.to_path_buf()]
}
