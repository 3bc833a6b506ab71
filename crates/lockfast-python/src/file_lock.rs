//! The locks of the files of `lockfast.fasteners`.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use lockfast::binding_support::AnyHandle;
use lockfast::{LockGuard, Options, Result, RwLockReadGuard, RwLockWriteGuard};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::acquire::{Attempt, Failure, Request, attempt_once, wait};
use crate::errors;
use crate::hooks::Hooks;
use crate::interrupt::on_interrupt;
use crate::limit::WaitLimit;

/// The mode in which a file is locked.
#[pyclass(frozen, eq, from_py_object, module = "lockfast._lockfast")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// By an exclusive lock.
    Exclusive,
    /// By a readers-writer lock, to read.
    Read,
    /// By a readers-writer lock, to write.
    Write,
}

/// The lock of a file, in one of its modes.
#[derive(Debug)]
pub(crate) enum Guard {
    Exclusive(LockGuard),
    Read(RwLockReadGuard),
    Write(RwLockWriteGuard),
}

/// An open file, which is locked again and again.
#[derive(Debug)]
pub(crate) struct FileLock {
    lock: Either,
    /// Whether the kernel of this machine keeps the locks, so that an attempt takes no time.
    pub(crate) is_local: bool,
}

#[derive(Debug)]
enum Either {
    Lock(lockfast::Lock),
    RwLock(lockfast::RwLock),
}

impl Guard {
    pub(crate) fn release(self) -> Result<()> {
        match self {
            Self::Exclusive(guard) => guard.release(),
            Self::Read(guard) => guard.release(),
            Self::Write(guard) => guard.release(),
        }
    }

    pub(crate) fn file(&self) -> &File {
        match self {
            Self::Exclusive(guard) => guard.file(),
            Self::Read(guard) => guard.file(),
            Self::Write(guard) => guard.file(),
        }
    }
}

impl FileLock {
    pub(crate) fn open(path: &Path, mode: Mode) -> Result<Self> {
        let lock = match mode {
            Mode::Exclusive => Either::Lock(options(lockfast::Lock::options()).open(path)?),
            Mode::Read | Mode::Write => {
                Either::RwLock(options(lockfast::RwLock::options()).open(path)?)
            }
        };
        let is_local = match &lock {
            Either::Lock(lock) => lock.answers_at_once(),
            Either::RwLock(lock) => lock.answers_at_once(),
        };
        Ok(Self { lock, is_local })
    }

    /// Returns None if another holder keeps the lock until the wait ends.
    pub(crate) fn acquire(
        &self,
        py: Python<'_>,
        path: &[u8],
        mode: Mode,
        limit: &WaitLimit<'_>,
    ) -> PyResult<Option<Guard>> {
        let attempt = || -> Attempt<Guard> { Ok(self.attempt(mode)?) };
        let error = match attempt_once(py, self.is_local, limit.blocking, &attempt) {
            Ok(guard) => return Ok(Some(guard)),
            Err(Failure::Lock(error)) if error.is_contended() => error,
            Err(failure) => return Err(failure.raised(py)),
        };
        if !limit.blocking {
            return Ok(None);
        }
        if limit.timeout.0.is_none()
            && self.is_this_threads()
            && only_this_thread_releases(py, path)?
        {
            return Err(errors::deadlock(py, error.path(), "thread"));
        }
        let request = Request {
            hooks: &Hooks::default(),
            is_local: self.is_local,
            is_on_server: false,
            is_fifo: false,
            path: Path::new(OsStr::from_bytes(path)),
            exclusive: &[],
            upgraded: None,
        };
        let within = |moment| Ok(self.within(mode, moment)?);
        let start = |_| self.acquire_async(mode);
        match wait(py, &request, limit, error, &attempt, within, start) {
            Err(error) if errors::is_timeout(py, &error)? => Ok(None),
            waited => waited.map(Some),
        }
    }

    fn is_this_threads(&self) -> bool {
        match &self.lock {
            Either::Lock(lock) => lock.is_this_threads(),
            Either::RwLock(lock) => lock.is_this_threads(),
        }
    }

    fn attempt(&self, mode: Mode) -> Result<Guard> {
        match &self.lock {
            Either::Lock(lock) => lock.try_lock().map(Guard::Exclusive),
            Either::RwLock(lock) if mode == Mode::Read => lock.try_read().map(Guard::Read),
            Either::RwLock(lock) => lock.try_write().map(Guard::Write),
        }
    }

    fn within(&self, mode: Mode, moment: Duration) -> Result<Guard> {
        match &self.lock {
            Either::Lock(lock) => lock.try_lock_for(moment).map(Guard::Exclusive),
            Either::RwLock(lock) if mode == Mode::Read => {
                lock.try_read_for(moment).map(Guard::Read)
            }
            Either::RwLock(lock) => lock.try_write_for(moment).map(Guard::Write),
        }
    }

    async fn acquire_async(&self, mode: Mode) -> Attempt<Guard> {
        Ok(match &self.lock {
            Either::Lock(lock) => Guard::Exclusive(lock.lock_async().await?),
            Either::RwLock(lock) if mode == Mode::Read => Guard::Read(lock.read_async().await?),
            Either::RwLock(lock) => Guard::Write(lock.write_async().await?),
        })
    }
}

/// Whether only this thread can release the lock that it took.
fn only_this_thread_releases(py: Python<'_>, path: &[u8]) -> PyResult<bool> {
    let waits = py.import("lockfast._waits")?;
    let path = PyBytes::new(py, path);
    let certain = waits.call_method1("only_this_thread_releases_path", (path,))?;
    certain.extract()
}

/// Opens files as fasteners does: through links, and whoever owns them.
fn options<L>(options: Options<L>) -> Options<L> {
    options
        .follow_symlinks(true)
        .any_owner(true)
        .on_interrupt(on_interrupt)
}
