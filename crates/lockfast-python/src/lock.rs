//! An exclusive lock.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::PathBuf;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use crate::cancel::CancelToken;
use crate::errors;
use crate::handle::{self, Handle};
use crate::held::{Held, NOBODYS, Origin, RELEASED, guard_methods};
use crate::holding::{AnyGuard, Choice, GuardClass, Who, this_thread};
use crate::patience::{Ask, Taken, Timeout, Want, acquire};
use crate::pending::{self, Pending, TaskAsk};

/// An exclusive lock between processes, threads and tasks, at the path of its file.
///
/// Opening it locks nothing. `with lock:` and `async with lock:` hold it for a block; `acquire()` holds it
/// until `release()`. A handle may be used by several threads and tasks, which wait for each other.
#[pyclass(frozen, subclass, weakref, module = "lockfast")]
#[derive(Debug)]
pub(crate) struct Lock {
    handle: Handle<lockfast::Lock>,
}

/// A lock that is held, until it is released.
#[pyclass(frozen, weakref, module = "lockfast")]
#[derive(Debug)]
pub(crate) struct LockGuard {
    pub(crate) held: Held<lockfast::LockGuard>,
    path: PathBuf,
}

/// Implements the class of a guard.
macro_rules! guard_class {
    ($guard:ident, $any:ident) => {
        impl GuardClass for $guard {
            type Guard = lockfast::$guard;

            fn of(guard: Self::Guard, origin: Origin) -> PyClassInitializer<Self> {
                PyClassInitializer::from(Self {
                    path: guard.path().to_path_buf(),
                    held: Held::new(guard, origin),
                })
            }

            fn any(object: Py<Self>) -> AnyGuard {
                AnyGuard::$any(object)
            }

            fn at(&self) -> usize {
                self.address()
            }
        }
    };
}
pub(crate) use guard_class;

guard_class!(LockGuard, Lock);

/// Waits for a plain lock, which a reentrant one is made of too.
#[inline]
pub(crate) fn take(
    py: Python<'_>,
    handle: &Handle<lockfast::Lock>,
    want: Want<'_>,
) -> PyResult<lockfast::LockGuard> {
    let opened = handle.get()?;
    let lock = &opened.lock;
    let ask = Ask {
        hooks: &opened.hooks,
        is_quick: opened.is_quick,
        is_fifo: opened.is_fifo,
        alone: &[lock.path()],
        except: 0,
    };
    acquire(
        py,
        &ask,
        want,
        || Ok(lock.try_lock()?),
        |moment: Duration| Ok(lock.try_lock_for(moment)?),
        || {
            let future = lock.lock_async();
            async { Ok(future.await?) }
        },
    )
}

/// A file of the program: its descriptor is copied, so that either may be closed.
pub(crate) fn file_of(file: &Bound<'_, PyAny>) -> PyResult<File> {
    let number: i32 = match file.extract() {
        Ok(number) => number,
        Err(_) => file.call_method0("fileno")?.extract()?,
    };
    if number < 0 {
        return Err(std::io::Error::from_raw_os_error(libc::EBADF).into());
    }
    // SAFETY: it is borrowed for one call, which fails if it is no open descriptor.
    #[allow(unsafe_code, reason = "a number is all that Python has of a file")]
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    Ok(File::from(borrowed.try_clone_to_owned()?))
}

impl Lock {
    pub(crate) fn handle(&self) -> &Handle<lockfast::Lock> {
        &self.handle
    }

    fn kept(&self, py: Python<'_>, want: Want<'_>, is_block: bool) -> PyResult<Py<LockGuard>> {
        let guard = take(py, &self.handle, want)?;
        let is_quick = self.handle.get()?.is_quick;
        let who = Who::this_thread();
        self.handle.holding.keep(py, guard, is_quick, who, is_block)
    }

    fn leave(&self, py: Python<'_>, who: usize) -> PyResult<()> {
        match self.handle.holding.leave_block(py, who) {
            Some(guard) => guard.let_go(py),
            None => Err(self.handle.no_block(py)?),
        }
    }

    fn pending(&self, py: Python<'_>, timeout: Timeout) -> PyResult<Pending> {
        let opened = self.handle.get()?;
        let ask = TaskAsk {
            timeout,
            is_quick: opened.is_quick,
            hooks: opened.hooks.clone_ref(py),
            alone: pending::alone(opened.lock.path()),
            except: 0,
        };
        let (lock, later) = (opened.lock.clone(), opened.lock.clone());
        let (holding, is_quick) = (self.handle.holding.clone(), opened.is_quick);
        Ok(Pending::new(
            ask,
            move || -> Taken<_> { Ok(lock.try_lock()?) },
            move || async move { Ok(later.lock_async().await?) },
            move |py, guard, who, is_block| {
                let object = holding.keep::<LockGuard>(py, guard, is_quick, who, is_block)?;
                Ok(object.into_any())
            },
        ))
    }
}

