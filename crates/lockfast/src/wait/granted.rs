//! What the kernel granted to a helper thread, on its way to the task.

use std::sync::Arc;

use crate::file::{Goal, LockFile};

/// A goal that was reached; undone when dropped, because the task that wanted it is gone.
#[derive(Debug)]
pub(super) struct Granted {
    file: Option<Arc<LockFile>>,
    goal: Goal,
}

impl Granted {
    pub(super) fn new(file: Arc<LockFile>, goal: Goal) -> Self {
        Self {
            file: Some(file),
            goal,
        }
    }

    /// The task has it now.
    pub(super) fn keep(mut self) {
        self.file = None;
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            // Nobody can be told. What stays locked by mistake is the description's, which its handle
            // uses on, and so it is released with the next release.
            let _ = file.undo_goal(self.goal);
        }
    }
}
