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

use lockfast::binding_support::AnyHandle;
use lockfast::{LockGuard, Options, Result, RwLockReadGuard, RwLockWriteGuard};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors;
use crate::held::{Held, Origin};
use crate::hooks::Hooks;
use crate::patience::{self, Ask, Taken, Timeout, Trouble, Want, on_interrupt};
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
    is_quick: bool,
}

#[derive(Debug)]
enum Guard {
    Alone(LockGuard),
    Reads(RwLockReadGuard),
    Writes(RwLockWriteGuard),
}

#[derive(Debug)]
pub(crate) struct Handle {
    lock: Either,
    /// Whether the kernel of this machine keeps the locks, and so an attempt takes no time.
    is_quick: bool,
}

#[derive(Debug)]
enum Either {
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
        let kept = self.taken(py, path, sort, patience)?;
        Ok(kept.map(|kept| Hold {
            held: Held::new(kept, ORIGIN),
            rhythm: Arc::clone(&self.rhythm),
        }))
    }

    /// Another one is as good.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyAny>, ()) {
        (slf.get_type().into_any(), ())
    }
}

/// Dropping it gives no warning, as with fasteners.
const ORIGIN: Origin = Origin {
    is_quick: true,
    kept_by: None,
    chain: 0,
};

impl Opener {
    fn taken(
        &self,
        py: Python<'_>,
        path: &[u8],
        sort: Sort,
        patience: Patience,
    ) -> PyResult<Option<Kept>> {
        let open = look(&self.rhythm).take(path);
        if let Some(open) = open {
            let guard = open.handle.wait(py, path, sort, patience)?;
            let is_quick = open.handle.is_quick;
            return Ok(guard.map(|guard| Kept {
                guard,
                open: Some(open),
                is_quick,
            }));
        }
        // A file system may take its time to open a file.
        let opened = py.detach(|| Handle::open(Path::new(OsStr::from_bytes(path)), sort));
        let handle = opened.map_err(|error| errors::raised(py, error))?;
        let Some(guard) = handle.wait(py, path, sort, patience)? else {
            return Ok(None);
        };
        let is_quick = handle.is_quick;
        let open = look(&self.rhythm).opened(path, handle);
        Ok(Some(Kept {
            guard,
            open,
            is_quick,
        }))
    }
}

#[pymethods]
impl Hold {
    /// Unlocks the file, and closes it unless it will be acquired again at once.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        let Some(Kept {
            guard,
            open,
            is_quick,
        }) = self.held.take()
        else {
            return Ok(());
        };
        let release = || match guard {
            Guard::Alone(guard) => guard.release(),
            Guard::Reads(guard) => guard.release(),
            Guard::Writes(guard) => guard.release(),
        };
        let released = if is_quick {
            release()
        } else {
            py.detach(release)
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
        let lock = match sort {
            Sort::Alone => Either::Lock(options(lockfast::Lock::options()).open(path)?),
            Sort::Reads | Sort::Writes => {
                Either::RwLock(options(lockfast::RwLock::options()).open(path)?)
            }
        };
        let is_quick = match &lock {
            Either::Lock(lock) => lock.answers_at_once(),
            Either::RwLock(lock) => lock.answers_at_once(),
        };
        Ok(Self { lock, is_quick })
    }

    /// None when somebody else holds it until then.
    fn wait(
        &self,
        py: Python<'_>,
        path: &[u8],
        sort: Sort,
        patience: Patience,
    ) -> PyResult<Option<Guard>> {
        let attempt = || -> Taken<Guard> { Ok(self.acquire(sort, Patience::None)?) };
        let will_wait = !matches!(patience, Patience::None);
        let error = match patience::first(py, self.is_quick, will_wait, &attempt) {
            Ok(guard) => return Ok(Some(guard)),
            Err(Trouble::Lock(error)) if error.is_contended() => error,
            Err(trouble) => return Err(trouble.raised(py)),
        };
        let timeout = match patience {
            Patience::None => return Ok(None),
            Patience::For(timeout) => Some(timeout),
            Patience::Forever => {
                if self.is_this_threads() && is_sure(py, path)? {
                    return Err(errors::deadlock(py, error.path(), "thread"));
                }
                None
            }
        };
        let ask = Ask {
            hooks: &Hooks::default(),
            is_quick: self.is_quick,
            is_fifo: false,
            alone: &[],
            except: 0,
        };
        let want = Want {
            timeout: Timeout(timeout),
            ..Want::forever()
        };
        let within = |moment| Ok(self.acquire(sort, Patience::For(moment))?);
        let waited = patience::wait(py, &ask, &want, error, &attempt, within, || {
            self.acquire_async(sort)
        });
        match waited {
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

    async fn acquire_async(&self, sort: Sort) -> Taken<Guard> {
        Ok(match &self.lock {
            Either::Lock(lock) => Guard::Alone(lock.lock_async().await?),
            Either::RwLock(lock) if sort == Sort::Reads => Guard::Reads(lock.read_async().await?),
            Either::RwLock(lock) => Guard::Writes(lock.write_async().await?),
        })
    }

    fn acquire(&self, sort: Sort, patience: Patience) -> Result<Guard> {
        match &self.lock {
            Either::Lock(lock) => match patience {
                Patience::None => lock.try_lock(),
                Patience::For(timeout) => lock.try_lock_for(timeout),
                Patience::Forever => lock.lock(),
            }
            .map(Guard::Alone),
            Either::RwLock(lock) if sort == Sort::Reads => match patience {
                Patience::None => lock.try_read(),
                Patience::For(timeout) => lock.try_read_for(timeout),
                Patience::Forever => lock.read(),
            }
            .map(Guard::Reads),
            Either::RwLock(lock) => match patience {
                Patience::None => lock.try_write(),
                Patience::For(timeout) => lock.try_write_for(timeout),
                Patience::Forever => lock.write(),
            }
            .map(Guard::Writes),
        }
    }
}

/// Whether nobody but this thread can release what it took.
fn is_sure(py: Python<'_>, path: &[u8]) -> PyResult<bool> {
    let is_sure = py.import("lockfast._waits")?.getattr("is_sure_of_path")?;
    is_sure.call1((PyBytes::new(py, path),))?.extract()
}

/// As fasteners opens files: wherever a link leads, and whoever has created them.
fn options<L>(options: Options<L>) -> Options<L> {
    options
        .follow_symlinks(true)
        .any_owner(true)
        .on_interrupt(on_interrupt)
}
