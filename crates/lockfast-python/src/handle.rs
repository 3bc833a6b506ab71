//! The part that the objects of all primitives share: a handle that `__init__` opens, and the guards that
//! it keeps.

mod reduced;

use std::ffi::OsStr;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use lockfast::Result;
use pyo3::PyClass;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};

use crate::acquire::{Attempt, Request, acquire};
use crate::any_guard::KeptFor;
use crate::caller::{Caller, CallerId};
use crate::errors;
use crate::guard_class::{GuardClass, keep};
use crate::holding::{Choice, Holding, Taken};
use crate::hooks::Hooks;
use crate::limit::{Timeout, WaitLimit};
use crate::options::{self, OptionKwargs};
use crate::pending::{Pending, TaskRequest};
use crate::primitive::{Origin, Primitive, Way};

/// A handle, once `__init__` has opened it.
#[derive(Debug)]
pub(crate) struct Handle<L: Send>(OnceLock<Opened<L>>);

/// An open handle.
#[derive(Debug)]
pub(crate) struct Opened<L> {
    pub(crate) lock: L,
    pub(crate) holding: Arc<Holding>,
    origin: Origin,
    permits: Option<u32>,
    keywords: Option<Py<PyDict>>,
    hooks: Hooks,
    /// Whether a waiter that gives up loses its place in the FIFO order.
    pub(crate) is_fifo: bool,
}

impl<L: Send> Default for Handle<L> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<L: Primitive> Handle<L> {
    /// The open handle.
    #[inline]
    pub(crate) fn get(&self) -> PyResult<&Opened<L>> {
        self.0.get().ok_or_else(not_open)
    }

    pub(crate) fn path(&self) -> PyResult<&OsStr> {
        Ok(self.get()?.holding.path().as_os_str())
    }

    pub(crate) fn name(&self) -> PyResult<Option<&str>> {
        Ok(match &self.get()?.origin {
            Origin::Name { name, .. } | Origin::Space { name, .. } => Some(name),
            Origin::Path(_) | Origin::File => None,
        })
    }

    /// Takes the library's lock. The caller keeps the guard.
    #[inline]
    pub(crate) fn acquire<W: Way<Primitive = L>>(
        &self,
        py: Python<'_>,
        way: W,
        limit: WaitLimit<'_>,
    ) -> PyResult<W::Guard> {
        let opened = self.get()?;
        let lock = &opened.lock;
        let holding = &*opened.holding;
        let exclusive = [holding];
        let request = Request {
            hooks: &opened.hooks,
            is_local: holding.is_local(),
            is_on_server: holding.is_on_server(),
            is_fifo: opened.is_fifo,
            path: holding.path(),
            exclusive: if W::EXCLUDES_ITSELF { &exclusive } else { &[] },
            upgraded: None,
        };
        acquire(
            py,
            &request,
            limit,
            || Ok(way.attempt(lock)?),
            |moment| Ok(way.within(lock, moment)?),
            |limit| {
                let future = way.as_task(lock.clone(), limit);
                async { Ok(future.await?) }
            },
        )
    }

    /// Takes the lock, and keeps the object of the guard.
    #[inline]
    pub(crate) fn take<W: Way<Primitive = L>, C: GuardClass<Guard = W::Guard>>(
        &self,
        py: Python<'_>,
        way: W,
        limit: WaitLimit<'_>,
        kept_for: KeptFor,
    ) -> PyResult<Py<C>> {
        let guard = self.acquire(py, way, limit)?;
        let holding = &self.get()?.holding;
        let taken = Taken::new(Caller::this_thread(), kept_for);
        keep(py, holding, guard, taken)
    }

    /// Takes the lock as a task.
    pub(crate) fn pending<W: Way<Primitive = L>, C: GuardClass<Guard = W::Guard>>(
        &self,
        py: Python<'_>,
        way: W,
        timeout: Timeout,
    ) -> PyResult<Pending> {
        let opened = self.get()?;
        let holding = &opened.holding;
        let exclusive = W::EXCLUDES_ITSELF.then(|| Arc::clone(holding));
        let request = TaskRequest {
            timeout,
            is_local: holding.is_local(),
            is_on_server: holding.is_on_server(),
            hooks: opened.hooks.clone_ref(py),
            path: holding.path().to_path_buf(),
            exclusive: exclusive.into_iter().collect(),
            upgraded: None,
        };
        let (lock, later) = (opened.lock.clone(), opened.lock.clone());
        let holding = Arc::clone(&opened.holding);
        Ok(Pending::new(
            request,
            move || -> Attempt<_> { Ok(way.attempt(&lock)?) },
            move |limit| {
                let future = way.as_task(later.clone(), limit);
                async { Ok(future.await?) }
            },
            move |py, guard, caller, kept_for| {
                let object = keep::<C>(py, &holding, guard, Taken::new(caller, kept_for))?;
                Ok(object.into_any())
            },
        ))
    }

