//! The threads and tasks that hold locks.

use lockfast::binding_support;
use pyo3::prelude::*;

/// A thread of this process, never given to another one, even after its end.
pub(crate) type ThreadId = u64;

/// The thread that runs this.
pub(crate) fn this_thread() -> ThreadId {
    binding_support::this_thread()
}

/// Identifies a caller among those that hold a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallerId {
    Thread(ThreadId),
    /// The address of the task's object.
    Task(usize),
}

/// A thread, or a task of asyncio together with the thread of its event loop.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) id: CallerId,
    pub(crate) thread: ThreadId,
    /// Kept so that no other task gets its address.
    task: Option<Py<PyAny>>,
}

impl CallerId {
    pub(crate) fn this_thread() -> Self {
        Self::Thread(this_thread())
    }

    pub(crate) fn task(task: &Bound<'_, PyAny>) -> Self {
        Self::Task(task.as_ptr().addr())
    }
}

impl Caller {
    pub(crate) fn this_thread() -> Self {
        let thread = this_thread();
        Self {
            id: CallerId::Thread(thread),
            thread,
            task: None,
        }
    }

    /// A task of asyncio that this thread runs.
    pub(crate) fn task(task: &Bound<'_, PyAny>) -> Self {
        Self {
            id: CallerId::task(task),
            thread: this_thread(),
            task: Some(task.clone().unbind()),
        }
    }

    pub(crate) fn is_task(&self) -> bool {
        self.task.is_some()
    }

    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            id: self.id,
            thread: self.thread,
            task: self.task.as_ref().map(|task| task.clone_ref(py)),
        }
    }
}
