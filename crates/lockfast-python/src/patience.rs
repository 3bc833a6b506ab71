//! Time-outs as Python has them, and waiting without its lock.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::time::Duration;

use lockfast::Result;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt};

use crate::errors;

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

/// Takes what `attempt` gives at once, or else waits for it as `wait` does, without the interpreter's
/// lock.
pub(crate) fn acquire<G: Send>(
    py: Python<'_>,
    attempt: impl FnOnce() -> Result<G>,
    wait: impl FnOnce() -> Result<G> + Send,
) -> PyResult<G> {
    match attempt() {
        Err(error) if error.is_contended() => told(py, py.detach(wait)),
        taken => taken.map_err(|error| errors::raised(py, error)),
    }
}

/// The result of a wait: an exception of a signal's handler that ended it comes first.
pub(crate) fn told<T>(py: Python<'_>, result: Result<T>) -> PyResult<T> {
    result.map_err(|error| unless_signal(error).unwrap_or_else(|error| errors::raised(py, error)))
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
    #[allow(
        clippy::redundant_closure_for_method_calls,
        reason = "the method itself is not general enough"
    )]
    let checked = Python::try_attach(|py| py.check_signals());
    match checked {
        Some(Err(error)) => {
            RAISED.set(Some(error));
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    }
}

thread_local! {
    /// What ended the wait of this thread.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}
