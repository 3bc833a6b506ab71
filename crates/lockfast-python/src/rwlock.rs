//! A readers-writer lock.

use std::ffi::OsString;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use lockfast::{ConversionError, binding_support};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use crate::cancel::CancelToken;
use crate::errors;
use crate::handle::{self, Handle};
use crate::held::{Held, NOBODYS, Origin, RELEASED, guard_methods};
use crate::holding::{AnyGuard, Choice, GuardClass, Who, this_thread};
use crate::hooks::Hooks;
use crate::lock::{file_of, guard_class};
use crate::patience::{Ask, Taken, Timeout, Trouble, Want, acquire};
use crate::pending::{self, Pending, TaskAsk};

/// A readers-writer lock between processes, threads and tasks, at the path of its file.
///
/// `read()`, `upgradable_read()` and `write()` hold it until `release()`, of the lock or of the guard that they
/// return, which is a context manager too: `with lock.read():`.
#[pyclass(frozen, subclass, weakref, module = "lockfast")]
#[derive(Debug)]
pub(crate) struct RwLock {
    handle: Handle<lockfast::RwLock>,
}

macro_rules! guard {
    ($(#[$docs:meta])* $guard:ident, $any:ident) => {
        $(#[$docs])*
        #[pyclass(frozen, weakref, module = "lockfast")]
        #[derive(Debug)]
        pub(crate) struct $guard {
            pub(crate) held: Held<lockfast::$guard>,
            path: PathBuf,
        }

        guard_class!($guard, $any);
    };
}

guard!(
    /// Reads, together with other readers.
    RwLockReadGuard,
    Read
);
guard!(
    /// Reads, together with other readers, and can become the writer.
    RwLockUpgradableReadGuard,
    Upgradable
);
guard!(
    /// Writes, alone.
    RwLockWriteGuard,
    Write
);

impl RwLock {
    pub(crate) fn handle(&self) -> &Handle<lockfast::RwLock> {
        &self.handle
    }
}

/// A way to hold it, by a thread.
macro_rules! take {
    ($slf:expr, $py:expr, $want:expr, $attempt:ident, $within:ident, $as_task:ident) => {{
        let opened = $slf.handle.get()?;
        let lock = &opened.lock;
        let ask = Ask {
            hooks: &opened.hooks,
            is_quick: opened.is_quick,
            is_fifo: opened.is_fifo,
            alone: &[lock.path()],
            except: 0,
        };
        let guard = acquire(
            $py,
            &ask,
            $want,
            || Ok(lock.$attempt()?),
            |moment| Ok(lock.$within(moment)?),
            || {
                let future = lock.$as_task();
                async { Ok(future.await?) }
            },
        )?;
        let who = Who::this_thread();
        $slf.handle
            .holding
            .keep($py, guard, opened.is_quick, who, false)
    }};
}

/// A way to hold it, by a task.
macro_rules! pending {
    ($slf:expr, $py:expr, $timeout:expr, $attempt:ident, $as_task:ident, $guard:ident) => {{
        let opened = $slf.handle.get()?;
        let ask = TaskAsk {
            timeout: $timeout,
            is_quick: opened.is_quick,
            hooks: opened.hooks.clone_ref($py),
            alone: pending::alone(opened.lock.path()),
            except: 0,
        };
        let (lock, later) = (opened.lock.clone(), opened.lock.clone());
        let (holding, is_quick) = ($slf.handle.holding.clone(), opened.is_quick);
        Pending::new(
            ask,
            move || -> Taken<_> { Ok(lock.$attempt()?) },
            move || async move { Ok(later.$as_task().await?) },
            move |py, guard, who, is_block| {
                let object = holding.keep::<$guard>(py, guard, is_quick, who, is_block)?;
                Ok(object.into_any())
            },
        )
        .awaitable($py, concat!("RwLock.", stringify!($as_task)))
    }};
}

#[pymethods]
impl RwLock {
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

    /// Opens a lock on a file that the program has open: to read it is enough to take the lock to
    /// read, else it must be open for writing. Both may be closed.
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
                choices.options(lockfast::RwLock::options()).from_file(file)
            })?;
        Ok(made)
    }

    /// Takes the lock to read, together with other readers, and holds it until `release()`.
    ///
    /// Waits as long as it takes, or at most `timeout` seconds, or not at all with `blocking=False`, or
    /// until the `CancelToken` `cancel` is cancelled; raises Timeout, `WouldBlock` or Cancelled.
    #[pyo3(
        signature = (*, blocking = true, timeout = Timeout(None), cancel = None),
        text_signature = "($self, *, blocking=True, timeout=None, cancel=None)"
    )]
    fn read(
        &self,
        py: Python<'_>,
        blocking: bool,
        timeout: Timeout,
        cancel: Option<Bound<'_, CancelToken>>,
    ) -> PyResult<Py<RwLockReadGuard>> {
        let want = Want::new(blocking, timeout, cancel)?;
        take!(self, py, want, try_read, try_read_for, read_async)
    }

    /// Takes the lock to read if no writer has it or waits for it; else it raises `WouldBlock`.
    fn try_read(&self, py: Python<'_>) -> PyResult<Py<RwLockReadGuard>> {
        take!(
            self,
            py,
            Want::at_once(),
            try_read,
            try_read_for,
            read_async
        )
    }

    /// Takes the lock to read, as a task of asyncio.
    #[pyo3(signature = (*, timeout = Timeout(None)), text_signature = "($self, *, timeout=None)")]
    fn read_async<'py>(&self, py: Python<'py>, timeout: Timeout) -> PyResult<Bound<'py, PyAny>> {
        pending!(self, py, timeout, try_read, read_async, RwLockReadGuard)
    }

    /// Takes the lock to read, together with other readers, as the one that can become the writer.
    #[pyo3(
        signature = (*, blocking = true, timeout = Timeout(None), cancel = None),
        text_signature = "($self, *, blocking=True, timeout=None, cancel=None)"
    )]
    fn upgradable_read(
        &self,
        py: Python<'_>,
        blocking: bool,
        timeout: Timeout,
        cancel: Option<Bound<'_, CancelToken>>,
    ) -> PyResult<Py<RwLockUpgradableReadGuard>> {
        let want = Want::new(blocking, timeout, cancel)?;
        take!(
            self,
            py,
            want,
            try_upgradable_read,
            try_upgradable_read_for,
            upgradable_read_async
        )
    }

    /// Takes it in the same way if it can be had at once; else it raises `WouldBlock`.
    fn try_upgradable_read(&self, py: Python<'_>) -> PyResult<Py<RwLockUpgradableReadGuard>> {
        take!(
            self,
            py,
            Want::at_once(),
            try_upgradable_read,
            try_upgradable_read_for,
            upgradable_read_async
        )
    }

    /// Takes it in the same way, as a task of asyncio.
    #[pyo3(signature = (*, timeout = Timeout(None)), text_signature = "($self, *, timeout=None)")]
    fn upgradable_read_async<'py>(
        &self,
        py: Python<'py>,
        timeout: Timeout,
    ) -> PyResult<Bound<'py, PyAny>> {
        pending!(
            self,
            py,
            timeout,
            try_upgradable_read,
            upgradable_read_async,
            RwLockUpgradableReadGuard
        )
    }

    /// Takes the lock to write, alone, and holds it until `release()`. Waits as `read()` does.
    #[pyo3(
        signature = (*, blocking = true, timeout = Timeout(None), cancel = None),
        text_signature = "($self, *, blocking=True, timeout=None, cancel=None)"
    )]
    fn write(
        &self,
        py: Python<'_>,
        blocking: bool,
        timeout: Timeout,
        cancel: Option<Bound<'_, CancelToken>>,
    ) -> PyResult<Py<RwLockWriteGuard>> {
        let want = Want::new(blocking, timeout, cancel)?;
        take!(self, py, want, try_write, try_write_for, write_async)
    }

    /// Takes the lock to write if nobody has it; else it raises `WouldBlock`.
    fn try_write(&self, py: Python<'_>) -> PyResult<Py<RwLockWriteGuard>> {
        take!(
            self,
            py,
            Want::at_once(),
            try_write,
            try_write_for,
            write_async
        )
    }

    /// Takes the lock to write, as a task of asyncio.
    #[pyo3(signature = (*, timeout = Timeout(None)), text_signature = "($self, *, timeout=None)")]
    fn write_async<'py>(&self, py: Python<'py>, timeout: Timeout) -> PyResult<Bound<'py, PyAny>> {
        pending!(self, py, timeout, try_write, write_async, RwLockWriteGuard)
    }

    /// Releases what this thread took last by this handle; what another one took only if nobody else
    /// holds it by this handle.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        let path = self.handle.get()?.lock.path();
        let holding = &self.handle.holding;
        holding.release(py, path, this_thread(), Choice::OwnOrOnly)
    }

    /// The path of the lock file, absolute.
    #[getter]
    fn path(&self) -> PyResult<OsString> {
        Ok(self.handle.get()?.lock.path().as_os_str().to_owned())
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let base = slf.py().get_type::<Self>();
        slf.get().handle.reduced(slf.as_any(), &base)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> String {
        slf.get().handle.shown(slf.as_any())
    }
}

