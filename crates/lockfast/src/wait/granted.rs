//! A grant of the kernel, on its way to the thread or task that wanted it.

use std::ops::Deref;

use crate::file::{Goal, LockFile};

/// A goal that was reached, or may be; undone when dropped, because a panic goes by or the task that wanted
/// it is gone.
#[derive(Debug)]
pub(super) struct Granted<F: Deref<Target = LockFile>> {
    // None once the thread or task has it.
    file: Option<F>,
    goal: Goal,
}

impl<F: Deref<Target = LockFile>> Granted<F> {
    pub(super) fn new(file: F, goal: Goal) -> Self {
        Self {
            file: Some(file),
            goal,
        }
    }

    /// Leaves it to the thread or task that wanted it, which has it or knows that it was undone.
    pub(super) fn keep(mut self) {
        self.file = None;
    }
}

impl<F: Deref<Target = LockFile>> Drop for Granted<F> {
    fn drop(&mut self) {
        // A forked child's copy: what was granted is the parent's.
        if let Some(file) = self.file.take().filter(|file| file.is_own()) {
            // Nobody can be told. What stays locked by mistake is the description's, which its handle
            // uses on, and so it is released with the next release.
            let _ = file.undo_goal(self.goal);
        }
    }
}
