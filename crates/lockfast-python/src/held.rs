//! A guard of Rust in an object of Python, and what such objects have in common.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lockfast::Result;
use pyo3::exceptions::PyRuntimeWarning;
use pyo3::prelude::*;

use crate::errors;
use crate::holding::Holding;

static FORKS: AtomicU32 = AtomicU32::new(0);
static IS_ENDING: AtomicBool = AtomicBool::new(false);

/// How many forks there were from the first process to this one.
#[pyfunction]
pub(crate) fn forks() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// Notes that this is a forked child, which holds nothing of what its parent holds.
#[pyfunction]
pub(crate) fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Notes that the interpreter is about to end: what is still held then is no mistake.
#[pyfunction]
pub(crate) fn ending() {
    IS_ENDING.store(true, Ordering::Relaxed);
}

/// Something that is held until it is taken out.
#[derive(Debug)]
pub(crate) struct Held<G> {
    guard: Mutex<Option<G>>,
    forks: u32,
    origin: Origin,
    /// The thread or task in whose block it is; [`NOBODYS`] once it was handed over.
    block: AtomicUsize,
    /// The number that it shares with the guard that it became, if it became one.
    chain: AtomicUsize,
}

/// Where a guard comes from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// Whether the kernel of this machine keeps the lock, so that releasing it takes no time.
    pub(crate) is_quick: bool,
    /// The handle's list that keeps the guard's object until it is released, if it does.
    pub(crate) kept_by: Option<Arc<Holding>>,
    /// A number that a chain of guards shares, each of which became the next; 0 for the first.
    pub(crate) chain: usize,
}

/// No thread and no task.
pub(crate) const NOBODYS: usize = usize::MAX;

/// Why a guard holds nothing.
pub(crate) const RELEASED: &str = "this guard was released before";
const COPY: &str = "this is a forked child's copy of the guard, which holds nothing";

impl<G> Held<G> {
    pub(crate) fn new(guard: G, origin: Origin) -> Self {
        Self {
            guard: Mutex::new(Some(guard)),
            forks: forks(),
            block: AtomicUsize::new(0),
            chain: AtomicUsize::new(origin.chain),
            origin,
        }
    }

    pub(crate) fn take(&self) -> Option<G> {
        self.guard().take()
    }

    /// To be released, or made into something else; else why it can't be.
    pub(crate) fn take_own(&self) -> std::result::Result<G, &'static str> {
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

    /// Asks the guard something, if it is still held.
    pub(crate) fn ask<R>(&self, question: impl FnOnce(&mut G) -> R) -> Option<R> {
        self.guard().as_mut().map(question)
    }

    /// Asks a question that may take its time.
    pub(crate) fn ask_slowly<R: Send>(
        &self,
        py: Python<'_>,
        question: impl FnOnce(&mut G) -> R + Send,
    ) -> Option<R>
    where
        G: Send,
    {
        if self.origin.is_quick {
            return self.ask(question);
        }
        py.detach(|| self.ask(question))
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The owner of the block that it is in.
    pub(crate) fn block(&self) -> usize {
        self.block.load(Ordering::Relaxed)
    }

    pub(crate) fn enter_block(&self, who: usize) {
        self.block.store(who, Ordering::Relaxed);
    }

    /// It becomes another one, which has this in common with it.
    pub(crate) fn chain_on(&self) -> usize {
        static LAST: AtomicUsize = AtomicUsize::new(0);
        if self.chain.load(Ordering::Relaxed) == 0 {
            let new = LAST.fetch_add(1, Ordering::Relaxed) + 1;
            self.chain.store(new, Ordering::Relaxed);
        }
        self.chain.load(Ordering::Relaxed)
    }

    /// Its block is over, and so is the hold of what it became.
    pub(crate) fn end_chain(&self, py: Python<'_>) -> PyResult<()> {
        match (&self.origin.kept_by, self.chain.load(Ordering::Relaxed)) {
            (None, _) | (_, 0) => Ok(()),
            (Some(holding), chain) => holding.end_chain(py, chain),
        }
    }

    /// It is let go: the handle need not keep the object at that address any more.
    pub(crate) fn forget(&self, object: usize) {
        if let Some(holding) = &self.origin.kept_by {
            holding.forget(object);
        }
    }

    /// Releases what was taken out, without the interpreter's lock if that may take its time.
    pub(crate) fn let_go(
        &self,
        py: Python<'_>,
        release: impl FnOnce() -> Result<()> + Send,
    ) -> PyResult<()> {
        let released = if self.origin.is_quick {
            release()
        } else {
            py.detach(release)
        };
        released.map_err(|error| errors::raised(py, error))
    }

    /// The object goes. If it still holds the lock, somebody relied on a guard that nobody has.
    pub(crate) fn dropped(&mut self, object: usize, path: &Path, noun: &str)
    where
        G: Send,
    {
        let guard = self.guard.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(guard) = guard.take() else {
            return;
        };
        self.forget(object);
        if self.forks != forks() || IS_ENDING.load(Ordering::Relaxed) {
            return;
        }
        let is_quick = self.origin.is_quick;
        Python::try_attach(move |py| {
            if is_quick {
                drop(guard);
            } else {
                py.detach(|| drop(guard));
            }
            warn_of_drop(py, path, noun);
        });
    }

    fn guard(&self) -> MutexGuard<'_, Option<G>> {
        self.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cold]
fn warn_of_drop(py: Python<'_>, path: &Path, noun: &str) {
    let text = format!(
        "a {noun} {} was dropped while it was held, which has released it: call release() on \
         it or on its lock, keep one of them, or use `with`",
        path.display()
    );
    let before = PyErr::take(py);
    let category = py.get_type::<PyRuntimeWarning>();
    let text = std::ffi::CString::new(text).unwrap_or_default();
    if let Err(error) = PyErr::warn(py, &category, &text, 1) {
        // Warnings are errors here, and an object that goes can't raise one.
        error.write_unraisable(py, None);
    }
    if let Some(before) = before {
        before.restore(py);
    }
}

/// What the guards of all primitives have.
macro_rules! guard_methods {
    ($guard:ident, $noun:literal, { $($more:tt)* }) => {
        impl Drop for $guard {
            fn drop(&mut self) {
                let object = self.address();
                self.held.dropped(object, &self.path, $noun);
            }
        }

        impl $guard {
            /// Which of the handle's kept objects this is.
            pub(crate) fn address(&self) -> usize {
                std::ptr::from_ref(self).addr()
            }

            pub(crate) fn let_go(&self, py: pyo3::Python<'_>) -> pyo3::PyResult<()> {
                match self.held.take() {
                    Some(guard) => {
                        self.held.forget(self.address());
                        self.held.let_go(py, || guard.release())
                    }
                    None => self.held.end_chain(py),
                }
            }
        }

        #[pyo3::pymethods]
        impl $guard {
            /// Releases it; once.
            fn release(&self, py: pyo3::Python<'_>) -> pyo3::PyResult<()> {
                match self.held.take_own() {
                    Ok(guard) => {
                        self.held.forget(self.address());
                        self.held.let_go(py, || guard.release())
                    }
                    Err(why) => Err($crate::errors::not_held(py, &self.path, why)),
                }
            }

            /// Whether it is neither released nor made into another guard.
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
                    guard.held.enter_block($crate::holding::this_thread());
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
                self.let_go(py)
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
