//! The waits of tasks in a forked child, which has copies of its parent's.

use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::task::Poll;

use crate::sys::fork;
use crate::types::error::{Cause, Error, Operation, Result};

/// Polls the work of a task in the process that polled it first. In a forked child it fails: the helper, and
/// the thread that would pass the turn on, exist in the parent alone, and a mutex may be locked for ever.
pub(crate) async fn in_one_process<R>(
    path: &Path,
    operation: Operation,
    work: impl Future<Output = Result<R>>,
) -> Result<R> {
    // Of the first poll, as an `async fn` begins there.
    let generation = fork::generation();
    let mut work = pin!(work);
    poll_fn(|context| {
        // At each poll: the task may be forked between any two.
        if fork::generation() == generation {
            return work.as_mut().poll(context);
        }
        let why = "this is a forked child's copy of a wait, which goes on in the parent alone: drop it, and \
                   begin another";
        Poll::Ready(Err(Error::new(path, operation, Cause::NotHeld(why))))
    })
    .await
}
