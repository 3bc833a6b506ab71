//! Learning that a lock is lost.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Instant;

use pyo3::prelude::*;

use crate::cancel::CancelToken;
use crate::library_guard::Lost;
use crate::limit::Timeout;
use crate::sleep::{End, sleep};

/// A callback for the loss of a lock, until it is called or taken back.
#[pyclass(frozen, weakref, module = "lockfast")]
#[derive(Debug)]
pub(crate) struct LostCallback(Arc<Registered>);

/// The callbacks of a guard.
#[derive(Debug, Default)]
pub(crate) struct Callbacks(Mutex<Vec<Arc<Registered>>>);

/// `None` after it was taken back.
#[derive(Debug)]
struct Registered(Mutex<Option<lockfast::LostCallback>>);

impl Callbacks {
    /// Registers a callback. If the lock is lost already, it is called before this returns.
    pub(crate) fn add(&self, lost: Lost, callback: Py<PyAny>) -> LostCallback {
        let callback = lockfast::LostCallback::new(lost, move || {
            // While the interpreter shuts down there is nobody left to tell.
            Python::try_attach(|py| {
                if let Err(error) = callback.call0(py) {
                    error.write_unraisable(py, None);
                }
            });
        });
        let registered = Arc::new(Registered(Mutex::new(Some(callback))));
        locked(&self.0).push(Arc::clone(&registered));
        LostCallback(registered)
    }

    /// Takes all of them back.
    pub(crate) fn clear(&self) {
        let callbacks = std::mem::take(&mut *locked(&self.0));
        for callback in callbacks {
            callback.cancel();
        }
    }
}

impl Registered {
    fn cancel(&self) {
        // Dropped without the mutex, as what it drops may be an object of Python.
        let callback = locked(&self.0).take();
        drop(callback);
    }
}

#[pymethods]
impl LostCallback {
    /// Takes the callback back: it is not called any more. One that has begun goes on.
    fn cancel(&self) {
        self.0.cancel();
    }
}

/// Waits until the lock is lost, the guard is released, or the wait ends for another reason; returns whether it
/// is lost.
pub(crate) fn wait(
    py: Python<'_>,
    mut lost: Lost,
    is_held: impl Fn() -> bool + Sync,
    timeout: Timeout,
    cancel: Option<&Bound<'_, CancelToken>>,
) -> PyResult<bool> {
    let deadline = timeout.0.and_then(|time| Instant::now().checked_add(time));
    let token = cancel.map(Bound::get);
    // A sleep looks ten times a second, which notices a release soon enough.
    let lost = poll_fn(|context| match lost.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(is_held()),
        Poll::Pending if is_held() => Poll::Pending,
        Poll::Pending => Poll::Ready(false),
    });
    match py.detach(|| sleep(lost, deadline, token, None)) {
        End::Done(is_lost) => Ok(is_lost),
        End::TimedOut | End::Cancelled => Ok(false),
        End::Raised(error) => Err(error),
    }
}

/// Returns the coroutine that waits until the lock of that guard is lost.
pub(crate) fn as_task<'py>(guard: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let lost = guard.py().import("lockfast._tasks")?.getattr("lost")?;
    lost.call1((guard,))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
