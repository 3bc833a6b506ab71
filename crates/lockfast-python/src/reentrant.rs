//! A lock that a thread may take again.
//!
//! Rust's guards of such a lock stay in their thread, which the compiler sees to. Python's objects go
//! anywhere, and are dropped anywhere; so here the count is kept beside a plain lock.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lockfast::{LockGuard, Result};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::choices;
use crate::errors;
use crate::held::{Blocks, Held, forks, guard_methods, this_thread};
use crate::lock;
use crate::patience::{Timeout, acquire};

/// An exclusive lock that the thread which holds it may take again.
#[pyclass(frozen, subclass, weakref, module = "lockfast")]
#[derive(Debug)]
pub(crate) struct ReentrantLock {
    shared: Arc<Shared>,
    keywords: Option<Py<PyDict>>,
    blocks: Blocks<ReentrantLockGuard>,
}

/// One of the times that the lock is held; the last one that goes releases it.
#[pyclass(frozen, weakref, module = "lockfast")]
#[derive(Debug)]
pub(crate) struct ReentrantLockGuard {
    held: Held<Time>,
    path: PathBuf,
}

#[derive(Debug)]
struct Shared {
    lock: lockfast::Lock,
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
struct Time {
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

impl ReentrantLockGuard {
    fn new(time: Time) -> Self {
        Self {
            path: time.shared.lock.path().to_path_buf(),
            held: Held::new(time),
        }
    }
}

impl ReentrantLock {
    fn take(&self, py: Python<'_>, timeout: Timeout) -> PyResult<ReentrantLockGuard> {
        if let Some(time) = self.shared.again() {
            return Ok(ReentrantLockGuard::new(time));
        }
        let lock = &self.shared.lock;
        let guard = acquire(
            py,
            || lock.try_lock(),
            || match timeout.0 {
                Some(timeout) => lock.try_lock_for(timeout),
                None => lock.lock(),
            },
        )?;
        Ok(ReentrantLockGuard::new(self.shared.first(guard)))
    }

    fn opened(lock: lockfast::Lock, keywords: Option<Py<PyDict>>) -> Self {
        let shared = Shared {
            lock,
            owner: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
            keywords,
            blocks: Blocks::default(),
        }
    }
}

#[pymethods]
impl ReentrantLock {
    #[new]
    #[pyo3(signature = (path, **options))]
    fn new(
        py: Python<'_>,
        path: &Bound<'_, PyAny>,
        options: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let lock = lock::open(py, path, options.as_ref())?;
        Ok(Self::opened(lock, options.map(Bound::unbind)))
    }

    /// The lock with that name, shared by the user's processes or by the machine's.
    #[staticmethod]
    #[pyo3(signature = (name, *, scope = "user"))]
    fn named(py: Python<'_>, name: &str, scope: &str) -> PyResult<Self> {
        Ok(Self::opened(lock::open_named(py, name, scope)?, None))
    }

    /// Takes the lock, at once if this thread holds it, or waiting as long as it takes, or at most
    /// that long.
    #[pyo3(signature = (*, timeout = Timeout(None)), text_signature = "($self, *, timeout=None)")]
    fn acquire(&self, py: Python<'_>, timeout: Timeout) -> PyResult<ReentrantLockGuard> {
        self.take(py, timeout)
    }

    /// Takes the lock if it is free, or this thread's.
    fn try_acquire(&self, py: Python<'_>) -> PyResult<ReentrantLockGuard> {
        if let Some(time) = self.shared.again() {
            return Ok(ReentrantLockGuard::new(time));
        }
        let taken = self.shared.lock.try_lock();
        let guard = taken.map_err(|error| errors::raised(py, error))?;
        Ok(ReentrantLockGuard::new(self.shared.first(guard)))
    }

    /// The path of the lock file, absolute.
    #[getter]
    fn path(&self) -> &OsStr {
        self.shared.lock.path().as_os_str()
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<ReentrantLockGuard>> {
        let guard = Py::new(py, self.take(py, Timeout(None))?)?;
        self.blocks.enter(this_thread(), guard.clone_ref(py));
        Ok(guard)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        let Some(guard) = self.blocks.leave(this_thread()) else {
            let why = "no `with` block of it is running";
            return Err(errors::not_held(py, self.shared.lock.path(), why));
        };
        match guard.get().held.take() {
            Some(time) => time.release().map_err(|error| errors::raised(py, error)),
            None => Ok(()),
        }
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let lock = slf.get();
        let path = lock.shared.lock.path();
        choices::remade(slf.as_any(), path, None, lock.keywords.as_ref())
    }

    fn __repr__(&self) -> String {
        format!(
            "<lockfast.ReentrantLock {}>",
            self.shared.lock.path().display()
        )
    }
}

guard_methods!(ReentrantLockGuard, {});
