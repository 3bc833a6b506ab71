//! At most so many at once.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use crate::cancel::CancelToken;
use crate::choices;
use crate::errors;
use crate::handle::{self, Handle};
use crate::held::{Held, Origin, guard_methods};
use crate::holding::{AnyGuard, Choice, GuardClass, Who, this_thread};
use crate::patience::{Ask, Taken, Timeout, Want, acquire};
use crate::pending::{self, Pending, TaskAsk};

/// A number of permits between processes, threads and tasks.
///
/// `with semaphore:` and `async with semaphore:` hold one for a block; `acquire()` holds what it takes
/// until `release()`.
#[pyclass(frozen, subclass, weakref, module = "lockfast")]
#[derive(Debug)]
pub(crate) struct Semaphore {
    handle: Handle<lockfast::Semaphore>,
}

/// Permits, at least one, held until they are released.
#[pyclass(frozen, weakref, module = "lockfast")]
#[derive(Debug)]
pub(crate) struct SemaphorePermit {
    pub(crate) held: Held<lockfast::SemaphorePermit>,
    path: PathBuf,
    count: u32,
}

impl GuardClass for SemaphorePermit {
    type Guard = lockfast::SemaphorePermit;

    fn of(permit: Self::Guard, origin: Origin) -> PyClassInitializer<Self> {
        PyClassInitializer::from(Self {
            path: permit.path().to_path_buf(),
            count: permit.count(),
            held: Held::new(permit, origin),
        })
    }

    fn any(object: Py<Self>) -> AnyGuard {
        AnyGuard::Permit(object)
    }

    fn at(&self) -> usize {
        self.address()
    }
}

impl Semaphore {
    pub(crate) fn handle(&self) -> &Handle<lockfast::Semaphore> {
        &self.handle
    }

    fn kept(
        &self,
        py: Python<'_>,
        count: u32,
        want: Want<'_>,
        is_block: bool,
    ) -> PyResult<Py<SemaphorePermit>> {
        let opened = self.handle.get()?;
        let pool = &opened.lock;
        let ask = Ask {
            hooks: &opened.hooks,
            is_quick: opened.is_quick,
            is_fifo: opened.is_fifo,
            // Who has permits may well wait for more.
            alone: &[],
            except: 0,
        };
        let permit = acquire(
            py,
            &ask,
            want,
            || Ok(pool.try_acquire_many(count)?),
            |moment: Duration| Ok(pool.try_acquire_many_for(count, moment)?),
            || {
                let future = pool.acquire_many_async(count);
                async { Ok(future.await?) }
            },
        )?;
        let who = Who::this_thread();
        self.handle
            .holding
            .keep(py, permit, opened.is_quick, who, is_block)
    }

    fn leave(&self, py: Python<'_>, who: usize) -> PyResult<()> {
        match self.handle.holding.leave_block(py, who) {
            Some(permit) => permit.let_go(py),
            None => Err(self.handle.no_block(py)?),
        }
    }

    fn pending(&self, py: Python<'_>, count: u32, timeout: Timeout) -> PyResult<Pending> {
        let opened = self.handle.get()?;
        let ask = TaskAsk {
            timeout,
            is_quick: opened.is_quick,
            hooks: opened.hooks.clone_ref(py),
            alone: Vec::new(),
            except: 0,
        };
        let (pool, later) = (opened.lock.clone(), opened.lock.clone());
        let (holding, is_quick) = (self.handle.holding.clone(), opened.is_quick);
        Ok(Pending::new(
            ask,
            move || -> Taken<_> { Ok(pool.try_acquire_many(count)?) },
            move || async move { Ok(later.acquire_many_async(count).await?) },
            move |py, permit, who, is_block| {
                let object =
                    holding.keep::<SemaphorePermit>(py, permit, is_quick, who, is_block)?;
                Ok(object.into_any())
            },
        ))
    }
}

