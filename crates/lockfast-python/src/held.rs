//! What `with lock:` keeps while its block runs.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;

/// The guards of the blocks that run, each with who entered it: a thread or a task.
#[derive(Debug)]
pub(crate) struct Blocks<G>(Mutex<Vec<(usize, Py<G>)>>);

impl<G> Default for Blocks<G> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<G> Blocks<G> {
    pub(crate) fn enter(&self, who: usize, guard: Py<G>) {
        self.blocks().push((who, guard));
    }

    /// The guard of the innermost block of that one, or of whoever it was if the block is left by
    /// another.
    pub(crate) fn leave(&self, who: usize) -> Option<Py<G>> {
        let mut blocks = self.blocks();
        let own = blocks.iter().rposition(|(entered, _)| *entered == who);
        match own {
            Some(at) => Some(blocks.remove(at).1),
            None => blocks.pop().map(|(_, guard)| guard),
        }
    }

    fn blocks(&self) -> MutexGuard<'_, Vec<(usize, Py<G>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which thread this is: no other one has the same while this one runs.
pub(crate) fn this_thread() -> usize {
    thread_local! {
        static PLACE: u8 = const { 0 };
    }
    PLACE.with(|place| std::ptr::from_ref(place) as usize)
}

/// Something that is held until it is taken out.
#[derive(Debug)]
pub(crate) struct Held<G>(Mutex<Option<G>>);

impl<G> Held<G> {
    pub(crate) fn new(guard: G) -> Self {
        Self(Mutex::new(Some(guard)))
    }

    pub(crate) fn take(&self) -> Option<G> {
        self.guard().take()
    }

    pub(crate) fn put(&self, guard: G) {
        *self.guard() = Some(guard);
    }

    pub(crate) fn is_held(&self) -> bool {
        self.guard().is_some()
    }

    /// What it says of itself, if it is still held.
    pub(crate) fn ask<R>(&self, question: impl FnOnce(&mut G) -> R) -> Option<R> {
        self.guard().as_mut().map(question)
    }

    fn guard(&self) -> MutexGuard<'_, Option<G>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the guards of all primitives have.
macro_rules! guard_methods {
    ($guard:ident, { $($more:tt)* }) => {
        #[pyo3::pymethods]
        impl $guard {
            /// Releases it; once.
            fn release(&self, py: pyo3::Python<'_>) -> pyo3::PyResult<()> {
                let Some(guard) = self.held.take() else {
                    return Err($crate::errors::not_held(py, &self.path, "this guard was released before"));
                };
                guard.release().map_err(|error| $crate::errors::raised(py, error))
            }

            /// Is it not yet released, nor made into another guard?
            #[getter]
            fn is_held(&self) -> bool {
                self.held.is_held()
            }

            /// The path of the lock file, absolute.
            #[getter]
            fn path(&self) -> &std::ffi::OsStr {
                self.path.as_os_str()
            }

            fn __enter__<'py>(slf: &pyo3::Bound<'py, Self>) -> pyo3::PyResult<pyo3::Bound<'py, Self>> {
                let guard = slf.get();
                if guard.held.is_held() {
                    return Ok(slf.clone());
                }
                Err($crate::errors::not_held(slf.py(), &guard.path, "this guard was released before"))
            }

            /// Releases it, if that was not done in the block.
            #[pyo3(signature = (*_exception))]
            fn __exit__(
                &self,
                py: pyo3::Python<'_>,
                _exception: &pyo3::Bound<'_, pyo3::types::PyTuple>,
            ) -> pyo3::PyResult<()> {
                match self.held.take() {
                    Some(guard) => guard.release().map_err(|error| $crate::errors::raised(py, error)),
                    None => Ok(()),
                }
            }

            fn __repr__(&self) -> String {
                let state = if self.held.is_held() { "held" } else { "released" };
                let (name, path) = (stringify!($guard), self.path.display());
                format!("<lockfast.{name} of {path}, {state}>")
            }

            $($more)*
        }
    };
}
pub(crate) use guard_methods;
