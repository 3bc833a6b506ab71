//! A future that is polled by hand, with a waker that counts.

use std::pin::Pin;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use lockfast_testing::DEADLINE;

/// A future and how often it was woken.
pub(crate) struct ByHand<T> {
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    waker: Waker,
    wakes: Receiver<()>,
}

struct Tell(Mutex<Sender<()>>);

impl Wake for Tell {
    fn wake(self: Arc<Self>) {
        // The future may be gone, and with it who listens.
        let _ = self.0.lock().expect("no panic").send(());
    }
}

impl<T> ByHand<T> {
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        let (tell, wakes) = mpsc::channel();
        Self {
            future: Box::pin(future),
            waker: Waker::from(Arc::new(Tell(Mutex::new(tell)))),
            wakes,
        }
    }

    /// Returns a future that was polled once, and has to wait.
    #[track_caller]
    pub(crate) fn waiting(future: impl Future<Output = T> + Send + 'static) -> Self {
        let mut this = Self::new(future);
        assert!(this.poll().is_pending(), "it has to wait");
        this
    }

    pub(crate) fn poll(&mut self) -> Poll<T> {
        let mut context = Context::from_waker(&self.waker);
        self.future.as_mut().poll(&mut context)
    }

    /// Waits until it is woken, without polling it.
    #[track_caller]
    pub(crate) fn is_woken(&self) {
        self.wakes.recv_timeout(DEADLINE).expect("a wake-up");
    }

    /// Polls it whenever it is woken, until it is done.
    #[track_caller]
    pub(crate) fn finish(mut self) -> T {
        loop {
            match self.poll() {
                Poll::Ready(result) => return result,
                Poll::Pending => self.is_woken(),
            }
        }
    }
}
