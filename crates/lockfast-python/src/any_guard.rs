//! The guards of all primitives, as the handles that keep them see them.

use pyo3::prelude::*;

use crate::caller::ThreadId;

/// A guard of any primitive, as the handle that keeps it sees it.
pub(crate) trait AnyGuard {
    fn is_held(&self) -> bool;
    fn block(&self) -> Block;
    /// Ends what a block holds: releases the guard, or else what it was converted into.
    fn end(&self, py: Python<'_>) -> PyResult<()>;
    /// Whether its holder waits for itself, if it waits for the lock again.
    fn is_obstacle(&self) -> bool;
    /// The file that it locks, by device and inode.
    fn file_id(&self) -> Option<(u64, u64)>;
}

/// The time for which the handle keeps a guard's object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeptFor {
    /// Until the guard is released, or converted.
    Release,
    /// Until the end of a `with` block of the handle, which takes the object out.
    Block,
}

/// The `with` block that a guard is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    None,
    Of(ThreadId),
    /// `hand_over()` was called: it belongs to no thread and no task.
    HandedOver,
}

impl KeptFor {
    pub(crate) fn block_if(is_block: bool) -> Self {
        if is_block { Self::Block } else { Self::Release }
    }
}
