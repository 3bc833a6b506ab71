//! An exclusive lock.

use pyo3::prelude::*;

use crate::any_guard::KeptFor;
use crate::guard_class::guard_class;
use crate::handle::Handle;
use crate::handle_class::handle_methods;
use crate::holding::Choice;
use crate::limit::WaitLimit;
use crate::primitive::Exclusive;

/// An exclusive lock between processes, threads and tasks, at the path of its file.
///
/// Opening it locks nothing. `with lock:` and `async with lock:` hold it for a block; `acquire()` holds it
/// until `release()`. Several threads and tasks may share a handle: they wait for each other.
#[pyclass(frozen, subclass, weakref, module = "lockfast")]
#[derive(Debug, Default)]
pub(crate) struct Lock {
    pub(crate) handle: Handle<lockfast_space::Lock>,
}

impl Lock {
    fn take(
        &self,
        py: Python<'_>,
        limit: WaitLimit<'_>,
        kept_for: KeptFor,
    ) -> PyResult<Py<LockGuard>> {
        self.handle.take(py, Exclusive, limit, kept_for)
    }
}

handle_methods!(Lock, [
    from_file,
    take(Exclusive => LockGuard) {
        /// Takes the lock and holds it until `release()` is called on the lock or on the returned guard.
        ///
        /// Waits until the lock is acquired, for at most `timeout` seconds, or until the `CancelToken` `cancel`
        /// is cancelled; with `blocking=False` it does not wait. It never returns False: it raises
        /// Timeout, `WouldBlock` or Cancelled.
        acquire,
        /// Takes the lock if it is free, and holds it until `release()`; raises `WouldBlock` if it is held.
        try_acquire,
        /// Takes the lock as a task of asyncio, and holds it until `release()`. Await the result, enter it
        /// by `async with`, or pass it to `asyncio.create_task`.
        acquire_async,
    },
    block(LockGuard),
    task_block(Exclusive => LockGuard),
    open("(path, **options)")
], {
    /// Releases the lock, whichever thread or task of this process took it by this handle.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        self.handle.release(py, Choice::OwnOrAny)
    }
});

guard_class!(
    /// A held lock, until it is released.
    LockGuard(lockfast_space::LockGuard), [file, hand_over, record], {}
);
