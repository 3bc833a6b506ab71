//! The limits of a wait, from the arguments of Python.

use std::time::Duration;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt};

use crate::cancel::CancelToken;
use crate::errors::class_name;

/// The longest time that a wait may take; without one it never ends by itself.
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
                // A number that is too large has an exception of its own.
                if error.is_instance_of::<PyTypeError>(value.py()) {
                    wrong_type(&value)
                } else {
                    error
                }
            })?
        };
        if seconds.is_nan() || seconds < 0.0 {
            let text = format!("a timeout must be 0 or more seconds, not {seconds}");
            return Err(PyValueError::new_err(text));
        }
        // A timeout beyond the clock never passes.
        Ok(Self(Duration::try_from_secs_f64(seconds).ok()))
    }
}

#[cold]
fn wrong_type(value: &Bound<'_, PyAny>) -> PyErr {
    PyTypeError::new_err(format!(
        "a timeout must be a number of seconds, a timedelta or None, not {}",
        class_name(value)
    ))
}

/// Whether an acquire waits, and what may end its wait.
pub(crate) struct WaitLimit<'py> {
    pub(crate) blocking: bool,
    pub(crate) timeout: Timeout,
    pub(crate) cancel: Option<Bound<'py, CancelToken>>,
}

impl<'py> WaitLimit<'py> {
    pub(crate) fn new(
        blocking: bool,
        timeout: Timeout,
        cancel: Option<Bound<'py, CancelToken>>,
    ) -> PyResult<Self> {
        if !blocking && (timeout.0.is_some() || cancel.is_some()) {
            let text = "blocking=False never waits: leave out timeout and cancel";
            return Err(PyValueError::new_err(text));
        }
        Ok(Self {
            blocking,
            timeout,
            cancel,
        })
    }

    /// Waits until the lock is acquired.
    pub(crate) fn forever() -> Self {
        Self {
            blocking: true,
            timeout: Timeout(None),
            cancel: None,
        }
    }

    /// Waits until the time has passed, if there is one.
    pub(crate) fn lasting(timeout: Option<Duration>) -> Self {
        Self {
            timeout: Timeout(timeout),
            ..Self::forever()
        }
    }

    /// Makes one attempt.
    pub(crate) fn none() -> Self {
        Self {
            blocking: false,
            ..Self::forever()
        }
    }
}
