//! At most so many at once.

use std::ffi::OsStr;
use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::choices::{self, Choices};
use crate::errors;
use crate::held::{Blocks, Held, guard_methods, this_thread};
use crate::patience::{Timeout, acquire};
use crate::pending::Pending;

/// A number of permits between processes, threads and tasks.
#[pyclass(frozen, subclass, weakref, module = "lockfast")]
#[derive(Debug)]
pub(crate) struct Semaphore {
    pool: lockfast::Semaphore,
    keywords: Option<Py<PyDict>>,
    blocks: Blocks<SemaphorePermit>,
}

/// One or more permits, held until released or dropped.
#[pyclass(frozen, weakref, module = "lockfast")]
#[derive(Debug)]
pub(crate) struct SemaphorePermit {
    held: Held<lockfast::SemaphorePermit>,
    path: PathBuf,
    count: u32,
}

impl SemaphorePermit {
    pub(crate) fn new(permit: lockfast::SemaphorePermit) -> Self {
        Self {
            path: permit.path().to_path_buf(),
            count: permit.count(),
            held: Held::new(permit),
        }
    }
}

impl Semaphore {
    pub(crate) fn handle(&self) -> &lockfast::Semaphore {
        &self.pool
    }

    fn take(&self, py: Python<'_>, count: u32, timeout: Timeout) -> PyResult<SemaphorePermit> {
        let pool = &self.pool;
        let taken = acquire(
            py,
            || pool.try_acquire_many(count),
            || match timeout.0 {
                Some(timeout) => pool.try_acquire_many_for(count, timeout),
                None => pool.acquire_many(count),
            },
        );
        taken.map(SemaphorePermit::new)
    }

    fn pending(&self, count: u32, timeout: Timeout) -> Pending {
        let future = self.pool.acquire_many_async(count);
        Pending::new(self.pool.path(), timeout, future, |py, permit| {
            Ok(Py::new(py, SemaphorePermit::new(permit))?.into_any())
        })
    }

    fn leave(&self, py: Python<'_>, who: usize) -> PyResult<()> {
        let Some(permit) = self.blocks.leave(who) else {
            let why = "no `with` block of it is running";
            return Err(errors::not_held(py, self.pool.path(), why));
        };
        match permit.get().held.take() {
            Some(permit) => permit.release().map_err(|error| errors::raised(py, error)),
            None => Ok(()),
        }
    }

    fn opened(pool: lockfast::Semaphore, keywords: Option<Py<PyDict>>) -> Self {
        Self {
            pool,
            keywords,
            blocks: Blocks::default(),
        }
    }
}

#[pymethods]
impl Semaphore {
    #[new]
    #[pyo3(signature = (path, permits, **options))]
    fn new(
        py: Python<'_>,
        path: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = choices::number)] permits: u32,
        options: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let path = choices::path(path)?;
        let chosen = Choices::parse(options.as_ref())?.options(lockfast::Semaphore::options());
        let opened = py.detach(|| chosen.open(path, permits));
        let pool = opened.map_err(|error| errors::raised(py, error))?;
        Ok(Self::opened(pool, options.map(Bound::unbind)))
    }

    /// The semaphore with that name, shared by the user's processes or by the machine's.
    #[staticmethod]
    #[pyo3(signature = (name, permits, *, scope = "user"))]
    fn named(
        py: Python<'_>,
        name: &str,
        #[pyo3(from_py_with = choices::number)] permits: u32,
        scope: &str,
    ) -> PyResult<Self> {
        let options = Choices::default().options(lockfast::Semaphore::options());
        let options = options.scope(choices::scope(scope)?);
        let opened = options.open_named(name, permits);
        let pool = opened.map_err(|error| errors::raised(py, error))?;
        Ok(Self::opened(pool, None))
    }

    /// Takes so many permits, all or none, waiting as long as it takes, or at most that long.
    #[pyo3(
        signature = (count = 1, *, timeout = Timeout(None)),
        text_signature = "($self, count=1, *, timeout=None)"
    )]
    fn acquire(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = choices::number)] count: u32,
        timeout: Timeout,
    ) -> PyResult<SemaphorePermit> {
        self.take(py, count, timeout)
    }

    /// Takes so many permits if they are free and nobody waits.
    #[pyo3(signature = (count = 1))]
    fn try_acquire(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = choices::number)] count: u32,
    ) -> PyResult<SemaphorePermit> {
        let taken = self.pool.try_acquire_many(count);
        taken
            .map(SemaphorePermit::new)
            .map_err(|error| errors::raised(py, error))
    }

    /// Takes so many permits, as a task of asyncio.
    #[pyo3(
        signature = (count = 1, *, timeout = Timeout(None)),
        text_signature = "($self, count=1, *, timeout=None)"
    )]
    fn acquire_async<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = choices::number)] count: u32,
        timeout: Timeout,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.pending(count, timeout).awaitable(py)
    }

    /// How many permits are free; out of date at once.
    fn available(&self, py: Python<'_>) -> PyResult<u32> {
        let available = self.pool.available();
        available.map_err(|error| errors::raised(py, error))
    }

    /// How many there are in all.
    #[getter]
    fn permits(&self) -> u32 {
        self.pool.permits()
    }

    /// The path of the lock file, absolute.
    #[getter]
    fn path(&self) -> &OsStr {
        self.pool.path().as_os_str()
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<SemaphorePermit>> {
        let permit = Py::new(py, self.take(py, 1, Timeout(None))?)?;
        self.blocks.enter(this_thread(), permit.clone_ref(py));
        Ok(permit)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.leave(py, this_thread())
    }

    fn __aenter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.get().pending(1, Timeout(None)).enter(slf.as_any())
    }

    #[pyo3(signature = (*_exception))]
    fn __aexit__<'py>(
        slf: &Bound<'py, Self>,
        _exception: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        crate::pending::leave(slf.as_any())
    }

    fn _entered(&self, who: usize, permit: Py<SemaphorePermit>) {
        self.blocks.enter(who, permit);
    }

    fn _left(&self, py: Python<'_>, who: usize) -> PyResult<()> {
        self.leave(py, who)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let pool = slf.get();
        let permits = Some(pool.pool.permits());
        choices::remade(
            slf.as_any(),
            pool.pool.path(),
            permits,
            pool.keywords.as_ref(),
        )
    }

    fn __repr__(&self) -> String {
        let (path, permits) = (self.pool.path().display(), self.pool.permits());
        format!("<lockfast.Semaphore {path}, {permits} permits>")
    }
}

guard_methods!(SemaphorePermit, {
    /// How many permits it is.
    #[getter]
    fn count(&self) -> u32 {
        self.count
    }
});