    pub(crate) fn release(&self, py: Python<'_>, choice: Choice) -> PyResult<()> {
        let holding = &self.get()?.holding;
        holding.release(py, CallerId::this_thread(), choice)
    }

    /// Ends the caller's `with` block.
    pub(crate) fn leave_block(&self, py: Python<'_>, caller: CallerId) -> PyResult<()> {
        let opened = self.get()?;
        if opened.holding.leave_block(py, caller)? {
            return Ok(());
        }
        let why = "no `with` block of it is running";
        Err(errors::not_held(py, opened.holding.path(), why))
    }

    pub(crate) fn open_path(
        &self,
        path: &Bound<'_, PyAny>,
        permits: Option<u32>,
        options: Option<Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let origin = Origin::Path(options::path(path)?);
        self.open(path.py(), origin, permits, options)
    }

    pub(crate) fn open_name(
        &self,
        py: Python<'_>,
        (name, scope): (&str, &str),
        permits: Option<u32>,
        options: Option<Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let origin = Origin::Name {
            name: name.to_owned(),
            scope: scope.to_owned(),
        };
        self.open(py, origin, permits, options)
    }

    fn open(
        &self,
        py: Python<'_>,
        origin: Origin,
        permits: Option<u32>,
        keywords: Option<Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let options = OptionKwargs::parse(keywords.as_ref())?;
        let opened = py.detach(|| L::open(&origin, &options, permits))?;
        let lock = opened.map_err(|error| errors::raised(py, error))?;
        self.opened_as(lock, origin, options, permits, keywords)
    }

    pub(crate) fn open_file(
        &self,
        py: Python<'_>,
        keywords: Option<Bound<'_, PyDict>>,
        take: impl FnOnce(&OptionKwargs) -> Result<L::OfFile> + Send,
    ) -> PyResult<()> {
        let options = OptionKwargs::parse(keywords.as_ref())?;
        let taken = py.detach(|| take(&options).map(L::of_file));
        let lock = taken.map_err(|error| errors::raised(py, error))?;
        self.opened_as(lock, Origin::File, options, None, keywords)
    }

    /// Opens a handle for a lock of a space.
    pub(crate) fn in_space(
        lock: L,
        origin: Origin,
        permits: Option<u32>,
        keywords: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let options = OptionKwargs::parse_of_space(keywords.as_ref())?;
        let handle = Self::default();
        handle.opened_as(lock, origin, options, permits, keywords)?;
        Ok(handle)
    }

    fn opened_as(
        &self,
        lock: L,
        origin: Origin,
        options: OptionKwargs,
        permits: Option<u32>,
        keywords: Option<Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let resource = lock.resource();
        let path = resource.path().map(Path::to_path_buf);
        let path = path.unwrap_or_else(|| resource.to_string().into());
        let (url, is_in_space) = match &origin {
            Origin::Space { url, .. } => (Arc::clone(url), true),
            _ => (Arc::default(), false),
        };
        let opened = Opened {
            holding: Holding::new(path, lock.keeper(&url)),
            // The library runs no handlers of signals in the waits of a space. So a helper waits there at once,
            // as in a line that must not be left.
            is_fifo: options.fairness == lockfast::Fairness::Fifo || is_in_space,
            lock,
            origin,
            permits,
            keywords: keywords.map(Bound::unbind),
            hooks: options.hooks,
        };
        let opened = self.0.set(opened);
        opened
            .map_err(|_| PyRuntimeError::new_err("the lock is open: __init__() was called before"))
    }

    /// The text for `repr()`.
    pub(crate) fn shown(&self, object: &Bound<'_, PyAny>) -> String {
        let name = errors::qualified_class_name(object);
        let Some(opened) = self.0.get() else {
            return format!("<{name}, not open>");
        };
        let path = opened.holding.path().display();
        match opened.permits {
            Some(permits) => format!("<{name} {path}, {permits} permits>"),
            None => format!("<{name} {path}>"),
        }
    }
}

impl<L: Send> Drop for Handle<L> {
    fn drop(&mut self) {
        let Some(opened) = self.0.take() else {
            return;
        };
        opened.holding.clear();
        if opened.holding.is_on_server() {
            // The last handle of a connection tells the server.
            let Opened { lock, .. } = opened;
            Python::try_attach(|py| py.detach(|| drop(lock)));
        }
    }
}

/// Makes an object of that class, which is not open yet.
pub(crate) fn new_object<'py, T: PyClass>(class: &Bound<'py, PyType>) -> PyResult<Bound<'py, T>> {
    let object = class.getattr("__new__")?.call1((class,))?;
    Ok(object.cast_into::<T>()?)
}

#[cold]
fn not_open() -> PyErr {
    PyRuntimeError::new_err("the lock is not open: call super().__init__(path) first")
}
