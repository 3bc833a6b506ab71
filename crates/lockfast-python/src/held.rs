//! What `with lock:` keeps while its block runs, and what a guard has of Rust's.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
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

/// Which thread this is: no other one has the same, even after its end. It is never the address of
/// an object, which is what tells tasks apart.
pub(crate) fn this_thread() -> usize {
    static LAST: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = const { Cell::new(0) };
    }
    OWN.with(|own| {
        if own.get() == 0 {
            own.set(LAST.fetch_add(1, Ordering::Relaxed) * 2 + 1);
        }
        own.get()
    })
}

static FORKS: AtomicU32 = AtomicU32::new(0);

/// How many forks there were from the first process to this one.
#[pyfunction]
pub(crate) fn forks() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// This is a forked child: what its parent holds it does not hold.
#[pyfunction]
pub(crate) fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Something that is held until it is taken out.
#[derive(Debug)]
pub(crate) struct Held<G> {
    guard: Mutex<Option<G>>,
    forks: u32,
}

/// Why a guard holds nothing.
pub(crate) const RELEASED: &str = "this guard was released before";
const COPY: &str = "this is a forked child's copy of the guard, which holds nothing";

impl<G> Held<G> {
    pub(crate) fn new(guard: G) -> Self {
        Self {
            guard: Mutex::new(Some(guard)),
            forks: forks(),
        }
    }

    pub(crate) fn take(&self) -> Option<G> {
        self.guard().take()
    }

    /// To be released, or made into something else; else why it can't be.
    pub(crate) fn take_own(&self) -> Result<G, &'static str> {
        if self.forks == forks() {
            self.take().ok_or(RELEASED)
        } else {
            Err(COPY)
        }
    }

    pub(crate) fn put(&self, guard: G) {
        *self.guard() = Some(guard);
    }

    pub(crate) fn is_held(&self) -> bool {
        self.forks == forks() && self.guard().is_some()
    }

    /// What it says of itself, if it is still held.
    pub(crate) fn ask<R>(&self, question: impl FnOnce(&mut G) -> R) -> Option<R> {
        self.guard().as_mut().map(question)
    }

    fn guard(&self) -> MutexGuard<'_, Option<G>> {
        self.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the guards of all primitives have.
macro_rules! guard_methods {
    ($guard:ident, { $($more:tt)* }) => {
        #[pyo3::pymethods]
        impl $guard {
            /// Releases it; once.
            fn release(&self, py: pyo3::Python<'_>) -> pyo3::PyResult<()> {
                match self.held.take_own() {
                    Ok(guard) => guard.release().map_err(|error| $crate::errors::raised(py, error)),
                    Err(why) => Err($crate::errors::not_held(py, &self.path, why)),
                }
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
                let why = $crate::held::RELEASED;
                Err($crate::errors::not_held(slf.py(), &guard.path, why))
            }

            /// Releases it, if that was not done in the block. In a forked child it does nothing.
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