/// Turns a guard into another one at once; if that fails, the first stays held.
fn converted<C: GuardClass, G: Send>(
    py: Python<'_>,
    held: &Held<G>,
    (path, address): (&std::path::Path, usize),
    convert: impl FnOnce(G) -> Result<C::Guard, ConversionError<G>> + Send,
) -> PyResult<Py<C>> {
    let converted = by_turns(held, path, convert);
    let guard = converted.map_err(|trouble| trouble.raised(py))?;
    become_another(py, held, address, guard, Who::this_thread())
}

/// Takes the guard out, and puts it back if it did not become another one.
fn by_turns<G, To>(
    held: &Held<G>,
    path: &std::path::Path,
    convert: impl FnOnce(G) -> Result<To, ConversionError<G>>,
) -> Taken<To> {
    let guard = held
        .take_own()
        .map_err(|why| Trouble::NotHeld(path.to_path_buf(), why))?;
    convert(guard).map_err(|failed| {
        let (error, guard) = failed.into_parts();
        held.put(guard);
        error.into()
    })
}

/// The object of the new guard, which is kept in the place of the old one.
fn become_another<C: GuardClass, G>(
    py: Python<'_>,
    held: &Held<G>,
    address: usize,
    guard: C::Guard,
    who: Who,
) -> PyResult<Py<C>> {
    let origin = held.origin();
    let Some(holding) = &origin.kept_by else {
        unreachable!("a readers-writer lock has no blocks of its own");
    };
    let origin = Origin {
        chain: held.chain_on(),
        ..origin.clone()
    };
    let object = holding.keep_by(py, guard, origin, who);
    held.forget(address);
    object
}

