//! Tokens that cancel waits.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

use pyo3::prelude::*;

/// A token that ends the waits that it was passed to, from any thread.
#[pyclass(frozen, weakref, module = "lockfast")]
#[derive(Debug, Default)]
pub(crate) struct CancelToken {
    token: lockfast::CancelToken,
    /// The waiters whose helpers are in the kernel's queue.
    parked: Mutex<Vec<Thread>>,
}

#[pymethods]
impl CancelToken {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Ends the waits that the token was passed to, now and in future: the token stays cancelled.
    fn cancel(&self) {
        self.token.cancel();
        let parked = self.parked().clone();
        for thread in parked {
            thread.unpark();
        }
    }

    /// Whether the token was cancelled.
    #[getter]
    pub(crate) fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    fn __repr__(&self) -> &'static str {
        if self.is_cancelled() {
            "<lockfast.CancelToken, cancelled>"
        } else {
            "<lockfast.CancelToken>"
        }
    }
}

impl CancelToken {
    pub(crate) fn run<R>(&self, wait: impl FnOnce() -> R) -> R {
        self.token.run(wait)
    }

    /// Unparks this thread when the token is cancelled, until the result is dropped.
    pub(crate) fn wake_this_thread(&self) -> Woken<'_> {
        self.parked().push(thread::current());
        Woken(self)
    }

    fn parked(&self) -> MutexGuard<'_, Vec<Thread>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Woken<'a>(&'a CancelToken);

impl Drop for Woken<'_> {
    fn drop(&mut self) {
        let own = thread::current().id();
        let mut parked = self.0.parked();
        if let Some(at) = parked.iter().position(|thread| thread.id() == own) {
            parked.swap_remove(at);
        }
    }
}
