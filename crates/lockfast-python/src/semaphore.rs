//! A number of permits.

use pyo3::prelude::*;

use crate::any_guard::KeptFor;
use crate::cancel::CancelToken;
use crate::errors;
use crate::guard_class::guard_class;
use crate::handle::Handle;
use crate::handle_class::handle_methods;
use crate::holding::Choice;
use crate::limit::{Timeout, WaitLimit};
use crate::options::number;
use crate::primitive::Permits;

/// A number of permits, shared by processes, threads and tasks.
///
/// `with semaphore:` and `async with semaphore:` hold one permit for a block; `acquire()` holds what it takes
/// until `release()`.
#[pyclass(frozen, subclass, weakref, module = "lockfast")]
#[derive(Debug, Default)]
pub(crate) struct Semaphore {
    pub(crate) handle: Handle<lockfast_space::Semaphore>,
}

impl Semaphore {
    fn take(
        &self,
        py: Python<'_>,
        limit: WaitLimit<'_>,
        kept_for: KeptFor,
    ) -> PyResult<Py<SemaphorePermit>> {
        self.handle.take(py, Permits(1), limit, kept_for)
    }
}

handle_methods!(
    Semaphore,
    [
        block(SemaphorePermit),
        task_block(Permits(1) => SemaphorePermit),
        open("(path, permits, **options)", permits)
    ],
    {
        /// Takes `count` permits, all or none, and holds them until `release()` is called on the semaphore or on
        /// the returned permit.
        ///
        /// Waits until they are acquired, for at most `timeout` seconds, or until the `CancelToken` `cancel` is
        /// cancelled; with `blocking=False` it does not wait. Raises Timeout, `WouldBlock` or Cancelled.
        #[pyo3(
        signature = (count = 1, *, blocking = true, timeout = Timeout(None), cancel = None),
        text_signature = "($self, count=1, *, blocking=True, timeout=None, cancel=None)"
    )]
        fn acquire(
            &self,
            py: Python<'_>,
            #[pyo3(from_py_with = number)] count: u32,
            blocking: bool,
            timeout: Timeout,
            cancel: Option<Bound<'_, CancelToken>>,
        ) -> PyResult<Py<SemaphorePermit>> {
            let limit = WaitLimit::new(blocking, timeout, cancel)?;
            self.handle
                .take(py, Permits(count), limit, KeptFor::Release)
        }

        /// Takes `count` permits if they are free and nobody waits; else raises `WouldBlock`.
        #[pyo3(signature = (count = 1))]
        fn try_acquire(
            &self,
            py: Python<'_>,
            #[pyo3(from_py_with = number)] count: u32,
        ) -> PyResult<Py<SemaphorePermit>> {
            self.handle
                .take(py, Permits(count), WaitLimit::none(), KeptFor::Release)
        }

        /// Takes `count` permits, as a task of asyncio.
        #[pyo3(
        signature = (count = 1, *, timeout = Timeout(None)),
        text_signature = "($self, count=1, *, timeout=None)"
    )]
        fn acquire_async<'py>(
            &self,
            py: Python<'py>,
            #[pyo3(from_py_with = number)] count: u32,
            timeout: Timeout,
        ) -> PyResult<Bound<'py, PyAny>> {
            let pending = self.handle.pending::<_, SemaphorePermit>(py, Permits(count), timeout)?;
            pending.awaitable(py, "Semaphore.acquire_async")
        }

        /// Releases what one call of `acquire()` took: the last one of this thread, or else of another one.
        fn release(&self, py: Python<'_>) -> PyResult<()> {
            self.handle.release(py, Choice::OwnOrAny)
        }

        /// Returns the number of free permits, which may be out of date at once.
        fn available(&self, py: Python<'_>) -> PyResult<u32> {
            let opened = self.handle.get()?;
            let available = opened.holding.run(py, || opened.lock.available_permits());
            available.map_err(|error| errors::raised(py, error))
        }

        /// The number of permits in all.
        #[getter]
        fn permits(&self) -> PyResult<u32> {
            Ok(self.handle.get()?.lock.permits())
        }
    }
);

guard_class!(
    /// At least one permit, held until it is released.
    SemaphorePermit(lockfast_space::SemaphorePermit), [], {
        /// The number of permits.
        #[getter]
        fn count(&self) -> u32 {
            self.0.count()
        }
    }
);
