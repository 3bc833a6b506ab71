//! The work of a helper thread for a task, seen from the task.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use super::helper_pool::{HelperPool, NAME, QueuedWork};
use crate::file::Line;
use crate::sys::mutex;
use crate::sys::{STAND_IN, fork, process};
use crate::types::cancel::CancelToken;

/// The work of a helper for a task. Dropped before it is done, it is cancelled, and it has ended when
/// the drop is over.
pub(super) struct Offload<R> {
    shared: Arc<Promise<R>>,
    // Of this work alone, so that a dropped task ends no other wait.
    token: CancelToken,
    /// Its place, if it could not be begun at once.
    place: Option<QueuedWork>,
    generation: u64,
}

struct Promise<R> {
    // Free while a waker runs or a result is dropped: both are code of the program.
    state: Mutex<Progress<R>>,
    // Only the drop of a task that was abandoned waits here.
    done: Condvar,
}

// | state | next |
// |---|---|
// | `Pending` | `Done`, by the helper; `Abandoned`, by the drop of the task |
// | `Abandoned` | `Done`, by the helper, which wakes the drop |
// | `Done` | `Taken`, by the poll or the drop |
// | `Taken` | – |
enum Progress<R> {
    Pending(Option<Waker>),
    /// The task is gone, and whoever drops it waits until this is done.
    Abandoned,
    Done(thread::Result<R>),
    Taken,
}

/// Starts it. Waits in there are ended by the token that is cancelled on drop. What it has left beside
/// its result is dropped when the task was woken: it must not come between the grant and the task. Of a line,
/// only so much is done at once.
///
/// # Errors
///
/// When the system has no thread left, or as many as there may be work already.
pub(super) fn start<R: Send + 'static, Rest>(
    line: Option<Line>,
    work: impl FnOnce() -> (R, Rest) + Send + 'static,
) -> io::Result<Offload<R>> {
    let shared = Arc::new(Promise {
        state: Mutex::new(Progress::Pending(None)),
        done: Condvar::new(),
    });
    let token = CancelToken::new();
    let (own, cancelled) = (Arc::clone(&shared), token.clone());
    // Read here, as the helper is another thread.
    let stands_in = STANDS_IN.get();
    let work = Box::new(move || {
        let _named = stands_in.then(StandIn::begin);
        // What else the closure owns is dropped before anybody learns that it is done.
        match panic::catch_unwind(AssertUnwindSafe(|| cancelled.run(work))) {
            Ok((result, rest)) => own.finish(Ok(result), rest),
            Err(payload) => own.finish(Err(payload), ()),
        }
    });
    let place = HelperPool::of_process().assign(work, line)?;
    Ok(Offload {
        shared,
        token,
        place,
        generation: fork::generation(),
    })
}

/// Polls for a thread that does nothing else until it is over: the helpers that it needs meanwhile bear a name
/// by which the inspection counts the two as one.
pub(crate) fn standing_in<R>(poll: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            STANDS_IN.set(self.0);
        }
    }
    // By a drop, so also when the poll panics.
    let _restore = Restore(STANDS_IN.replace(true));
    poll()
}

thread_local! {
    static STANDS_IN: Cell<bool> = const { Cell::new(false) };
}

/// The helper's other name, until this is dropped.
struct StandIn;

impl StandIn {
    fn begin() -> Self {
        process::name_this_thread(STAND_IN);
        Self
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        process::name_this_thread(NAME);
    }
}

impl<R> Future for Offload<R> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        let mut state = self.shared.state();
        match &mut *state {
            Progress::Pending(waker) => match waker {
                Some(waker) => waker.clone_from(context.waker()),
                none => *none = Some(context.waker().clone()),
            },
            Progress::Done(_) => {
                let done = std::mem::replace(&mut *state, Progress::Taken);
                drop(state);
                match done {
                    Progress::Done(Ok(result)) => return Poll::Ready(result),
                    Progress::Done(Err(payload)) => panic::resume_unwind(payload),
                    _ => unreachable!("looked at just now"),
                }
            }
            Progress::Abandoned | Progress::Taken => panic!("polled after it was ready"),
        }
        Poll::Pending
    }
}