/// Methods of the guards of a readers-writer lock.
macro_rules! rw_guard_methods {
    ($guard:ident, { $($more:tt)* }) => {
        guard_methods!($guard, "guard of lock", {
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
                self.held.ask(lockfast::$guard::hand_over);
            }

            $($more)*
        });
    };
}

rw_guard_methods!(RwLockReadGuard, {});

rw_guard_methods!(RwLockUpgradableReadGuard, {
    /// Becomes the writer, when the other readers have left; nobody else writes in between.
    #[pyo3(
        signature = (*, blocking = true, timeout = Timeout(None), cancel = None),
        text_signature = "($self, *, blocking=True, timeout=None, cancel=None)"
    )]
    fn upgrade(
        &self,
        py: Python<'_>,
        blocking: bool,
        timeout: Timeout,
        cancel: Option<Bound<'_, CancelToken>>,
    ) -> PyResult<Py<RwLockWriteGuard>> {
        self.upgrade_by(py, Want::new(blocking, timeout, cancel)?)
    }

    /// Becomes the writer if there is no other reader; else it raises `WouldBlock`.
    fn try_upgrade(&self, py: Python<'_>) -> PyResult<Py<RwLockWriteGuard>> {
        self.upgrade_by(py, Want::at_once())
    }

    /// Becomes the writer, as a task of asyncio. A task that is cancelled goes on reading.
    #[pyo3(signature = (*, timeout = Timeout(None)), text_signature = "($self, *, timeout=None)")]
    fn upgrade_async<'py>(slf: &Bound<'py, Self>, timeout: Timeout) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let ask = TaskAsk {
            timeout,
            is_quick: slf.get().held.origin().is_quick,
            hooks: Hooks::default(),
            alone: pending::alone(&slf.get().path),
            except: slf.get().address(),
        };
        let (reader, later) = (slf.clone().unbind(), slf.clone().unbind());
        let old = slf.clone().unbind();
        let pending = Pending::new(
            ask,
            move || reader.get().upgrade_at_once(),
            move || upgraded(later),
            move |py, guard, who, _| {
                let old = old.get();
                let object = become_another::<RwLockWriteGuard, _>(
                    py,
                    &old.held,
                    old.address(),
                    guard,
                    who,
                )?;
                Ok(object.into_any())
            },
        );
        pending.awaitable(py, "RwLockUpgradableReadGuard.upgrade_async")
    }

    /// Reads on, and lets another one be upgradable.
    fn downgrade(&self, py: Python<'_>) -> PyResult<Py<RwLockReadGuard>> {
        let convert = lockfast::RwLockUpgradableReadGuard::downgrade;
        converted(py, &self.held, (&self.path, self.address()), convert)
    }
});

