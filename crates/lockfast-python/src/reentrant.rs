//! A lock that a thread may take again.
//!
//! The library's guards of such a lock stay in their thread, as the compiler ensures. Python's objects may go
//! anywhere, and be dropped anywhere. So the count is kept here, together with a plain lock.

use std::fs::File;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lockfast::binding_support::generation;
use lockfast::{HoldState, Owner, Result};
use lockfast_space::LockGuard;
use pyo3::prelude::*;

use crate::any_guard::KeptFor;
use crate::caller::{Caller, ThreadId, this_thread};
use crate::cancel::CancelToken;
use crate::guard_class::{guard_class, keep};
use crate::handle::Handle;
use crate::handle_class::handle_methods;
use crate::holding::{Choice, Taken};
use crate::library_guard::{LibraryGuard, Lost};
use crate::limit::{Timeout, WaitLimit};
use crate::primitive::Exclusive;

/// An exclusive lock that the thread that holds it may take again.
///
/// `with lock:` holds it for a block; `acquire()` holds it until `release()` was called as often.
#[pyclass(frozen, subclass, weakref, module = "lockfast")]
#[derive(Debug, Default)]
pub(crate) struct ReentrantLock {
    handle: Handle<lockfast_space::Lock>,
    shared: Arc<Shared>,
}

/// The thread that holds the lock, if one does.
#[derive(Debug, Default)]
struct Shared(Mutex<Option<Holder>>);

#[derive(Debug)]
struct Holder {
    thread: ThreadId,
    /// The process that took the lock. A forked child has a copy that holds nothing.
    generation: u64,
    /// The number of guards that are held.
    count: usize,
    guard: LockGuard,
}

/// A guard of a reentrant lock; the last one that is released releases the lock.
#[derive(Debug)]
pub(crate) struct CountedGuard {
    shared: Arc<Shared>,
    generation: u64,
    is_over: bool,
}

impl Shared {
    fn holder(&self) -> MutexGuard<'_, Option<Holder>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lock once more, if this thread holds it.
    fn take_again(self: &Arc<Self>) -> Option<CountedGuard> {
        let mut holder = self.holder();
        let holder = holder.as_mut()?;
        if holder.thread != this_thread() || holder.generation != generation() {
            return None;
        }
        holder.count += 1;
        Some(self.counted())
    }

    fn taken(self: &Arc<Self>, guard: LockGuard) -> CountedGuard {
        // A forked child replaces its copy of what the parent holds; dropping that does nothing.
        let before = self.holder().replace(Holder {
            thread: this_thread(),
            generation: generation(),
            count: 1,
            guard,
        });
        drop(before);
        self.counted()
    }

    fn counted(self: &Arc<Self>) -> CountedGuard {
        CountedGuard {
            shared: Arc::clone(self),
            generation: generation(),
            is_over: false,
        }
    }
}

impl CountedGuard {
    /// Returns the lock's guard, if this was the last one.
    fn end(&mut self) -> Option<LockGuard> {
        if std::mem::replace(&mut self.is_over, true) || self.generation != generation() {
            return None;
        }
        let mut holder = self.shared.holder();
        let held = holder.as_mut()?;
        held.count -= 1;
        if held.count > 0 {
            return None;
        }
        holder.take().map(|holder| holder.guard)
    }

    fn depth(&self) -> Option<usize> {
        let holder = self.shared.holder();
        let own = holder.as_ref().filter(|_| self.generation == generation());
        own.map(|holder| holder.count)
    }

    fn with<R>(&self, function: impl FnOnce(&LockGuard) -> R) -> Option<R> {
        let holder = self.shared.holder();
        holder.as_ref().map(|holder| function(&holder.guard))
    }
}

impl LibraryGuard for CountedGuard {
    fn release(mut self) -> Result<()> {
        self.end().map_or(Ok(()), LockGuard::release)
    }

    fn is_current(&self) -> Option<Result<bool>> {
        self.with(LibraryGuard::is_current).flatten()
    }

    fn with_file<R>(&self, function: impl FnOnce(&File) -> R) -> Option<R> {
        self.with(|guard| guard.with_file(function)).flatten()
    }

    fn abandoned(&self) -> Option<Owner> {
        self.with(LibraryGuard::abandoned).flatten()
    }

    fn token(&self) -> Option<u64> {
        self.with(LockGuard::token).flatten()
    }

    fn epoch(&self) -> u64 {
        self.with(LockGuard::epoch).unwrap_or(0)
    }

    fn state(&self) -> HoldState {
        self.with(LockGuard::state).unwrap_or(HoldState::Lost)
    }

    fn lease_left(&self) -> Option<Duration> {
        self.with(LockGuard::lease_left).flatten()
    }

    fn check(&self) -> Result<()> {
        self.with(LockGuard::check).unwrap_or(Ok(()))
    }

    fn lost(&self) -> Lost {
        let lost = self.with(LibraryGuard::lost);
        lost.unwrap_or_else(|| Box::pin(pending()))
    }
}

impl Drop for CountedGuard {
    fn drop(&mut self) {
        drop(self.end());
    }
}

impl ReentrantLock {
    fn take(
        &self,
        py: Python<'_>,
        limit: WaitLimit<'_>,
        kept_for: KeptFor,
    ) -> PyResult<Py<ReentrantLockGuard>> {
        let guard = match self.shared.take_again() {
            Some(guard) => guard,
            None => self
                .shared
                .taken(self.handle.acquire(py, Exclusive, limit)?),
        };
        let holding = &self.handle.get()?.holding;
        let taken = Taken::new(Caller::this_thread(), kept_for);
        keep(py, holding, guard, taken)
    }
}

handle_methods!(
    ReentrantLock,
    [block(ReentrantLockGuard), open("(path, **options)")],
    {
        /// Takes the lock, at once if this thread holds it, and holds it until `release()`.
        ///
        /// Waits until the lock is acquired, for at most `timeout` seconds, or until the `CancelToken` `cancel`
        /// is cancelled; with `blocking=False` it does not wait. Raises Timeout, `WouldBlock` or Cancelled.
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
            self.take(
                py,
                WaitLimit::new(blocking, timeout, cancel)?,
                KeptFor::Release,
            )
        }

        /// Takes the lock if it is free or this thread holds it; else raises `WouldBlock`.
        fn try_acquire(&self, py: Python<'_>) -> PyResult<Py<ReentrantLockGuard>> {
            self.take(py, WaitLimit::none(), KeptFor::Release)
        }

        /// Releases the lock once, for the thread that holds it.
        fn release(&self, py: Python<'_>) -> PyResult<()> {
            self.handle.release(py, Choice::Own)
        }
    }
);

guard_class!(
    /// A hold of a reentrant lock; the last one that is released releases the lock.
    ReentrantLockGuard(CountedGuard), [file, record], {
        /// The number of guards that the thread has of the lock; 0 after the release, and in a forked child.
        #[getter]
        fn depth(&self) -> usize {
            let depth = self.0.held.with(|guard| guard.depth());
            depth.flatten().unwrap_or(0)
        }
    }
);
