//! The files of `lockfast.fasteners`: opened by each acquire and closed by each release, as fasteners does.
//!
//! Opening and closing a file costs several times as much as locking it. So a file that is acquired again
//! and again within moments stays open in between (`open_file_cache`). It is opened anew now and then, as a
//! symbolic link in its path may lead elsewhere by then.

use std::ffi::OsStr;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lockfast::binding_support;
use pyo3::prelude::*;

use crate::errors;
use crate::file_lock::{FileLock, Guard, Mode};
use crate::held::Held;
use crate::limit::WaitLimit;
use crate::open_file_cache::{OpenFile, OpenFileCache, locked};

/// Opens and locks a file again and again.
#[pyclass(frozen, module = "lockfast._lockfast")]
#[derive(Debug, Default)]
pub(crate) struct Opener {
    cache: Arc<Mutex<OpenFileCache>>,
}

/// An open and locked file.
#[pyclass(frozen, module = "lockfast._lockfast")]
#[derive(Debug)]
pub(crate) struct Hold {
    held: Held<LockedFile>,
    cache: Arc<Mutex<OpenFileCache>>,
}

/// The lock of a file, and the file if it stays open after the release. (Dropped in this order.)
#[derive(Debug)]
struct LockedFile {
    guard: Guard,
    open: Option<OpenFile>,
    is_local: bool,
}

/// Returns a number that differs between a process and its forked children.
#[pyfunction]
pub(crate) fn generation() -> u64 {
    binding_support::generation()
}

#[pymethods]
impl Opener {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Opens and locks the file. Returns None if the lock is held until the timeout has passed, or with
    /// `blocking=False` if it is held at all.
    #[pyo3(signature = (path, mode, blocking = true, timeout = None))]
    fn take(
        &self,
        py: Python<'_>,
        path: &[u8],
        mode: Mode,
        blocking: bool,
        timeout: Option<f64>,
    ) -> PyResult<Option<Hold>> {
        let limit = match timeout {
            _ if !blocking => WaitLimit::none(),
            Some(seconds) if seconds <= 0.0 => WaitLimit::none(),
            // A timeout that is no number never passes, as in fasteners.
            Some(seconds) => WaitLimit::lasting(Duration::try_from_secs_f64(seconds).ok()),
            None => WaitLimit::forever(),
        };
        let locked = self.lock(py, path, mode, &limit)?;
        Ok(locked.map(|locked| Hold {
            held: Held::new(locked),
            cache: Arc::clone(&self.cache),
        }))
    }

    /// Pickles as a new one, which is as good.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyAny>, ()) {
        (slf.get_type().into_any(), ())
    }
}

impl Opener {
    fn lock(
        &self,
        py: Python<'_>,
        path: &[u8],
        mode: Mode,
        limit: &WaitLimit<'_>,
    ) -> PyResult<Option<LockedFile>> {
        let open = locked(&self.cache).take(path);
        if let Some(open) = open {
            let guard = open.lock.acquire(py, path, mode, limit)?;
            let is_local = open.lock.is_local;
            return Ok(guard.map(|guard| LockedFile {
                guard,
                open: Some(open),
                is_local,
            }));
        }
        // A file system may take its time to open a file.
        let opened = py.detach(|| FileLock::open(Path::new(OsStr::from_bytes(path)), mode));
        let lock = opened.map_err(|error| errors::raised(py, error))?;
        let Some(guard) = lock.acquire(py, path, mode, limit)? else {
            return Ok(None);
        };
        let is_local = lock.is_local;
        let open = locked(&self.cache).opened(path, lock);
        Ok(Some(LockedFile {
            guard,
            open,
            is_local,
        }))
    }
}

#[pymethods]
impl Hold {
    /// Unlocks the file, and closes it unless it is acquired again and again.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        let Some(LockedFile {
            guard,
            open,
            is_local,
        }) = self.held.take()
        else {
            return Ok(());
        };
        let released = if is_local {
            guard.release()
        } else {
            py.detach(|| guard.release())
        };
        locked(&self.cache).released(open);
        released.map_err(|error| errors::raised(py, error))
    }

    /// The number of the descriptor; -1 if it was released.
    fn fileno(&self) -> i32 {
        let number = self.held.with(|locked| locked.guard.file().as_raw_fd());
        number.unwrap_or(-1)
    }
}
