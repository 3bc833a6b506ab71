//! What the locks of `lockfast.fasteners` are made of: opened at each acquire, closed at each release,
//! as fasteners does it.
//!
//! Opening and closing a file costs several times what locking it does. So one that is acquired again and
//! again within moments stays open in between, and few of them in a process. It is opened anew every now
//! and then, as a symbolic link on the way may lead elsewhere meanwhile.

use std::ffi::OsStr;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lockfast::{LockGuard, Options, Result, RwLockReadGuard, RwLockWriteGuard};
use pyo3::prelude::*;

use crate::errors;
use crate::held::Held;
use crate::patience::{on_interrupt, told};
use crate::rhythm::{Open, Rhythm, look};

/// Opens and locks a file, as often as it is asked to.
#[pyclass(frozen, module = "lockfast._lockfast")]
#[derive(Debug, Default)]
pub(crate) struct Opener {
    rhythm: Arc<Mutex<Rhythm>>,
}

/// A file that is open and locked.
#[pyclass(frozen, module = "lockfast._lockfast")]
#[derive(Debug)]
pub(crate) struct Hold {
    held: Held<Kept>,
    rhythm: Arc<Mutex<Rhythm>>,
}

/// What is locked, and what stays open after that. (Dropped in this order.)
#[derive(Debug)]
struct Kept {
    guard: Guard,
    open: Option<Open>,
}

#[derive(Debug)]
enum Guard {
    Alone(LockGuard),
    Reads(RwLockReadGuard),
    Writes(RwLockWriteGuard),
}

#[derive(Debug)]
pub(crate) enum Handle {
    Lock(lockfast::Lock),
    RwLock(lockfast::RwLock),
}

/// How patient the caller is.
#[derive(Clone, Copy)]
enum Patience {
    None,
    For(Duration),
    Forever,
}

/// Which of fasteners' locks it is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Alone,
    Reads,
    Writes,
}

#[pymethods]
impl Opener {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Opens and locks the file; None when somebody else holds it until then.
    ///
    /// `sort` is 0 for an exclusive lock, 1 to read, 2 to write. Without seconds it waits for ever; with
    /// less than 0 it does not wait.
    fn take(
        &self,
        py: Python<'_>,
        path: &[u8],
        sort: u8,
        seconds: Option<f64>,
    ) -> PyResult<Option<Hold>> {
        let sort = match sort {
            0 => Sort::Alone,
            1 => Sort::Reads,
            _ => Sort::Writes,
        };
        let patience = match seconds {
            None => Patience::Forever,
            Some(seconds) if seconds <= 0.0 => Patience::None,
            // One that is not a number never passes, as with fasteners.
            Some(seconds) => {
                Duration::try_from_secs_f64(seconds).map_or(Patience::Forever, Patience::For)
            }
        };
        match self.taken(py, path, sort, patience) {
            Ok(kept) => Ok(Some(Hold {
                held: Held::new(kept),
                rhythm: Arc::clone(&self.rhythm),
            })),
            Err(error) if error.is_contended() || error.is_timed_out() => Ok(None),
            Err(error) => told(py, Err(error)),
        }
    }

    /// Another one is as good.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyAny>, ()) {
        (slf.get_type().into_any(), ())
    }
}

impl Opener {
    fn taken(&self, py: Python<'_>, path: &[u8], sort: Sort, patience: Patience) -> Result<Kept> {
        let open = look(&self.rhythm).take(path);
        if let Some(open) = open {
            let taken = match open.handle.acquire(sort, Patience::None) {
                Err(error) if error.is_contended() && !matches!(patience, Patience::None) => {
                    py.detach(|| open.handle.acquire(sort, patience))
                }
                taken => taken,
            };
            return taken.map(|guard| Kept {
                guard,
                open: Some(open),
            });
        }
        // A file system may take its time to open a file.
        let (handle, guard) = py.detach(|| -> Result<_> {
            let handle = Handle::open(Path::new(OsStr::from_bytes(path)), sort)?;
            let guard = handle.acquire(sort, patience)?;
            Ok((handle, guard))
        })?;
        let open = look(&self.rhythm).opened(path, handle);
        Ok(Kept { guard, open })
    }
}

#[pymethods]
impl Hold {
    /// Unlocks the file, and closes it unless it will be acquired again at once.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        let Some(Kept { guard, open }) = self.held.take() else {
            return Ok(());
        };
        let released = match guard {
            Guard::Alone(guard) => guard.release(),
            Guard::Reads(guard) => guard.release(),
            Guard::Writes(guard) => guard.release(),
        };
        look(&self.rhythm).released(open);
        released.map_err(|error| errors::raised(py, error))
    }

    /// The number of the descriptor; -1 if it is released.
    fn fileno(&self) -> i32 {
        let file = |kept: &mut Kept| match &kept.guard {
            Guard::Alone(guard) => guard.file().as_raw_fd(),
            Guard::Reads(guard) => guard.file().as_raw_fd(),
            Guard::Writes(guard) => guard.file().as_raw_fd(),
        };
        self.held.ask(file).unwrap_or(-1)
    }
}

impl Handle {
    fn open(path: &Path, sort: Sort) -> Result<Self> {
        match sort {
            Sort::Alone => options(lockfast::Lock::options())
                .open(path)
                .map(Self::Lock),
            Sort::Reads | Sort::Writes => options(lockfast::RwLock::options())
                .open(path)
                .map(Self::RwLock),
        }
    }

    fn acquire(&self, sort: Sort, patience: Patience) -> Result<Guard> {
        match self {
            Self::Lock(lock) => match patience {
                Patience::None => lock.try_lock(),
                Patience::For(timeout) => lock.try_lock_for(timeout),
                Patience::Forever => lock.lock(),
            }
            .map(Guard::Alone),
            Self::RwLock(lock) if sort == Sort::Reads => match patience {
                Patience::None => lock.try_read(),
                Patience::For(timeout) => lock.try_read_for(timeout),
                Patience::Forever => lock.read(),
            }
            .map(Guard::Reads),
            Self::RwLock(lock) => match patience {
                Patience::None => lock.try_write(),
                Patience::For(timeout) => lock.try_write_for(timeout),
                Patience::Forever => lock.write(),
            }
            .map(Guard::Writes),
        }
    }
}

/// As fasteners opens files: wherever a link leads, and whoever has created them.
fn options<L>(options: Options<L>) -> Options<L> {
    options
        .follow_symlinks(true)
        .any_owner(true)
        .on_interrupt(on_interrupt)
}
