//! Spaces of names.

use std::sync::Arc;

use lockfast::Result;
use lockfast_space::Entry;
use pyo3::PyClass;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};

use crate::errors;
use crate::handle::Handle;
use crate::lock::Lock;
use crate::options::{OptionKwargs, number};
use crate::primitive::{Origin, Primitive};
use crate::rwlock::RwLock;
use crate::semaphore::Semaphore;
use crate::space_view::Classes;

/// A space of names, each of which is a lock, on the engine of its URL: `file:///dir`, `etcd://host:2379/prefix`
/// or `postgres://host/database`.
///
/// Opening it waits until the server has answered. A program of asyncio opens it before its loop runs, or by
/// `await asyncio.to_thread(lockfast.Space, url)`.
#[pyclass(frozen, weakref, module = "lockfast")]
#[derive(Debug)]
pub(crate) struct Space {
    space: lockfast_space::Space,
    /// As the program gave it, to open it again in another process. It has no password, as no engine takes one
    /// from a URL.
    url: Arc<str>,
}

impl Space {
    fn opened<L: Primitive, C: PyClass + Into<PyClassInitializer<C>>>(
        &self,
        py: Python<'_>,
        name: &str,
        permits: Option<u32>,
        options: Option<Bound<'_, PyDict>>,
        open: impl FnOnce(&lockfast_space::Space) -> Result<L> + Send,
        class: impl FnOnce(Handle<L>) -> C,
    ) -> PyResult<Py<C>> {
        // Before a server notes the name.
        OptionKwargs::parse_of_space(options.as_ref())?;
        let lock = self.ask(py, open)?;
        let origin = Origin::Space {
            url: Arc::clone(&self.url),
            name: name.to_owned(),
        };
        let handle = Handle::in_space(lock, origin, permits, options)?;
        Py::new(py, class(handle))
    }

    /// Asks the server, while other threads run.
    fn ask<T: Send>(
        &self,
        py: Python<'_>,
        ask: impl FnOnce(&lockfast_space::Space) -> Result<T> + Send,
    ) -> PyResult<T> {
        let answer = py.detach(|| ask(&self.space));
        answer.map_err(|error| errors::raised(py, error))
    }
}

#[pymethods]
impl Space {
    #[new]
    fn new(py: Python<'_>, url: &str) -> PyResult<Self> {
        let space = py.detach(|| lockfast_space::Space::open(url));
        let space = space.map_err(|error| errors::raised(py, error))?;
        Ok(Self {
            space,
            url: url.into(),
        })
    }

    /// Opens the space that the environment variable `LOCKFAST_SPACE` names; returns None if it is not set.
    #[classmethod]
    fn from_env(class: &Bound<'_, PyType>) -> PyResult<Option<Py<PyAny>>> {
        let Ok(url) = std::env::var(lockfast_space::SPACE) else {
            return Ok(None);
        };
        if url.is_empty() {
            return Ok(None);
        }
        class.call1((url,)).map(|space| Some(space.unbind()))
    }

    /// The URL, without its options.
    #[getter]
    fn url(&self) -> &str {
        self.space.url()
    }

    /// The features that the locks of this space have of those that not every engine has.
    #[getter]
    fn capabilities<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Classes::new(py)?.capabilities(self.space.capabilities())
    }

    /// Opens the exclusive lock with that name. Nothing is locked yet.
    ///
    /// A name has up to 200 bytes, no `/` and no control characters, and does not begin with a dot. The options
    /// are `on_wait` and `wait_interval`.
    #[pyo3(signature = (name, **options))]
    fn lock(
        &self,
        py: Python<'_>,
        name: &str,
        options: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Py<Lock>> {
        let class = |handle| Lock { handle };
        self.opened(py, name, None, options, |space| space.lock(name), class)
    }

    /// Opens the readers-writer lock with that name. Nothing is locked yet.
    #[pyo3(signature = (name, **options))]
    fn rwlock(
        &self,
        py: Python<'_>,
        name: &str,
        options: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Py<RwLock>> {
        let class = |handle| RwLock { handle };
        self.opened(py, name, None, options, |space| space.rwlock(name), class)
    }

    /// Opens the semaphore with that name and number of permits, which all users of the name must pass.
    #[pyo3(signature = (name, permits, **options))]
    fn semaphore(
        &self,
        py: Python<'_>,
        name: &str,
        #[pyo3(from_py_with = number)] permits: u32,
        options: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Py<Semaphore>> {
        let class = |handle| Semaphore { handle };
        let open = |space: &lockfast_space::Space| space.semaphore(name, permits);
        self.opened(py, name, Some(permits), options, open, class)
    }

    /// Returns the names with that prefix that somebody holds or waits for. It is a snapshot.
    #[pyo3(signature = (prefix = ""))]
    fn list<'py>(&self, py: Python<'py>, prefix: &str) -> PyResult<Bound<'py, PyAny>> {
        let entries = self.ask(py, |space| space.list(prefix))?;
        Classes::new(py)?.entries(&entries)
    }

    /// Returns the holders and waiters of that name; None if there are none.
    fn holders<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let entry: Option<Entry> = self.ask(py, |space| space.holders(name))?;
        let classes = Classes::new(py)?;
        entry.map(|entry| classes.entry(&entry)).transpose()
    }

    /// Takes the lock away from the holder with that token, or a waiter out of the line; returns False if nobody
    /// has that token any more. The holder learns it by `guard.state`, `lost()` and the like.
    ///
    /// Raises Unsupported for a directory: the kernel keeps the lock until its holder ends.
    fn break_token(&self, py: Python<'_>, name: &str, token: u64) -> PyResult<bool> {
        self.ask(py, |space| space.break_token(name, token))
    }

    /// Tries what locks need of the server, and returns what was found.
    fn diagnose<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let checks = py.detach(|| self.space.diagnose());
        Classes::new(py)?.checks(&checks)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let arguments = (slf.get_type(), (&*slf.get().url,));
        Ok(arguments.into_pyobject(slf.py())?.into_any())
    }

    fn __repr__(&self) -> String {
        format!("<lockfast.Space {}>", self.space.url())
    }
}
