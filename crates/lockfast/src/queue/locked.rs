//! The state under its mutex.

use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;

use super::state::State;
use super::{Queue, Shared};
use crate::sys::primitive::{MutexGuard, Ordering};

/// The state, until dropped. Whoever got the turn meanwhile is woken when the mutex is free again: a
/// thread would run into it, and a task's waker may do anything.
pub(super) struct Locked<'q, T: Shared> {
    pub(super) queue: &'q Queue<T>,
    state: Option<MutexGuard<'q, State<T>>>,
}

impl<'q, T: Shared> Locked<'q, T> {
    pub(super) fn new(queue: &'q Queue<T>) -> Self {
        // Nothing in here panics while the state is inconsistent.
        let state = queue.state.lock().unwrap_or_else(PoisonError::into_inner);
        Self {
            queue,
            state: Some(state),
        }
    }
}

impl<T: Shared> Deref for Locked<'_, T> {
    type Target = State<T>;

    fn deref(&self) -> &State<T> {
        self.state.as_ref().expect("it is there until dropped")
    }
}

impl<T: Shared> DerefMut for Locked<'_, T> {
    fn deref_mut(&mut self) -> &mut State<T> {
        self.state.as_mut().expect("it is there until dropped")
    }
}

impl<T: Shared> Drop for Locked<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // Loom looks for other orders before the last access to something, so a look that is not
        // needed would hide one that is.
        let may_be_quiet = cfg!(not(lockfast_model));
        let is_quiet = may_be_quiet
            && self.granted.is_none()
            && self.open.is_none()
            && self.waiting.len() == self.queue.waiting.load(Ordering::Relaxed);
        if !is_quiet {
            self.leave();
        }
    }
}

impl<T: Shared> Locked<'_, T> {
    #[cold]
    fn leave(&mut self) {
        let closed = self.settle();
        let woken = [self.granted.take(), self.woken.take()];
        let waiting = self.waiting.len();
        self.queue.waiting.store(waiting, Ordering::Relaxed);
        self.state = None;
        for sleeper in woken.into_iter().flatten() {
            sleeper.grant();
        }
        if let Some((open, parcel)) = closed {
            self.queue.close(open);
            drop(parcel);
        }
    }
}
