//! A wait of a task of asyncio: a future of lockfast, polled by Python.

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use lockfast::Result;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::errors;
use crate::patience::{Timeout, told};

/// Gives the guard as an object of Python.
type Finish = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// A wait that is not over; closing or dropping it ends the wait and leaves nothing behind.
#[pyclass(frozen, module = "lockfast._lockfast")]
pub(crate) struct Pending {
    path: PathBuf,
    timeout: Option<Duration>,
    future: Mutex<Option<Waiting>>,
}

type Waiting = Pin<Box<dyn Future<Output = Result<Finish>> + Send>>;

impl Pending {
    pub(crate) fn new<G: Send + 'static>(
        path: &Path,
        timeout: Timeout,
        future: impl Future<Output = Result<G>> + Send + 'static,
        finish: impl FnOnce(Python<'_>, G) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> Self {
        let future = async move {
            let guard = future.await?;
            Ok(Box::new(move |py: Python<'_>| finish(py, guard)) as Finish)
        };
        Self {
            path: path.to_path_buf(),
            timeout: timeout.0,
            future: Mutex::new(Some(Box::pin(future))),
        }
    }

    /// To be awaited, or entered by `async with`.
    pub(crate) fn awaitable(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        let class = py.import("lockfast._tasks")?.getattr("Acquiring")?;
        class.call1((Py::new(py, self)?,))
    }

    /// What `__aenter__` of that lock returns.
    pub(crate) fn enter<'py>(self, lock: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = lock.py();
        let enter = py.import("lockfast._tasks")?.getattr("enter")?;
        enter.call1((lock, Py::new(py, self)?))
    }

    fn future(&self) -> std::sync::MutexGuard<'_, Option<Waiting>> {
        self.future.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `__aexit__` of that lock returns.
pub(crate) fn leave<'py>(lock: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let leave = lock.py().import("lockfast._tasks")?.getattr("leave")?;
    leave.call1((lock,))
}

#[pymethods]
impl Pending {
    /// The guard, or None; then the function is called, in whichever thread, when it is time to poll
    /// again.
    fn poll(&self, py: Python<'_>, wake: Py<PyAny>) -> PyResult<Option<Py<PyAny>>> {
        let Some(mut future) = self.future().take() else {
            return Err(PyRuntimeError::new_err("this wait is over"));
        };
        let waker = Waker::from(Arc::new(Alarm(wake)));
        // The first poll may do the work of an acquire.
        let polled = py.detach(|| {
            let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
            if polled.is_pending() {
                *self.future() = Some(future);
            }
            polled
        });
        match polled {
            Poll::Ready(result) => told(py, result)?(py).map(Some),
            Poll::Pending => Ok(None),
        }
    }

    /// Ends the wait. When this returns, nothing is left of it.
    fn close(&self, py: Python<'_>) {
        let future = self.future().take();
        py.detach(|| drop(future));
    }

    /// In seconds.
    #[getter]
    fn timeout(&self) -> Option<f64> {
        self.timeout.map(|timeout| timeout.as_secs_f64())
    }

    /// The exception for a wait that took too long.
    fn timed_out(&self, py: Python<'_>) -> Py<PyAny> {
        let waited = self.timeout.unwrap_or_default();
        errors::timed_out(py, &self.path, waited)
            .into_value(py)
            .into_any()
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("path", &self.path)
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