impl<R> Drop for Offload<R> {
    fn drop(&mut self) {
        if self.generation != fork::generation() {
            // A forked child's copy: the helper is the parent's.
            return;
        }
        let place = self.place.as_ref();
        if let Some(work) = place.and_then(|place| HelperPool::of_process().withdraw(place)) {
            // Nobody has begun it, so nobody is waited for.
            drop(work);
            return;
        }
        let mut state = self.shared.state();
        if let Progress::Pending(waker) = &mut *state {
            // What the drop of a waker does is the program's, so no mutex may be held.
            let waker = waker.take();
            *state = Progress::Abandoned;
            drop(state);
            drop(waker);
            self.token.cancel();
            state = self.shared.state();
        }
        // What the helper was granted is given back before the drop is over.
        while matches!(*state, Progress::Abandoned) {
            let woken = self.shared.done.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        let left = std::mem::replace(&mut *state, Progress::Taken);
        drop(state);
        drop(left);
    }
}

impl<R> fmt::Debug for Offload<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offload").finish_non_exhaustive()
    }
}

impl<R> Promise<R> {
    fn finish<Rest>(&self, result: thread::Result<R>, rest: Rest) {
        let mut state = self.state();
        if matches!(*state, Progress::Abandoned) {
            drop(state);
            // When whoever drops the task goes on, nothing is left.
            drop(rest);
            // Nobody but the drop, which waits, changes `Abandoned`, so it is still that.
            *self.state() = Progress::Done(result);
            self.done.notify_all();
            return;
        }
        // The result first: the task may be polled before its waker returns.
        let before = std::mem::replace(&mut *state, Progress::Done(result));
        drop(state);
        if let Progress::Pending(Some(waker)) = before {
            // Should that panic, the helper goes on nevertheless: it is counted, and others rely on it.
            let _ = panic::catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
        drop(rest);
    }

    fn state(&self) -> MutexGuard<'_, Progress<R>> {
        mutex::lock(&self.state)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::task::Wake;

    use super::*;

    #[test]
    fn after_a_panic_a_thread_stands_for_itself_again() {
        let poll = || standing_in(|| panic::resume_unwind(Box::new("ouch")));
        panic::catch_unwind(poll).expect_err("the panic goes on");
        assert!(!STANDS_IN.get());
    }

    struct Tells(mpsc::Sender<&'static str>);

    impl Wake for Tells {
        fn wake(self: Arc<Self>) {
            self.0.send("woken").expect("the test goes on");
        }
    }

    impl Drop for Tells {
        fn drop(&mut self) {
            self.0.send("dropped").expect("the test goes on");
        }
    }

    #[test]
    fn a_task_is_woken_before_the_rest_is_dropped() {
        let (tells, told) = mpsc::channel();
        let rest = Tells(tells.clone());
        let (go, may_go) = mpsc::channel();
        let mut offload = start(None, move || {
            may_go.recv().expect("told");
            (7, rest)
        })
        .expect("a thread");
        let waker = Waker::from(Arc::new(Tells(tells)));
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut offload).poll(&mut context).is_pending());
        go.send(()).expect("heard");
        assert_eq!(told.recv(), Ok("woken"));
        assert_eq!(Pin::new(&mut offload).poll(&mut context), Poll::Ready(7));
        assert_eq!(told.recv(), Ok("dropped"));
    }

    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("on purpose");
        }
    }

    struct SaysWhetherPanicking(mpsc::Sender<bool>);

    impl Drop for SaysWhetherPanicking {
        fn drop(&mut self) {
            self.0.send(thread::panicking()).expect("the test goes on");
        }
    }

    #[test]
    fn a_waker_that_panics_does_not_end_the_helper() {
        let (says, said) = mpsc::channel();
        let (go, may_go) = mpsc::channel();
        let rest = SaysWhetherPanicking(says);
        let mut offload = start(None, move || {
            may_go.recv().expect("told");
            (7, rest)
        })
        .expect("a thread");
        let waker = Waker::from(Arc::new(Panics));
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut offload).poll(&mut context).is_pending());
        go.send(()).expect("heard");
        assert_eq!(said.recv(), Ok(false));
        assert_eq!(Pin::new(&mut offload).poll(&mut context), Poll::Ready(7));
    }
}
