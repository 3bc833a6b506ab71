//! Reading and writing on a connection, by those who wait for its answers.
//!
//! | who waits for an answer | who reads and writes |
//! |---|---|
//! | nobody | a task on the client's own thread |
//! | a thread | it does so itself: it waits for the socket for a moment, and then for the client's thread |
//! | a task | it does so itself, woken by the client's thread |
//! | several | the first of them |
//!
//! The first has the *turn*. It gives it back at the end of its wait, with the events that it did not look at.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use crate::park;
use crate::session::lock;
use crate::wire::Ear;

/// The future of a connection.
type Connection = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A connection that is polled by one of several.
pub(crate) struct Pump(Arc<Inner>);

struct Inner {
    /// Nothing after its end. Locked before `turn` and never after it.
    connection: Mutex<Option<Connection>>,
    turn: Mutex<Turn>,
    ear: Option<Ear>,
}

/// The turn to poll the connection.
#[derive(Default)]
struct Turn {
    /// The connection was woken after it was polled for the last time. Whoever is woken for it sees this, or leaves
    /// it to the next.
    is_due: bool,
    has_waiter: bool,
    /// Nothing while the waiter is awake: it looks at `is_due` before it sleeps.
    waiter: Option<Waker>,
    /// The task on the client's own thread.
    task: Option<Waker>,
}

impl Pump {
    /// Polls the connection on the thread of the runtime in whose context this is called, until it ends.
    pub(crate) fn start(
        connection: impl Future<Output = ()> + Send + 'static,
        ear: Option<Ear>,
    ) -> Self {
        let turn = Turn {
            is_due: true,
            ..Turn::default()
        };
        let inner = Arc::new(Inner {
            connection: Mutex::new(Some(Box::pin(connection))),
            turn: Mutex::new(turn),
            ear,
        });
        let task = Ending(Arc::clone(&inner));
        tokio::spawn(async move { poll_fn(|context| task.0.poll_as_task(context)).await });
        Self(inner)
    }

    /// Ends the connection.
    pub(crate) fn stop(&self) {
        self.0.end();
    }

    /// Waits for an answer of the connection. May be called on any thread.
    pub(crate) async fn wait_for<F: Future>(&self, mut answer: Pin<&mut F>) -> F::Output {
        let mut waiter = Waiter {
            pump: &self.0,
            is_first: false,
            may_block: true,
        };
        poll_fn(|context| {
            waiter.wake_up();
            loop {
                if let Poll::Ready(answer) = answer.as_mut().poll(context) {
                    waiter.poll_if_due();
                    return Poll::Ready(answer);
                }
                if !waiter.poll_connection(context) {
                    return Poll::Pending;
                }
            }
        })
        .await
    }
}

