//! Exceptions of signal handlers, and of other threads, that end a wait.

use std::cell::RefCell;
use std::ops::ControlFlow;

use pyo3::prelude::*;

use crate::errors;

/// Runs Python's handlers after a signal; ends the wait if one raised an exception.
pub(crate) fn on_interrupt() -> ControlFlow<()> {
    match raised_meanwhile() {
        Some(error) => {
            RAISED.set(Some(error));
            ControlFlow::Break(())
        }
        None => ControlFlow::Continue(()),
    }
}

/// Lets the interpreter do what it does between two steps of a program: run signal handlers, and raise an
/// exception that another thread sent to this one. Only a function of Python has such steps.
pub(crate) fn raised_meanwhile() -> Option<PyErr> {
    Python::try_attach(|py| {
        errors::known(py, "step")
            .and_then(|step| step.call0())
            .err()
    })
    .flatten()
}

/// The exception that ended the wait, if that is why it failed.
pub(crate) fn exception_of(error: lockfast::Error) -> Result<PyErr, lockfast::Error> {
    let raised = if error.is_cancelled() {
        RAISED.take()
    } else {
        None
    };
    raised.ok_or(error)
}

thread_local! {
    /// The exception that ended the wait of this thread.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}
