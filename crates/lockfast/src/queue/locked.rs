//! The state under its mutex.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::state::State;

/// The state, until dropped. Whoever got the turn meanwhile is woken when the mutex is free again: a
/// thread would run into it, and a task's waker may do anything.
pub(super) struct Locked<'q, T> {
    state: Option<MutexGuard<'q, State<T>>>,
}

impl<'q, T> Locked<'q, T> {
    pub(super) fn new(state: &'q Mutex<State<T>>) -> Self {
        // Nothing in here panics while the state is inconsistent.
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        Self { state: Some(state) }
    }
}

impl<T> Deref for Locked<'_, T> {
    type Target = State<T>;

    fn deref(&self) -> &State<T> {
        self.state.as_ref().expect("it is there until dropped")
    }
}

impl<T> DerefMut for Locked<'_, T> {
    fn deref_mut(&mut self) -> &mut State<T> {
        self.state.as_mut().expect("it is there until dropped")
    }
}

impl<T> Drop for Locked<'_, T> {
    fn drop(&mut self) {
        let granted = self.granted.take();
        self.state = None;
        if let Some(sleeper) = granted {
            sleeper.grant();
        }
    }
}