impl Inner {
    fn poll_as_task(self: &Arc<Self>, context: &mut Context<'_>) -> Poll<()> {
        {
            let mut turn = lock(&self.turn);
            turn.task = Some(context.waker().clone());
            if !turn.has_waiter {
                turn.is_due = false;
                drop(turn);
                self.poll();
            }
        }
        if lock(&self.connection).is_none() {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Polls the connection. Its wake-ups go to whoever has the turn then.
    fn poll(self: &Arc<Self>) {
        let waker = Waker::from(Arc::clone(self));
        let mut connection = lock(&self.connection);
        let Some(running) = connection.as_mut() else {
            return;
        };
        if running
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_ready()
        {
            // Before others can poll it.
            let ended = connection.take();
            drop(connection);
            drop(ended);
            self.end();
        }
    }

    fn end(&self) {
        let connection = lock(&self.connection).take();
        // Closes the socket, and wakes those who wait for answers.
        drop(connection);
        let task = lock(&self.turn).task.take();
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl Wake for Inner {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let waker = {
            let mut turn = lock(&self.turn);
            turn.is_due = true;
            if turn.has_waiter {
                turn.waiter.take()
            } else {
                turn.task.clone()
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The connection ends with the task, and so with the client: it holds itself by its waker.
struct Ending(Arc<Inner>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A wait for an answer.
struct Waiter<'a> {
    pump: &'a Arc<Inner>,
    /// Whether this one polls the connection.
    is_first: bool,
    /// Whether the thread, if it is one that may block, has not waited by itself yet.
    may_block: bool,
}

impl Waiter<'_> {
    /// Takes the turn, if nobody else has it.
    fn wake_up(&mut self) {
        let mut turn = lock(&self.pump.turn);
        if self.is_first || !turn.has_waiter {
            self.is_first = true;
            turn.has_waiter = true;
            turn.waiter = None;
        }
    }

    /// Polls the connection, or has its next event wake this one. Whether it was polled.
    fn poll_connection(&mut self, context: &Context<'_>) -> bool {
        if !self.is_first {
            return false;
        }
        if self.poll_if_due() {
            return true;
        }
        if self.block() {
            lock(&self.pump.turn).is_due = false;
            self.pump.poll();
            return true;
        }
        let mut turn = lock(&self.pump.turn);
        if !turn.is_due {
            turn.waiter = Some(context.waker().clone());
            return false;
        }
        drop(turn);
        self.poll_if_due()
    }

    /// Polls the connection if it was woken. After the answer, this saves a wake-up of the client's thread, which
    /// has seen the event of the socket too.
    fn poll_if_due(&self) -> bool {
        let is_due = self.is_first && std::mem::take(&mut lock(&self.pump.turn).is_due);
        if is_due {
            self.pump.poll();
        }
        is_due
    }

    /// Blocks the thread for a moment, if it may and can. Whether the socket has something to read.
    fn block(&mut self) -> bool {
        if !self.may_block || !park::may_block() {
            return false;
        }
        let is_readable = self.pump.ear.as_ref().is_some_and(Ear::wait);
        self.may_block = is_readable;
        is_readable
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if !self.is_first {
            return;
        }
        let mut turn = lock(&self.pump.turn);
        turn.has_waiter = false;
        turn.waiter = None;
        // An event that this one did not look at.
        let task = turn.is_due.then(|| turn.task.clone()).flatten();
        drop(turn);
        if let Some(task) = task {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use tokio::runtime::Builder;
    use tokio::task::yield_now;

    use super::*;

    #[test]
    fn an_event_goes_to_the_waiter_or_else_to_the_task() {
        let polls = Arc::new(AtomicU32::new(0));
        let polled = || polls.load(Ordering::Relaxed);
        let event = Arc::new(Mutex::new(None::<Waker>));
        let (count, socket) = (Arc::clone(&polls), Arc::clone(&event));
        let connection = poll_fn(move |context| {
            count.fetch_add(1, Ordering::Relaxed);
            *lock(&socket) = Some(context.waker().clone());
            Poll::Pending
        });
        let wake = || lock(&event).clone().expect("polled").wake();
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let pump = Pump::start(connection, None);
            yield_now().await;
            assert_eq!(polled(), 1);
            let mut answer = Box::pin(pending::<()>());
            let mut wait = Box::pin(pump.wait_for(answer.as_mut()));
            let mut context = Context::from_waker(Waker::noop());
            assert!(wait.as_mut().poll(&mut context).is_pending());
            wake();
            yield_now().await;
            assert_eq!(polled(), 1, "the waiter has the turn");
            assert!(wait.as_mut().poll(&mut context).is_pending());
            assert_eq!(polled(), 2);
            wake();
            drop(wait);
            yield_now().await;
            assert_eq!(polled(), 3, "the waiter did not look at the event");
        });
    }

    #[test]
    fn a_connection_that_has_ended_is_not_polled_again() {
        const TIMES: u32 = 100;
        for _ in 0..2_000 {
            let mut polls = 0;
            let connection = poll_fn(move |_| {
                polls += 1;
                assert!(polls <= TIMES, "it has ended");
                if polls == TIMES {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            });
            let inner = Arc::new(Inner {
                connection: Mutex::new(Some(Box::pin(connection))),
                turn: Mutex::default(),
                ear: None,
            });
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| (0..TIMES).for_each(|_| inner.poll()));
                }
            });
        }
    }

    #[test]
    fn the_connection_ends_with_the_runtime() {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let socket = Arc::new(());
        let held = Arc::clone(&socket);
        let pump = runtime.block_on(async {
            let connection = poll_fn(move |_| {
                assert!(Arc::strong_count(&held) > 0);
                Poll::Pending
            });
            Pump::start(connection, None)
        });
        assert_eq!(Arc::strong_count(&socket), 2);
        drop(runtime);
        assert_eq!(Arc::strong_count(&socket), 1);
        drop(pump);
    }
}
