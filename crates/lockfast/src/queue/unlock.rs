//! The value that a queue is for.

/// A value that the holders of a lock share, and that stands for its kernel lock.
pub(crate) trait Unlock {
    /// The data that a holder leaves to the next one in the hand-off slot.
    type Held;

    /// Releases the kernel lock; `false` when that fails.
    fn unlock(&self) -> bool;
}
