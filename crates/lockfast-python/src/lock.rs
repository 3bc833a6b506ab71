//! An exclusive lock.

use std::ffi::OsStr;
use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::choices::{self, Choices};
use crate::errors;
use crate::held::{Blocks, Held, RELEASED, guard_methods, this_thread};
use crate::patience::{Timeout, acquire};
use crate::pending::Pending;

/// An exclusive lock between processes, threads and tasks, named by the path of its file.
#[pyclass(frozen, subclass, weakref, module = "lockfast")]
#[derive(Debug)]
pub(crate) struct Lock {
    handle: lockfast::Lock,
    keywords: Option<Py<PyDict>>,
    blocks: Blocks<LockGuard>,
}

/// A lock that is held, until released or dropped.
#[pyclass(frozen, weakref, module = "lockfast")]
#[derive(Debug)]
pub(crate) struct LockGuard {
    held: Held<lockfast::LockGuard>,
    path: PathBuf,
}

impl LockGuard {
    pub(crate) fn new(guard: lockfast::LockGuard) -> Self {
        Self {
            path: guard.path().to_path_buf(),
            held: Held::new(guard),
        }
    }
}

impl Lock {
    pub(crate) fn handle(&self) -> &lockfast::Lock {
        &self.handle
    }

    fn take(&self, py: Python<'_>, timeout: Timeout) -> PyResult<LockGuard> {
        let lock = &self.handle;
        let taken = acquire(
            py,
            || lock.try_lock(),
            || match timeout.0 {
                Some(timeout) => lock.try_lock_for(timeout),
                None => lock.lock(),
            },
        );
        taken.map(LockGuard::new)
    }

    fn opened(handle: lockfast::Lock, keywords: Option<Py<PyDict>>) -> Self {
        Self {
            handle,
            keywords,
            blocks: Blocks::default(),
        }
    }
}

/// The library's lock at that path, of which a reentrant one is made too.
pub(crate) fn open(
    py: Python<'_>,
    path: &Bound<'_, PyAny>,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<lockfast::Lock> {
    let path = choices::path(path)?;
    let chosen = Choices::parse(options)?.options(lockfast::Lock::options());
    let opened = py.detach(|| chosen.open(path));
    opened.map_err(|error| errors::raised(py, error))
}

/// The same by its name.
pub(crate) fn open_named(py: Python<'_>, name: &str, scope: &str) -> PyResult<lockfast::Lock> {
    let options = Choices::default().options(lockfast::Lock::options());
    let opened = options.scope(choices::scope(scope)?).open_named(name);
    opened.map_err(|error| errors::raised(py, error))
}

#[pymethods]
impl Lock {
    #[new]
    #[pyo3(signature = (path, **options))]
    fn new(
        py: Python<'_>,
        path: &Bound<'_, PyAny>,
        options: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let lock = open(py, path, options.as_ref())?;
        Ok(Self::opened(lock, options.map(Bound::unbind)))
    }

    /// The lock with that name, shared by the user's processes or by the machine's.
    #[staticmethod]
    #[pyo3(signature = (name, *, scope = "user"))]
    fn named(py: Python<'_>, name: &str, scope: &str) -> PyResult<Self> {
        Ok(Self::opened(open_named(py, name, scope)?, None))
    }

    /// Takes the lock, waiting as long as it takes, or at most that long.
    #[pyo3(signature = (*, timeout = Timeout(None)), text_signature = "($self, *, timeout=None)")]
    fn acquire(&self, py: Python<'_>, timeout: Timeout) -> PyResult<LockGuard> {
        self.take(py, timeout)
    }

    /// Takes the lock if it is free.
    fn try_acquire(&self, py: Python<'_>) -> PyResult<LockGuard> {
        let taken = self.handle.try_lock();
        taken
            .map(LockGuard::new)
            .map_err(|error| errors::raised(py, error))
    }

    /// Takes the lock as a task of asyncio.
    #[pyo3(signature = (*, timeout = Timeout(None)), text_signature = "($self, *, timeout=None)")]
    fn acquire_async<'py>(&self, py: Python<'py>, timeout: Timeout) -> PyResult<Bound<'py, PyAny>> {
        self.pending(timeout).awaitable(py)
    }

    /// The path of the lock file, absolute.
    #[getter]
    fn path(&self) -> &OsStr {
        self.handle.path().as_os_str()
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<LockGuard>> {
        let guard = Py::new(py, self.take(py, Timeout(None))?)?;
        self.blocks.enter(this_thread(), guard.clone_ref(py));
        Ok(guard)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.leave(py, this_thread())
    }

    fn __aenter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let pending = slf.get().pending(Timeout(None));
        pending.enter(slf.as_any())
    }

    #[pyo3(signature = (*_exception))]
    fn __aexit__<'py>(
        slf: &Bound<'py, Self>,
        _exception: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        crate::pending::leave(slf.as_any())
    }

    fn _entered(&self, who: usize, guard: Py<LockGuard>) {
        self.blocks.enter(who, guard);
    }

    fn _left(&self, py: Python<'_>, who: usize) -> PyResult<()> {
        self.leave(py, who)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let lock = slf.get();
        choices::remade(
            slf.as_any(),
            lock.handle.path(),
            None,
            lock.keywords.as_ref(),
        )
    }

    fn __repr__(&self) -> String {
        format!("<lockfast.Lock {}>", self.handle.path().display())
    }
}

impl Lock {
    fn pending(&self, timeout: Timeout) -> Pending {
        let future = self.handle.lock_async();
        let into_object =
            |py: Python<'_>, guard| Ok(Py::new(py, LockGuard::new(guard))?.into_any());
        Pending::new(self.handle.path(), timeout, future, into_object)
    }

    fn leave(&self, py: Python<'_>, who: usize) -> PyResult<()> {
        let Some(guard) = self.blocks.leave(who) else {
            let why = "no `with` block of it is running";
            return Err(errors::not_held(py, self.handle.path(), why));
        };
        match guard.get().held.take() {
            Some(guard) => guard.release().map_err(|error| errors::raised(py, error)),
            None => Ok(()),
        }
    }
}

guard_methods!(LockGuard, {
    /// The number of the descriptor of the locked file.
    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        use std::os::fd::AsRawFd;
        self.held
            .ask(|guard| guard.file().as_raw_fd())
            .ok_or_else(|| errors::not_held(py, &self.path, RELEASED))
    }

    /// Is the locked file still the one at the path?
    fn is_current(&self, py: Python<'_>) -> PyResult<bool> {
        match self.held.ask(|guard| guard.is_current()) {
            Some(answer) => answer.map_err(|error| errors::raised(py, error)),
            None => Ok(false),
        }
    }

    /// Another thread holds it from now on.
    fn hand_over(&self) {
        self.held.ask(lockfast::LockGuard::hand_over);
    }

    /// The fencing token, with an owner record.
    #[getter]
    fn token(&self) -> Option<u64> {
        self.held.ask(|guard| guard.token()).flatten()
    }

    /// The owner before, if it died while it held the lock; with an owner record.
    #[getter]
    fn abandoned(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let owner = self.held.ask(|guard| guard.abandoned().cloned()).flatten();
        owner.map(|owner| errors::owner(py, &owner)).transpose()
    }
});
