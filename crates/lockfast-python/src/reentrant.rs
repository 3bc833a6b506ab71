//! A lock that a thread may take again.
//!
//! Rust's guards of such a lock stay in their thread, which the compiler sees to. Python's objects go
//! anywhere, and are dropped anywhere; so here the count is kept beside a plain lock.

use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lockfast::{LockGuard, Result};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use crate::cancel::CancelToken;
use crate::errors;
use crate::handle::{self, Handle};
use crate::held::{Held, Origin, RELEASED, forks, guard_methods};
use crate::holding::{AnyGuard, Choice, GuardClass, Who, this_thread};
use crate::lock;
use crate::patience::{Timeout, Want};

/// An exclusive lock that the thread which holds it may take again.
///
/// `with lock:` holds it for a block; `acquire()` holds it until `release()`, as often as it was called.
#[pyclass(frozen, subclass, weakref, module = "lockfast")]
#[derive(Debug)]
pub(crate) struct ReentrantLock {
    handle: Handle<lockfast::Lock>,
    shared: Arc<Shared>,
}

/// One of the times that the lock is held; the last one that goes releases it.
#[pyclass(frozen, weakref, module = "lockfast")]
#[derive(Debug)]
pub(crate) struct ReentrantLockGuard {
    pub(crate) held: Held<Time>,
    path: PathBuf,
}

#[derive(Debug, Default)]
struct Shared {
    owner: Mutex<Option<Owner>>,
}

#[derive(Debug)]
struct Owner {
    thread: usize,
    forks: u32,
    count: usize,
    guard: LockGuard,
}

/// One of the times.
#[derive(Debug)]
pub(crate) struct Time {
    shared: Arc<Shared>,
    forks: u32,
    is_over: bool,
}

impl Shared {
    fn owner(&self) -> MutexGuard<'_, Option<Owner>> {
        self.owner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Once more, if this thread has it.
    fn again(self: &Arc<Self>) -> Option<Time> {
        let mut owner = self.owner();
        let owner = owner.as_mut()?;
        // A forked child has a copy of what its parent holds.
        let forks = forks();
        if owner.thread != this_thread() || owner.forks != forks {
            return None;
        }
        owner.count += 1;
        Some(self.time(forks))
    }

    fn first(self: &Arc<Self>, guard: LockGuard) -> Time {
        let forks = forks();
        let before = self.owner().replace(Owner {
            thread: this_thread(),
            forks,
            count: 1,
            guard,
        });
        drop(before);
        self.time(forks)
    }

    fn time(self: &Arc<Self>, forks: u32) -> Time {
        Time {
            shared: Arc::clone(self),
            forks,
            is_over: false,
        }
    }
}

impl Time {
    fn release(mut self) -> Result<()> {
        self.end().map_or(Ok(()), LockGuard::release)
    }

    /// One time less; the lock's own guard, if that was the last one.
    fn end(&mut self) -> Option<LockGuard> {
        if std::mem::replace(&mut self.is_over, true) || self.forks != forks() {
            return None;
        }
        let mut owner = self.shared.owner();
        let times = owner.as_mut()?;
        times.count -= 1;
        if times.count > 0 {
            return None;
        }
        owner.take().map(|owner| owner.guard)
    }
}

impl Drop for Time {
    fn drop(&mut self) {
        drop(self.end());
    }
}

impl Time {
    /// Asks the lock's own guard.
    fn ask<R>(&self, question: impl FnOnce(&LockGuard) -> R) -> Option<R> {
        let owner = self.shared.owner();
        owner.as_ref().map(|owner| question(&owner.guard))
    }

    fn path(&self) -> PathBuf {
        let path = self.ask(|guard| guard.path().to_path_buf());
        path.unwrap_or_default()
    }
}

impl GuardClass for ReentrantLockGuard {
    type Guard = Time;

    fn of(time: Time, origin: Origin) -> PyClassInitializer<Self> {
        PyClassInitializer::from(Self {
            path: time.path(),
            held: Held::new(time, origin),
        })
    }

    fn any(object: Py<Self>) -> AnyGuard {
        AnyGuard::Reentrant(object)
    }

    fn at(&self) -> usize {
        self.address()
    }
}

impl ReentrantLockGuard {
    /// Of the locked file.
    pub(crate) fn metadata(&self) -> Option<io::Result<Metadata>> {
        self.held
            .ask(|time| time.ask(|guard| guard.file().metadata()))
            .flatten()
    }
}

impl ReentrantLock {
    fn kept(
        &self,
        py: Python<'_>,
        want: Want<'_>,
        is_block: bool,
    ) -> PyResult<Py<ReentrantLockGuard>> {
        let time = match self.shared.again() {
            Some(time) => time,
            None => self.shared.first(lock::take(py, &self.handle, want)?),
        };
        let is_quick = self.handle.get()?.is_quick;
        let who = Who::this_thread();
        self.handle.holding.keep(py, time, is_quick, who, is_block)
    }

    fn path_of_file(&self) -> PyResult<&Path> {
        Ok(self.handle.get()?.lock.path())
    }
}

#[pymethods]
impl ReentrantLock {
    #[new]
    #[pyo3(signature = (*_path, **_options), text_signature = "(path, **options)")]
    fn new(_path: &Bound<'_, PyTuple>, _options: Option<Bound<'_, PyDict>>) -> Self {
        Self {
            handle: Handle::new(),
            shared: Arc::default(),
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

    /// Takes the lock, at once if this thread holds it, and holds it until `release()`.
    ///
    /// Waits as long as it takes, or at most `timeout` seconds, or not at all with `blocking=False`, or
    /// until the `CancelToken` `cancel` is cancelled; raises Timeout, `WouldBlock` or Cancelled.
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
    ) -> PyResult<Py<ReentrantLockGuard>> {
        self.kept(py, Want::new(blocking, timeout, cancel)?, false)
    }

    /// Takes the lock if it is free, or this thread's; else it raises `WouldBlock`.
    fn try_acquire(&self, py: Python<'_>) -> PyResult<Py<ReentrantLockGuard>> {
        self.kept(py, Want::at_once(), false)
    }

    /// Releases it once, for the thread that holds it.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        let holding = &self.handle.holding;
        holding.release(py, self.path_of_file()?, this_thread(), Choice::Own)
    }

    /// The path of the lock file, absolute.
    #[getter]
    fn path(&self) -> PyResult<OsString> {
        Ok(self.path_of_file()?.as_os_str().to_owned())
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<ReentrantLockGuard>> {
        self.kept(py, Want::forever(), true)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        match self.handle.holding.leave_block(py, this_thread()) {
            Some(guard) => guard.let_go(py),
            None => Err(self.handle.no_block(py)?),
        }
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let base = slf.py().get_type::<Self>();
        slf.get().handle.reduced(slf.as_any(), &base)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> String {
        slf.get().handle.shown(slf.as_any())
    }
}

guard_methods!(ReentrantLockGuard, "guard of lock", {
    /// The number of the descriptor of the locked file.
    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        self.held
            .ask(|time| time.ask(|guard| guard.file().as_raw_fd()))
            .flatten()
            .ok_or_else(|| errors::not_held(py, &self.path, RELEASED))
    }

    /// Whether the locked file is still the one at the path.
    fn is_current(&self, py: Python<'_>) -> PyResult<bool> {
        let asked = self
            .held
            .ask_slowly(py, |time| time.ask(LockGuard::is_current));
        match asked.flatten() {
            Some(answer) => answer.map_err(|error| errors::raised(py, error)),
            None => Ok(false),
        }
    }
});
