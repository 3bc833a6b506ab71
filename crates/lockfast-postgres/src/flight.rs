//! A wait that ends when nobody waits for it any more.
//!
//! That of a thread runs on this thread, which does nothing else. That of a task runs on the thread of the client:
//! the program may leave its task alone for longer than a lease.

use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

use lockfast::Result;
use tokio::sync::oneshot;

use crate::client::Shared;
use crate::park;

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
    /// Dropping it tells the wait that nobody waits.
    cancel: Option<oneshot::Sender<()>>,
    runs: Runs<G>,
}

enum Runs<G> {
    /// On the thread that polls it.
    Here(Pin<Box<dyn Future<Output = Result<G>> + Send>>),
    /// On the thread of the client.
    There {
        result: oneshot::Receiver<Result<G>>,
        over: Over,
    },
}

/// Disconnected when a task has ended.
type Over = mpsc::Receiver<()>;

impl<G: Granted> Flight<G> {
    /// Returns the wait of a thread, which polls it until its end or drops it.
    pub(crate) fn here<F>(shared: &Arc<Shared>, wait: impl FnOnce(Cancelled) -> F) -> Self
    where
        F: Future<Output = Result<G>> + Send + 'static,
    {
        let (cancel, cancelled) = oneshot::channel();
        Self::new(shared, cancel, Runs::Here(Box::pin(wait(cancelled))))
    }

    /// Starts the wait of a task.
    pub(crate) fn start<F>(shared: &Arc<Shared>, wait: impl FnOnce(Cancelled) -> F) -> Self
    where
        F: Future<Output = Result<G>> + Send + 'static,
    {
        let (cancel, cancelled) = oneshot::channel();
        let (sender, result) = oneshot::channel();
        let wait = wait(cancelled);
        let over = spawn(shared, async move {
            // Nobody takes it: the wait was dropped after it was granted.
            if let Err(Ok(granted)) = sender.send(wait.await) {
                granted.give_back().await;
            }
        });
        Self::new(shared, cancel, Runs::There { result, over })
    }

    fn new(shared: &Arc<Shared>, cancel: oneshot::Sender<()>, runs: Runs<G>) -> Self {
        Self(ManuallyDrop::new(Some(Parts {
            shared: Arc::clone(shared),
            cancel: Some(cancel),
            runs,
        })))
    }
}

/// Spawns a task on the thread of the client.
fn spawn(shared: &Shared, task: impl Future<Output = ()> + Send + 'static) -> Over {
    let (running, over) = mpsc::channel::<()>();
    shared.runtime.spawn(async move {
        let _running = running;
        task.await;
    });
    over
}

impl<G: Granted> Future for Flight<G> {
    type Output = Result<G>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<G>> {
        let parts = self.0.as_mut().expect("it is not polled after its end");
        let result = match &mut parts.runs {
            Runs::Here(wait) => {
                let _context = parts.shared.runtime.handle().enter();
                std::task::ready!(park::poll(true, wait.as_mut(), context))
            }
            Runs::There { result, .. } => {
                let result = std::task::ready!(Pin::new(result).poll(context));
                // The task sends before it ends, and is dropped unfinished only with the client, which this keeps.
                result.expect("the task sends its result")
            }
        };
        drop(self.0.take());
        Poll::Ready(result)
    }
}

impl<G: Granted> Drop for Flight<G> {
    fn drop(&mut self) {
        let Some(parts) = self
            .0
            .take_if(|parts| !parts.shared.runtime.is_forked_child())
        else {
            return;
        };
        let Parts {
            shared,
            cancel,
            runs,
        } = parts;
        drop(cancel);
        let over = match runs {
            // The server may have begun: it is ended there.
            Runs::Here(wait) => spawn(&shared, async move {
                if let Ok(granted) = wait.await {
                    granted.give_back().await;
                }
            }),
            Runs::There { mut result, over } => {
                result.close();
                if let Ok(Ok(granted)) = result.try_recv() {
                    shared.release_within(LEAVING, granted);
                    return;
                }
                over
            }
        };
        // Nothing is ever sent: this waits for the end of the task.
        let _ = over.recv_timeout(LEAVING);
    }
}
