//! A wait that runs on the thread of the client, and ends when nobody waits for it any more.

use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

use lockfast::Result;
use tokio::sync::oneshot;

use crate::client::Shared;

/// The longest time for which a dropped wait blocks, until the server has forgotten it.
const LEAVING: Duration = Duration::from_secs(1);

/// Completes when nobody waits for the result any more.
pub(crate) type Cancelled = oneshot::Receiver<()>;

/// Something that was granted. Dropping it without `give_back` must not block.
pub(crate) trait Granted: Send + 'static {
    /// Gives it back to the server.
    fn give_back(self) -> impl Future<Output = ()> + Send;
}

/// A wait. Dropping it ends the wait at the server; a forked child leaves it to its parent.
///
/// It is empty when the result was taken.
pub(crate) struct Flight<G: Granted>(ManuallyDrop<Option<Parts<G>>>);

struct Parts<G> {
    shared: Arc<Shared>,
    /// Dropping it tells the task that nobody waits.
    cancel: Option<oneshot::Sender<()>>,
    result: oneshot::Receiver<Result<G>>,
    /// Disconnected when the task has ended.
    over: mpsc::Receiver<()>,
}

impl<G: Granted> Flight<G> {
    /// Starts the wait.
    pub(crate) fn start<F>(shared: &Arc<Shared>, wait: impl FnOnce(Cancelled) -> F) -> Self
    where
        F: Future<Output = Result<G>> + Send + 'static,
    {
        let (cancel, cancelled) = oneshot::channel();
        let (sender, result) = oneshot::channel();
        let (running, over) = mpsc::channel();
        let wait = wait(cancelled);
        shared.runtime.spawn(async move {
            let _running: mpsc::Sender<()> = running;
            // Nobody takes it: the wait was dropped after it was granted.
            if let Err(Ok(granted)) = sender.send(wait.await) {
                granted.give_back().await;
            }
        });
        Self(ManuallyDrop::new(Some(Parts {
            shared: Arc::clone(shared),
            cancel: Some(cancel),
            result,
            over,
        })))
    }
}

impl<G: Granted> Future for Flight<G> {
    type Output = Result<G>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<G>> {
        let parts = self.0.as_mut().expect("it is not polled after its end");
        let result = std::task::ready!(Pin::new(&mut parts.result).poll(context));
        drop(self.0.take());
        // The task sends before it ends, and is dropped unfinished only with the client, which this keeps.
        Poll::Ready(result.expect("the task sends its result"))
    }
}

impl<G: Granted> Drop for Flight<G> {
    fn drop(&mut self) {
        let Some(mut parts) = self
            .0
            .take_if(|parts| !parts.shared.runtime.is_forked_child())
        else {
            return;
        };
        parts.result.close();
        if let Ok(Ok(granted)) = parts.result.try_recv() {
            parts.shared.release_within(LEAVING, granted);
            return;
        }
        parts.cancel = None;
        // Nothing is ever sent: this waits for the end of the task.
        let _ = parts.over.recv_timeout(LEAVING);
    }
}
