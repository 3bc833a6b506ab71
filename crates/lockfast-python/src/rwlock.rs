//! A readers-writer lock.

use std::ffi::OsStr;
use std::path::PathBuf;

use lockfast::ConversionError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::choices::{self, Choices};
use crate::errors;
use crate::held::{Held, guard_methods};
use crate::patience::{Timeout, acquire, told};
use crate::pending::Pending;

/// A readers-writer lock between processes, threads and tasks, named by the path of its file.
#[pyclass(frozen, subclass, weakref, module = "lockfast")]
#[derive(Debug)]
pub(crate) struct RwLock {
    lock: lockfast::RwLock,
    keywords: Option<Py<PyDict>>,
}

macro_rules! guard {
    ($(#[$docs:meta])* $guard:ident) => {
        $(#[$docs])*
        #[pyclass(frozen, weakref, module = "lockfast")]
        #[derive(Debug)]
        pub(crate) struct $guard {
            held: Held<lockfast::$guard>,
            path: PathBuf,
        }

        impl $guard {
            pub(crate) fn new(guard: lockfast::$guard) -> Self {
                Self {
                    path: guard.path().to_path_buf(),
                    held: Held::new(guard),
                }
            }
        }
    };
}

guard!(
    /// Reads, beside other readers.
    RwLockReadGuard
);
guard!(
    /// Reads, beside other readers, and can become the writer.
    RwLockUpgradableReadGuard
);
guard!(
    /// Writes, alone.
    RwLockWriteGuard
);

impl RwLock {
    pub(crate) fn handle(&self) -> &lockfast::RwLock {
        &self.lock
    }
}

/// One way to hold it: at once, waiting, and as a task.
macro_rules! ways {
    ($lock:expr, $py:expr, $timeout:expr, $attempt:ident, $within:ident, $forever:ident, $guard:ident) => {{
        let lock = &$lock;
        let timeout = $timeout;
        let taken = acquire(
            $py,
            || lock.$attempt(),
            || match timeout.0 {
                Some(timeout) => lock.$within(timeout),
                None => lock.$forever(),
            },
        );
        taken.map($guard::new)
    }};
}

macro_rules! pending {
    ($lock:expr, $py:expr, $timeout:expr, $as_task:ident, $guard:ident) => {
        Pending::new($lock.path(), $timeout, $lock.$as_task(), |py, guard| {
            Ok(Py::new(py, $guard::new(guard))?.into_any())
        })
        .awaitable($py)
    };
}

#[pymethods]
impl RwLock {
    #[new]
    #[pyo3(signature = (path, **options))]
    fn new(
        py: Python<'_>,
        path: &Bound<'_, PyAny>,
        options: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let path = choices::path(path)?;
        let chosen = Choices::parse(options.as_ref())?.options(lockfast::RwLock::options());
        let opened = py.detach(|| chosen.open(path));
        Ok(Self {
            lock: opened.map_err(|error| errors::raised(py, error))?,
            keywords: options.map(Bound::unbind),
        })
    }

    /// The lock with that name, shared by the user's processes or by the machine's.
    #[staticmethod]
    #[pyo3(signature = (name, *, scope = "user"))]
    fn named(py: Python<'_>, name: &str, scope: &str) -> PyResult<Self> {
        let options = Choices::default().options(lockfast::RwLock::options());
        let opened = options.scope(choices::scope(scope)?).open_named(name);
        Ok(Self {
            lock: opened.map_err(|error| errors::raised(py, error))?,
            keywords: None,
        })
    }

    /// Reads, beside other readers.
    #[pyo3(signature = (*, timeout = Timeout(None)), text_signature = "($self, *, timeout=None)")]
    fn read(&self, py: Python<'_>, timeout: Timeout) -> PyResult<RwLockReadGuard> {
        ways!(
            self.lock,
            py,
            timeout,
            try_read,
            try_read_for,
            read,
            RwLockReadGuard
        )
    }

    /// Reads if no writer has the lock or waits for it.
    fn try_read(&self, py: Python<'_>) -> PyResult<RwLockReadGuard> {
        let taken = self.lock.try_read().map(RwLockReadGuard::new);
        taken.map_err(|error| errors::raised(py, error))
    }

    /// Reads, as a task of asyncio.
    #[pyo3(signature = (*, timeout = Timeout(None)), text_signature = "($self, *, timeout=None)")]
    fn read_async<'py>(&self, py: Python<'py>, timeout: Timeout) -> PyResult<Bound<'py, PyAny>> {
        pending!(self.lock, py, timeout, read_async, RwLockReadGuard)
    }

    /// Reads, beside other readers, as the one that can become the writer.
    #[pyo3(signature = (*, timeout = Timeout(None)), text_signature = "($self, *, timeout=None)")]
    fn upgradable_read(
        &self,
        py: Python<'_>,
        timeout: Timeout,
    ) -> PyResult<RwLockUpgradableReadGuard> {
        ways!(
            self.lock,
            py,
            timeout,
            try_upgradable_read,
            try_upgradable_read_for,
            upgradable_read,
            RwLockUpgradableReadGuard
        )
    }

    /// The same if it can be had at once.
    fn try_upgradable_read(&self, py: Python<'_>) -> PyResult<RwLockUpgradableReadGuard> {
        let taken = self.lock.try_upgradable_read();
        taken
            .map(RwLockUpgradableReadGuard::new)
            .map_err(|error| errors::raised(py, error))
    }

    /// The same, as a task of asyncio.
    #[pyo3(signature = (*, timeout = Timeout(None)), text_signature = "($self, *, timeout=None)")]
    fn upgradable_read_async<'py>(
        &self,
        py: Python<'py>,
        timeout: Timeout,
    ) -> PyResult<Bound<'py, PyAny>> {
        let lock = &self.lock;
        pending!(
            lock,
            py,
            timeout,
            upgradable_read_async,
            RwLockUpgradableReadGuard
        )
    }

    /// Writes, alone.
    #[pyo3(signature = (*, timeout = Timeout(None)), text_signature = "($self, *, timeout=None)")]
    fn write(&self, py: Python<'_>, timeout: Timeout) -> PyResult<RwLockWriteGuard> {
        ways!(
            self.lock,
            py,
            timeout,
            try_write,
            try_write_for,
            write,
            RwLockWriteGuard
        )
    }

    /// Writes if nobody has the lock.
    fn try_write(&self, py: Python<'_>) -> PyResult<RwLockWriteGuard> {
        let taken = self.lock.try_write().map(RwLockWriteGuard::new);
        taken.map_err(|error| errors::raised(py, error))
    }

    /// Writes, as a task of asyncio.
    #[pyo3(signature = (*, timeout = Timeout(None)), text_signature = "($self, *, timeout=None)")]
    fn write_async<'py>(&self, py: Python<'py>, timeout: Timeout) -> PyResult<Bound<'py, PyAny>> {
        pending!(self.lock, py, timeout, write_async, RwLockWriteGuard)
    }

    /// The path of the lock file, absolute.
    #[getter]
    fn path(&self) -> &OsStr {
        self.lock.path().as_os_str()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let lock = slf.get();
        choices::remade(slf.as_any(), lock.lock.path(), None, lock.keywords.as_ref())
    }

    fn __repr__(&self) -> String {
        format!("<lockfast.RwLock {}>", self.lock.path().display())
    }
}

