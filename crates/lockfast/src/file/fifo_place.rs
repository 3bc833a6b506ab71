//! A waiter's place in the FIFO order.

use std::io;
use std::sync::Arc;

use crate::file::{Goal, LockFile};

/// A place in the FIFO order, given up when dropped. Empty where there is no such order.
#[derive(Debug)]
#[must_use = "the place is given up when this is dropped"]
pub(crate) struct FifoPlace(Option<(Arc<LockFile>, Goal)>);

impl FifoPlace {
    /// Takes a place, if the file has an order.
    pub(crate) fn of(
        file: &Arc<LockFile>,
        goal: Goal,
        number: &mut Option<u64>,
    ) -> io::Result<Self> {
        let Some(fifo) = file.fifo() else {
            return Ok(Self::none());
        };
        // A failure may leave bytes locked, which the drop unlocks.
        let place = Self(Some((Arc::clone(file), goal)));
        // The number is kept by the caller: with another file it queues where it was.
        fifo.take_ticket(file, goal, number)?;
        Ok(place)
    }

    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Ends it with the goal reached. An exclusive holder keeps the ticket until it releases.
    #[inline]
    pub(crate) fn arrive(mut self) -> io::Result<()> {
        match self.0.take() {
            Some((file, goal)) if goal.ends_ticket() => file.leave_fifo(),
            _ => Ok(()),
        }
    }
}

impl Drop for FifoPlace {
    fn drop(&mut self) {
        if let Some((file, _)) = self.0.take().filter(|(file, _)| file.is_own()) {
            // Whoever gives the file back releases all of it once more, and closes it if that fails.
            let _ = file.leave_fifo();
        }
    }
}
