//! A thread that waits for a future which always ends.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::task::unconstrained;

thread_local! {
    static MAY_BLOCK: Cell<bool> = const { Cell::new(false) };
}

/// Whether the future that this thread polls may block it: the thread does nothing else.
pub(crate) fn may_block() -> bool {
    MAY_BLOCK.get()
}

/// Polls a future, which may block the thread meanwhile or not.
///
/// Without tokio's limit: in a task of the program, this thread would wait for the task to pause, which it never does.
pub(crate) fn poll<F: Future + ?Sized>(
    may_block: bool,
    future: Pin<&mut F>,
    context: &mut Context<'_>,
) -> Poll<F::Output> {
    let before = MAY_BLOCK.replace(may_block);
    let polled = pin!(unconstrained(future)).poll(context);
    MAY_BLOCK.set(before);
    polled
}

/// Runs a future that has several requests on the way, so that none blocks the thread.
pub(crate) async fn together<F: Future>(mut future: Pin<&mut F>) -> F::Output {
    poll_fn(|context| poll(false, future.as_mut(), context)).await
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls the future on this thread, which sleeps in between. No token of the user's ends it.
pub(crate) fn until<R>(future: impl Future<Output = R>) -> R {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(result) = poll(true, future.as_mut(), &mut context) {
            return result;
        }
        thread::park();
    }
}
