//! A value that a process holds until it is taken out.

use std::sync::{Mutex, MutexGuard, PoisonError};

use lockfast::binding_support::generation;

/// A guard of the library, until it is taken out.
#[derive(Debug)]
pub(crate) struct Held<G> {
    // Locked only to move the guard or to ask it something, never while it is released: a thread that
    // has the interpreter's lock may wait for this mutex.
    guard: Mutex<Option<G>>,
    /// The process that took it. A forked child's copy holds nothing.
    generation: u64,
}

/// The reason why a guard holds nothing.
pub(crate) const RELEASED: &str = "this guard was released before";
const COPY: &str = "this is a forked child's copy of the guard, which holds nothing";

impl<G> Held<G> {
    pub(crate) fn new(guard: G) -> Self {
        Self {
            guard: Mutex::new(Some(guard)),
            generation: generation(),
        }
    }

    pub(crate) fn take(&self) -> Option<G> {
        self.guard().take()
    }

    /// Takes it out of an object that goes.
    pub(crate) fn take_last(&mut self) -> Option<G> {
        let guard = self.guard.get_mut();
        guard.unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Takes it out to release or convert it; fails with the reason why that is impossible.
    pub(crate) fn take_own(&self) -> Result<G, &'static str> {
        if self.is_own() {
            self.take().ok_or(RELEASED)
        } else {
            Err(COPY)
        }
    }

    pub(crate) fn put(&self, guard: G) {
        *self.guard() = Some(guard);
    }

    pub(crate) fn is_held(&self) -> bool {
        self.is_own() && self.guard().is_some()
    }

    /// Whether this is the process that took it.
    pub(crate) fn is_own(&self) -> bool {
        self.generation == generation()
    }

    /// Applies the function to the guard, if it is still held.
    pub(crate) fn with<R>(&self, function: impl FnOnce(&mut G) -> R) -> Option<R> {
        self.guard().as_mut().map(function)
    }

    fn guard(&self) -> MutexGuard<'_, Option<G>> {
        self.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
