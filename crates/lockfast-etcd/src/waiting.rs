//! The wait of a thread or a task of the program, for what a task of the client does.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use lockfast::Result;
use tokio::sync::oneshot;
use tokio::task::unconstrained;

use crate::connection::Connection;
use crate::stop::{Done, Stop};

/// A grant that can be given back.
pub(crate) trait GiveBack: Send + 'static {
    fn give_back(self) -> impl Future<Output = ()> + Send;
}

/// The wait for a grant. Dropping it ends the wait: when the drop is over, nothing is held and no ticket is left,
/// unless the servers take longer than a drop may block.
#[derive(Debug)]
pub(crate) struct Waiting<T: GiveBack> {
    connection: Arc<Connection>,
    answer: oneshot::Receiver<Result<T>>,
    stop: Stop,
    done: Done,
    is_over: bool,
}

impl<T: GiveBack> Waiting<T> {
    /// Has the client do the work, which ends when the wait is over.
    pub(crate) fn begin(
        connection: &Arc<Connection>,
        stop: Stop,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Self {
        let (sender, answer) = oneshot::channel();
        let done = Done::default();
        let is_done = done.clone();
        connection.runtime().spawn(async move {
            // Nobody waits any more, and nobody will release what was granted.
            if let Err(Ok(granted)) = sender.send(work.await) {
                granted.give_back().await;
            }
            is_done.set();
        });
        Self {
            connection: Arc::clone(connection),
            answer,
            stop,
            done,
            is_over: false,
        }
    }
}

impl<T: GiveBack> Future for Waiting<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        // Without tokio's limit: a thread that blocks inside of a task would wait for the task to pause.
        let answer = match pin!(unconstrained(&mut self.answer)).poll(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(answer) => answer,
        };
        self.is_over = true;
        // The sender is dropped without an answer only with the runtime, which this keeps alive.
        Poll::Ready(answer.unwrap_or_else(|_| Err(self.connection.is_gone())))
    }
}

impl<T: GiveBack> Drop for Waiting<T> {
    fn drop(&mut self) {
        // The wait is of the parent.
        if self.is_over || self.connection.runtime().is_forked_child() {
            return;
        }
        self.stop.cancel();
        self.answer.close();
        match self.answer.try_recv() {
            Ok(Ok(granted)) => self.connection.finish(granted.give_back()),
            Ok(Err(_)) => {}
            Err(_) => self.connection.wait_for(&self.done),
        }
    }
}