#[pymethods]
impl Semaphore {
    #[new]
    #[pyo3(
        signature = (*_arguments, **_options),
        text_signature = "(path, permits, **options)"
    )]
    fn new(_arguments: &Bound<'_, PyTuple>, _options: Option<Bound<'_, PyDict>>) -> Self {
        Self {
            handle: Handle::new(),
        }
    }

    #[pyo3(signature = (path, permits, **options))]
    fn __init__(
        &self,
        path: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = choices::number)] permits: u32,
        options: Option<Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        self.handle.open_path(path, Some(permits), options)
    }

    /// Opens the semaphore with that name, shared by the user's processes or by the machine's.
    #[classmethod]
    #[pyo3(signature = (name, permits, *, scope = "user", **options))]
    fn named<'py>(
        class: &Bound<'py, PyType>,
        name: &str,
        #[pyo3(from_py_with = choices::number)] permits: u32,
        scope: &str,
        options: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Self>> {
        let made = handle::made::<Self>(class)?;
        let handle = &made.get().handle;
        handle.open_name(class.py(), (name, scope), Some(permits), options)?;
        Ok(made)
    }

    /// Takes that many permits, all or none, and holds them until `release()`, of the semaphore or of
    /// the permit that this returns.
    ///
    /// Waits as long as it takes, or at most `timeout` seconds, or not at all with `blocking=False`, or
    /// until the `CancelToken` `cancel` is cancelled; raises Timeout, `WouldBlock` or Cancelled.
    #[pyo3(
        signature = (count = 1, *, blocking = true, timeout = Timeout(None), cancel = None),
        text_signature = "($self, count=1, *, blocking=True, timeout=None, cancel=None)"
    )]
    fn acquire(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = choices::number)] count: u32,
        blocking: bool,
        timeout: Timeout,
        cancel: Option<Bound<'_, CancelToken>>,
    ) -> PyResult<Py<SemaphorePermit>> {
        self.kept(py, count, Want::new(blocking, timeout, cancel)?, false)
    }

    /// Takes that many permits if they are free and nobody waits; else it raises `WouldBlock`.
    #[pyo3(signature = (count = 1))]
    fn try_acquire(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = choices::number)] count: u32,
    ) -> PyResult<Py<SemaphorePermit>> {
        self.kept(py, count, Want::at_once(), false)
    }

    /// Takes that many permits, as a task of asyncio.
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
        let pending = self.pending(py, count, timeout)?;
        pending.awaitable(py, "Semaphore.acquire_async")
    }

    /// Releases what one call of `acquire()` took: this thread's last one, or else another one's.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        let path = self.handle.get()?.lock.path();
        let holding = &self.handle.holding;
        holding.release(py, path, this_thread(), Choice::OwnOrAny)
    }

    /// How many permits are free; out of date at once.
    fn available(&self, py: Python<'_>) -> PyResult<u32> {
        let opened = self.handle.get()?;
        let available = if opened.is_quick {
            opened.lock.available_permits()
        } else {
            py.detach(|| opened.lock.available_permits())
        };
        available.map_err(|error| errors::raised(py, error))
    }

    /// How many there are in all.
    #[getter]
    fn permits(&self) -> PyResult<u32> {
        Ok(self.handle.get()?.lock.permits())
    }

    /// The path of the lock file, absolute.
    #[getter]
    fn path(&self) -> PyResult<OsString> {
        Ok(self.handle.get()?.lock.path().as_os_str().to_owned())
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<SemaphorePermit>> {
        self.kept(py, 1, Want::forever(), true)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.leave(py, this_thread())
    }

    fn __aenter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.pending(py, 1, Timeout(None))?.enter(py)
    }

    #[pyo3(signature = (*_exception))]
    fn __aexit__<'py>(
        slf: &Bound<'py, Self>,
        _exception: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        pending::leave(slf.as_any())
    }

    fn _left(&self, py: Python<'_>, who: usize) -> PyResult<()> {
        self.leave(py, who)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let base = slf.py().get_type::<Self>();
        slf.get().handle.reduced(slf.as_any(), &base)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> String {
        let shown = slf.get().handle.shown(slf.as_any());
        match slf.get().permits() {
            Ok(permits) => format!("{}, {permits} permits>", &shown[..shown.len() - 1]),
            Err(_) => shown,
        }
    }
}

guard_methods!(SemaphorePermit, "permit of", {
    /// How many permits it is.
    #[getter]
    fn count(&self) -> u32 {
        self.count
    }
});