#[pymethods]
impl Lock {
    #[new]
    #[pyo3(signature = (*_path, **_options), text_signature = "(path, **options)")]
    fn new(_path: &Bound<'_, PyTuple>, _options: Option<Bound<'_, PyDict>>) -> Self {
        Self {
            handle: Handle::new(),
        }
    }

    #[pyo3(signature = (path, **options))]
    fn __init__(
        &self,
        path: &Bound<'_, PyAny>,
        options: Option<Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        self.handle.open_path(path, None, options)
    }

    /// Opens the lock with that name, shared by the user's processes or by the machine's.
    #[classmethod]
    #[pyo3(signature = (name, *, scope = "user", **options))]
    fn named<'py>(
        class: &Bound<'py, PyType>,
        name: &str,
        scope: &str,
        options: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Self>> {
        let made = handle::made::<Self>(class)?;
        let handle = &made.get().handle;
        handle.open_name(class.py(), (name, scope), None, options)?;
        Ok(made)
    }

    /// Opens a lock on a file that the program has open for writing; both may be closed.
    #[classmethod]
    #[pyo3(signature = (file, **options))]
    fn from_file<'py>(
        class: &Bound<'py, PyType>,
        file: &Bound<'py, PyAny>,
        options: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Self>> {
        let made = handle::made::<Self>(class)?;
        let file = file_of(file)?;
        made.get()
            .handle
            .open_file(class.py(), options, |choices| {
                choices.options(lockfast::Lock::options()).from_file(file)
            })?;
        Ok(made)
    }

    /// Takes the lock and holds it until `release()`, of the lock or of the guard that this returns.
    ///
    /// Waits as long as it takes, or at most `timeout` seconds, or not at all with `blocking=False`, or
    /// until the `CancelToken` `cancel` is cancelled. There is no False to be overlooked: it raises Timeout,
    /// `WouldBlock` or Cancelled.
    #[pyo3(
        signature = (*, blocking = true, timeout = Timeout(None), cancel = None),
        text_signature = "($self, *, blocking=True, timeout=None, cancel=None)"
    )]
    fn acquire(
        &self,
        py: Python<'_>,
        blocking: bool,
        timeout: Timeout,
        cancel: Option<Bound<'_, CancelToken>>,
    ) -> PyResult<Py<LockGuard>> {
        self.kept(py, Want::new(blocking, timeout, cancel)?, false)
    }

    /// Takes the lock if it is free, and holds it until `release()`; else it raises `WouldBlock`.
    fn try_acquire(&self, py: Python<'_>) -> PyResult<Py<LockGuard>> {
        self.kept(py, Want::at_once(), false)
    }

    /// Takes the lock as a task of asyncio, and holds it until `release()`. To be awaited, entered by
    /// `async with`, or given to `asyncio.create_task`.
    #[pyo3(signature = (*, timeout = Timeout(None)), text_signature = "($self, *, timeout=None)")]
    fn acquire_async<'py>(&self, py: Python<'py>, timeout: Timeout) -> PyResult<Bound<'py, PyAny>> {
        self.pending(py, timeout)?
            .awaitable(py, "Lock.acquire_async")
    }

    /// Releases the lock, whichever thread or task of this process took it by this handle.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        let path = self.handle.get()?.lock.path();
        let holding = &self.handle.holding;
        holding.release(py, path, this_thread(), Choice::OwnOrAny)
    }

    /// The path of the lock file, absolute.
    #[getter]
    fn path(&self) -> PyResult<OsString> {
        Ok(self.handle.get()?.lock.path().as_os_str().to_owned())
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<LockGuard>> {
        self.kept(py, Want::forever(), true)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.leave(py, this_thread())
    }

    fn __aenter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.pending(py, Timeout(None))?.enter(py)
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
        slf.get().handle.shown(slf.as_any())
    }
}

guard_methods!(LockGuard, "guard of lock", {
    /// The number of the descriptor of the locked file.
    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        self.held
            .ask(|guard| guard.file().as_raw_fd())
            .ok_or_else(|| errors::not_held(py, &self.path, RELEASED))
    }

    /// Whether the locked file is still the one at the path.
    fn is_current(&self, py: Python<'_>) -> PyResult<bool> {
        match self.held.ask_slowly(py, |guard| guard.is_current()) {
            Some(answer) => answer.map_err(|error| errors::raised(py, error)),
            None => Ok(false),
        }
    }

    /// Says that another thread or task has the guard from now on.
    fn hand_over(&self) {
        self.held.enter_block(NOBODYS);
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
