//! A readers-writer lock.

use pyo3::prelude::*;

use crate::cancel::CancelToken;
use crate::conversion::{convert, upgrade, upgrade_async};
use crate::guard_class::guard_class;
use crate::handle::Handle;
use crate::handle_class::handle_methods;
use crate::holding::Choice;
use crate::limit::{Timeout, WaitLimit};
use crate::primitive::{Read, UpgradableRead, Write};

/// A readers-writer lock between processes, threads and tasks, at the path of its file.
///
/// `read()`, `upgradable_read()` and `write()` hold it until `release()` is called on the lock or on the
/// returned guard, which is a context manager too: `with lock.read():`.
#[pyclass(frozen, subclass, weakref, module = "lockfast")]
#[derive(Debug, Default)]
pub(crate) struct RwLock {
    pub(crate) handle: Handle<lockfast_space::RwLock>,
}

handle_methods!(RwLock, [
    from_file,
    take(Read => RwLockReadGuard) {
        /// Takes the lock to read, together with other readers, and holds it until `release()`.
        ///
        /// Waits until the lock is acquired, for at most `timeout` seconds, or until the `CancelToken` `cancel`
        /// is cancelled; with `blocking=False` it does not wait. Raises Timeout, `WouldBlock` or Cancelled.
        read,
        /// Takes the lock to read if no writer holds it or waits for it; raises `WouldBlock` if one does.
        try_read,
        /// Takes the lock to read, as a task of asyncio.
        read_async,
    },
    take(UpgradableRead => RwLockUpgradableReadGuard) {
        /// Takes the lock to read, together with other readers, as the only one that can become the writer.
        upgradable_read,
        /// Takes the lock as an upgradable reader if that needs no wait; else raises `WouldBlock`.
        try_upgradable_read,
        /// Takes the lock as an upgradable reader, as a task of asyncio.
        upgradable_read_async,
    },
    take(Write => RwLockWriteGuard) {
        /// Takes the lock to write, alone, and holds it until `release()`. Waits as `read()` does.
        write,
        /// Takes the lock to write if it is free; raises `WouldBlock` if it is held.
        try_write,
        /// Takes the lock to write, as a task of asyncio.
        write_async,
    },
    open("(path, **options)")
], {
    /// Releases what this thread took last by this handle. What another thread took is released only if
    /// nothing else is held by this handle.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        self.handle.release(py, Choice::OwnOrOnly)
    }
});

guard_class!(
    /// A lock that is held to read, together with other readers.
    RwLockReadGuard(lockfast_space::RwLockReadGuard), [file, hand_over], {}
);

guard_class!(
    /// A lock that is held to read, together with other readers, and can become the writer.
    RwLockUpgradableReadGuard(lockfast_space::RwLockUpgradableReadGuard), [file, hand_over], {
        /// Becomes the writer when the other readers have left; nobody else writes in between.
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
            upgrade(py, &self.0, WaitLimit::new(blocking, timeout, cancel)?)
        }

        /// Becomes the writer if there is no other reader; raises `WouldBlock` if there is one.
        fn try_upgrade(&self, py: Python<'_>) -> PyResult<Py<RwLockWriteGuard>> {
            upgrade(py, &self.0, WaitLimit::none())
        }

        /// Becomes the writer, as a task of asyncio. If the task is cancelled, the guard stays a reader.
        #[pyo3(
            signature = (*, timeout = Timeout(None)),
            text_signature = "($self, *, timeout=None)"
        )]
        fn upgrade_async<'py>(
            slf: &Bound<'py, Self>,
            timeout: Timeout,
        ) -> PyResult<Bound<'py, PyAny>> {
            upgrade_async::<Self, RwLockWriteGuard>(slf, timeout)
        }

        /// Becomes a plain reader, so that another reader can be upgradable.
        fn downgrade(&self, py: Python<'_>) -> PyResult<Py<RwLockReadGuard>> {
            convert(py, &self.0, lockfast_space::RwLockUpgradableReadGuard::downgrade)
        }
    }
);

guard_class!(
    /// A lock that is held to write, alone.
    RwLockWriteGuard(lockfast_space::RwLockWriteGuard), [file, hand_over, record], {
        /// Becomes a reader; nobody else writes in between.
        fn downgrade(&self, py: Python<'_>) -> PyResult<Py<RwLockReadGuard>> {
            convert(py, &self.0, lockfast_space::RwLockWriteGuard::downgrade)
        }

        /// Becomes an upgradable reader; nobody else writes in between.
        fn downgrade_to_upgradable(
            &self,
            py: Python<'_>,
        ) -> PyResult<Py<RwLockUpgradableReadGuard>> {
            convert(py, &self.0, lockfast_space::RwLockWriteGuard::downgrade_to_upgradable)
        }
    }
);