/// One guard becomes another; if that fails the first one is held on.
fn converted<From, To: Send, Object>(
    py: Python<'_>,
    held: &Held<From>,
    path: &std::path::Path,
    convert: impl FnOnce(From) -> Result<To, ConversionError<From>> + Send,
    into_object: impl FnOnce(To) -> Object,
) -> PyResult<Object>
where
    From: Send,
{
    let guard = held
        .take_own()
        .map_err(|why| errors::not_held(py, path, why))?;
    match py.detach(|| convert(guard)) {
        Ok(guard) => Ok(into_object(guard)),
        Err(failed) => {
            let (error, guard) = failed.into_parts();
            held.put(guard);
            told(py, Err(error))
        }
    }
}

guard_methods!(RwLockReadGuard, {
    /// Another thread holds it from now on.
    fn hand_over(&self) {
        self.held.ask(lockfast::RwLockReadGuard::hand_over);
    }
});

guard_methods!(RwLockUpgradableReadGuard, {
    /// Becomes the writer, when the other readers have left; nobody else writes in between.
    #[pyo3(signature = (*, timeout = Timeout(None)), text_signature = "($self, *, timeout=None)")]
    fn upgrade(&self, py: Python<'_>, timeout: Timeout) -> PyResult<RwLockWriteGuard> {
        let convert = |guard: lockfast::RwLockUpgradableReadGuard| match timeout.0 {
            Some(timeout) => guard.try_upgrade_for(timeout),
            None => guard.upgrade(),
        };
        converted(py, &self.held, &self.path, convert, RwLockWriteGuard::new)
    }

    /// Becomes the writer if there is no other reader.
    fn try_upgrade(&self, py: Python<'_>) -> PyResult<RwLockWriteGuard> {
        let convert = lockfast::RwLockUpgradableReadGuard::try_upgrade;
        converted(py, &self.held, &self.path, convert, RwLockWriteGuard::new)
    }

    /// Reads on, and lets another one be upgradable.
    fn downgrade(&self, py: Python<'_>) -> PyResult<RwLockReadGuard> {
        let convert = lockfast::RwLockUpgradableReadGuard::downgrade;
        converted(py, &self.held, &self.path, convert, RwLockReadGuard::new)
    }

    /// Another thread holds it from now on.
    fn hand_over(&self) {
        self.held
            .ask(lockfast::RwLockUpgradableReadGuard::hand_over);
    }
});

guard_methods!(RwLockWriteGuard, {
    /// Becomes a reader; nobody else writes in between.
    fn downgrade(&self, py: Python<'_>) -> PyResult<RwLockReadGuard> {
        let convert = lockfast::RwLockWriteGuard::downgrade;
        converted(py, &self.held, &self.path, convert, RwLockReadGuard::new)
    }

    /// Becomes an upgradable reader; nobody else writes in between.
    fn downgrade_to_upgradable(&self, py: Python<'_>) -> PyResult<RwLockUpgradableReadGuard> {
        let convert = lockfast::RwLockWriteGuard::downgrade_to_upgradable;
        converted(
            py,
            &self.held,
            &self.path,
            convert,
            RwLockUpgradableReadGuard::new,
        )
    }

    /// Another thread holds it from now on.
    fn hand_over(&self) {
        self.held.ask(lockfast::RwLockWriteGuard::hand_over);
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
