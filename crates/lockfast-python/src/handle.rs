//! The common part of the objects of all primitives: a handle that is opened by `__init__`, and what it
//! holds.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use lockfast::binding_support::AnyHandle;
use lockfast::{Lock, Result, RwLock, Semaphore};
use pyo3::PyClass;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};

use crate::choices::{self, Choices};
use crate::errors;
use crate::holding::Holding;
use crate::hooks::Hooks;

/// A handle, once it is open, and what it holds.
#[derive(Debug)]
pub(crate) struct Handle<L> {
    opened: OnceLock<Opened<L>>,
    pub(crate) holding: Arc<Holding>,
}

/// An open handle.
#[derive(Debug)]
pub(crate) struct Opened<L> {
    pub(crate) lock: L,
    origin: Origin,
    permits: Option<u32>,
    keywords: Option<Py<PyDict>>,
    pub(crate) hooks: Hooks,
    /// Whether the kernel of this machine keeps the locks, and so an attempt takes no time.
    pub(crate) is_quick: bool,
    /// Whether there is a strict order, in which whoever gives up loses its place.
    pub(crate) is_fifo: bool,
}

/// How it was opened, so that a copy in another process is opened in the same way.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    Path(PathBuf),
    Name { name: String, scope: String },
    File,
}

/// The primitives, as they are opened.
pub(crate) trait Primitive: AnyHandle + Send + Sync + Sized {
    fn open(origin: &Origin, choices: &Choices, permits: Option<u32>) -> PyResult<Result<Self>>;
    fn path(&self) -> &Path;
}

impl Primitive for Lock {
    fn open(origin: &Origin, choices: &Choices, _permits: Option<u32>) -> PyResult<Result<Self>> {
        let options = choices.options(Self::options());
        Ok(match origin {
            Origin::Path(path) => options.open(path),
            Origin::Name { name, scope } => options.scope(choices::scope(scope)?).open_named(name),
            Origin::File => unreachable!("a file is taken, not opened"),
        })
    }

    fn path(&self) -> &Path {
        self.path()
    }
}

impl Primitive for RwLock {
    fn open(origin: &Origin, choices: &Choices, _permits: Option<u32>) -> PyResult<Result<Self>> {
        let options = choices.options(Self::options());
        Ok(match origin {
            Origin::Path(path) => options.open(path),
            Origin::Name { name, scope } => options.scope(choices::scope(scope)?).open_named(name),
            Origin::File => unreachable!("a file is taken, not opened"),
        })
    }

    fn path(&self) -> &Path {
        self.path()
    }
}

impl Primitive for Semaphore {
    fn open(origin: &Origin, choices: &Choices, permits: Option<u32>) -> PyResult<Result<Self>> {
        let options = choices.options(Self::options());
        Ok(match origin {
            Origin::Path(path) => options.open(path, permits.unwrap_or_default()),
            Origin::Name { name, scope } => options
                .scope(choices::scope(scope)?)
                .open_named(name, permits.unwrap_or_default()),
            Origin::File => unreachable!("a file is taken, not opened"),
        })
    }

    fn path(&self) -> &Path {
        self.path()
    }
}

impl<L: Primitive> Handle<L> {
    /// A place for the handle that `__init__` opens.
    pub(crate) fn new() -> Self {
        Self {
            opened: OnceLock::new(),
            holding: Holding::new(),
        }
    }

    /// The open handle.
    #[inline]
    pub(crate) fn get(&self) -> PyResult<&Opened<L>> {
        self.opened.get().ok_or_else(not_open)
    }

    pub(crate) fn open_path(
        &self,
        path: &Bound<'_, PyAny>,
        permits: Option<u32>,
        options: Option<Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let origin = Origin::Path(choices::path(path)?);
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
        options: Option<Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let choices = Choices::parse(options.as_ref())?;
        let opened = py.detach(|| L::open(&origin, &choices, permits))?;
        let lock = opened.map_err(|error| errors::raised(py, error))?;
        self.opened_as(lock, origin, choices, permits, options)
    }

    pub(crate) fn open_file(
        &self,
        py: Python<'_>,
        options: Option<Bound<'_, PyDict>>,
        take: impl FnOnce(&Choices) -> Result<L> + Send,
    ) -> PyResult<()> {
        let choices = Choices::parse(options.as_ref())?;
        let taken = py.detach(|| take(&choices));
        let lock = taken.map_err(|error| errors::raised(py, error))?;
        self.opened_as(lock, Origin::File, choices, None, options)
    }

    fn opened_as(
        &self,
        lock: L,
        origin: Origin,
        choices: Choices,
        permits: Option<u32>,
        options: Option<Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let opened = Opened {
            is_quick: lock.answers_at_once(),
            is_fifo: choices.fairness == lockfast::Fairness::Fifo,
            lock,
            origin,
            permits,
            keywords: options.map(Bound::unbind),
            hooks: choices.hooks,
        };
        let opened = self.opened.set(opened);
        opened.map_err(|_| PyRuntimeError::new_err("__init__() was called before: it is open"))
    }

    /// The error of a block that is left without having been entered.
    pub(crate) fn no_block(&self, py: Python<'_>) -> PyResult<PyErr> {
        let why = "no `with` block of it is running";
        Ok(errors::not_held(py, self.get()?.lock.path(), why))
    }

    /// Its text for those who debug.
    pub(crate) fn shown(&self, object: &Bound<'_, PyAny>) -> String {
        let name = class_name(object);
        match self.opened.get() {
            Some(opened) => format!("<{name} {}>", opened.lock.path().display()),
            None => format!("<{name}, not open>"),
        }
    }

    /// How it is made again, in another process.
    pub(crate) fn reduced<'py>(
        &self,
        object: &Bound<'py, PyAny>,
        base: &Bound<'py, PyType>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = object.py();
        let opened = self.get()?;
        let origin = match &opened.origin {
            Origin::Path(_) => opened.lock.path().as_os_str().into_pyobject(py)?.into_any(),
            Origin::Name { name, scope } => (name, scope).into_pyobject(py)?.into_any(),
            Origin::File => {
                return Err(PyTypeError::new_err(format!(
                    "a lock of a file that the program opened can't be copied into another \
                     process: {}",
                    opened.lock.path().display()
                )));
            }
        };
        let keywords = opened.keywords.as_ref().map(|keywords| keywords.bind(py));
        let state = object.getattr_opt("__dict__")?;
        let rebuild = errors::known(py, "rebuild")?;
        let arguments = (object.get_type(), base, origin, opened.permits, keywords);
        Ok((rebuild, arguments, state).into_pyobject(py)?.into_any())
    }
}

impl<L> Drop for Handle<L> {
    fn drop(&mut self) {
        self.holding.clear();
    }
}

/// An object of that class which is not open yet.
pub(crate) fn made<'py, T: PyClass>(class: &Bound<'py, PyType>) -> PyResult<Bound<'py, T>> {
    let made = class.getattr("__new__")?.call1((class,))?;
    Ok(made.cast_into::<T>()?)
}

/// The name of the object's class, which may be a program's own.
fn class_name(object: &Bound<'_, PyAny>) -> String {
    let class = object.get_type();
    let name = class.qualname().map(|name| name.to_string());
    let name = name.unwrap_or_else(|_| "?".to_owned());
    match class.module() {
        Ok(module) if module != "builtins" && module != "__main__" => format!("{module}.{name}"),
        _ => name,
    }
}

#[cold]
fn not_open() -> PyErr {
    PyRuntimeError::new_err("the lock is not open: call super().__init__(path) first")
}