impl RwLockUpgradableReadGuard {
    fn upgrade_at_once(&self) -> Taken<lockfast::RwLockWriteGuard> {
        let convert = lockfast::RwLockUpgradableReadGuard::try_upgrade;
        by_turns(&self.held, &self.path, convert)
    }

    fn upgrade_by(&self, py: Python<'_>, want: Want<'_>) -> PyResult<Py<RwLockWriteGuard>> {
        if let Err(why) = self.held.take_own().map(|guard| self.held.put(guard)) {
            return Err(errors::not_held(py, &self.path, why));
        }
        let hooks = Hooks::default();
        let ask = Ask {
            hooks: &hooks,
            is_quick: self.held.origin().is_quick,
            is_fifo: false,
            alone: &[&self.path],
            except: self.address(),
        };
        let guard = acquire(
            py,
            &ask,
            want,
            || self.upgrade_at_once(),
            |moment| {
                by_turns(&self.held, &self.path, |guard| {
                    guard.try_upgrade_for(moment)
                })
            },
            || self.upgraded_later(),
        )?;
        become_another(py, &self.held, self.address(), guard, Who::this_thread())
    }

    /// The guard is put back when the wait is dropped.
    async fn upgraded_later(&self) -> Taken<lockfast::RwLockWriteGuard> {
        let guard = self
            .held
            .take_own()
            .map_err(|why| Trouble::NotHeld(self.path.clone(), why))?;
        let upgraded = binding_support::upgrade(guard, |guard| self.held.put(guard)).await;
        upgraded.map_err(|failed| {
            let (error, guard) = failed.into_parts();
            self.held.put(guard);
            error.into()
        })
    }
}

async fn upgraded(reader: Py<RwLockUpgradableReadGuard>) -> Taken<lockfast::RwLockWriteGuard> {
    reader.get().upgraded_later().await
}

rw_guard_methods!(RwLockWriteGuard, {
    /// Becomes a reader; nobody else writes in between.
    fn downgrade(&self, py: Python<'_>) -> PyResult<Py<RwLockReadGuard>> {
        let convert = lockfast::RwLockWriteGuard::downgrade;
        converted(py, &self.held, (&self.path, self.address()), convert)
    }

    /// Becomes an upgradable reader; nobody else writes in between.
    fn downgrade_to_upgradable(&self, py: Python<'_>) -> PyResult<Py<RwLockUpgradableReadGuard>> {
        let convert = lockfast::RwLockWriteGuard::downgrade_to_upgradable;
        converted(py, &self.held, (&self.path, self.address()), convert)
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
