//! Changes of the state, and what is to be done after one, when the mutex is free again.

use std::sync::Arc;

use crate::protocol::plan::Mode;
use crate::sys::Access;
use crate::sys::primitive::Ordering;
use crate::types::thread::ThreadToken;

use super::shared::Queue;
use super::sleeper::Sleeper;
use super::state::QueueState;
use super::unlock::Unlock;

/// The work that is left after a change; mostly nothing.
#[must_use = "waiters sleep until it is run"]
pub(crate) struct After<'q, T: Unlock>(Option<Todo<'q, T>>);

/// Waiters to wake, and a kernel lock to release because its hand-off slot was found idle and shut.
struct Todo<'q, T: Unlock> {
    queue: &'q Queue<T>,
    granted: Option<Arc<Sleeper>>,
    called: Option<Arc<Sleeper>>,
    unlock: Option<(Access, Box<T::Held>)>,
}

impl<T: Unlock> Queue<T> {
    /// Changes the state under the mutex.
    ///
    /// Whatever the change was, the hand-off slot is never left idle where nobody comes by (see
    /// [`settle`](QueueState::settle)), and `waiting` is up to date.
    #[inline]
    pub(super) fn update<R>(
        &self,
        change: impl FnOnce(&mut QueueState<T>) -> R,
    ) -> (R, After<'_, T>) {
        let mut state = self.state();
        let result = change(&mut state);
        // Loom explores other orders before the last access to something, so a look that is not needed would
        // hide one that is.
        let may_be_quiet = cfg!(not(lockfast_model));
        if may_be_quiet && state.is_quiet(self.waiting.load(Ordering::Relaxed)) {
            return (result, After(None));
        }
        let todo = self.collect(&mut state);
        (result, After(Some(todo)))
    }

    #[cold]
    fn collect(&self, state: &mut QueueState<T>) -> Todo<'_, T> {
        // First: to settle may wake a waiter, which is collected below.
        let unlock = state.settle(&self.handoff);
        // Relaxed: without the mutex it is read as a hint only.
        self.waiting.store(state.waiting.len(), Ordering::Relaxed);
        Todo {
            queue: self,
            granted: state.granted.take(),
            called: state.called.take(),
            unlock,
        }
    }
}

impl<T: Unlock> After<'_, T> {
    /// Wakes the waiters and releases the kernel lock; returns whether there was one to release.
    #[inline]
    pub(crate) fn run(self) -> bool {
        self.0.is_some_and(Todo::run)
    }
}

impl<T: Unlock> Todo<'_, T> {
    #[cold]
    fn run(self) -> bool {
        for sleeper in [self.granted, self.called].into_iter().flatten() {
            // The mutex is free: a thread that wakes up takes it at once, and a waker is code of the
            // program.
            sleeper.grant();
        }
        let Some((access, held)) = self.unlock else {
            return false;
        };
        self.queue.unlock(access);
        drop(held);
        true
    }
}

impl<T: Unlock> Queue<T> {
    /// Releases the kernel lock that passed through the slot, which is shut; it counted as inside until now.
    #[cold]
    fn unlock(&self, access: Access) {
        let (value, after) = self.update(|state| {
            let is_last = access == Access::Exclusive || {
                state.remove(Mode::Read, ThreadToken::NONE);
                state.begin_close()
            };
            if !is_last {
                state.pass_on();
            }
            is_last.then(|| state.value().cloned())
        });
        after.run();
        if let Some(value) = value {
            // It counts as inside until it is unlocked, so nobody enters in between (invariant 1).
            let is_unlocked = value.is_some_and(|value| value.unlock());
            let ((), after) = self.update(|state| {
                if !is_unlocked {
                    // The file is closed when its last user drops it, which releases its locks.
                    state.set_value(None);
                }
                state.left(access, None);
            });
            after.run();
        }
    }
}
