//! What a helper thread does for a task, seen from the task.

use std::fmt;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use super::crew::Crew;
use crate::cancel::CancelToken;
use crate::sys::fork;

/// What a helper does for a task. Dropped before it is done, it is cancelled, and it has ended when
/// the drop is over.
pub(super) struct Aside<R> {
    shared: Arc<Shared<R>>,
    token: CancelToken,
    generation: u64,
}

struct Shared<R> {
    state: Mutex<State<R>>,
    done: Condvar,
}

enum State<R> {
    Pending(Option<Waker>),
    /// The task was woken early.
    Ending(Option<Waker>),
    /// The task is gone, and whoever drops it waits until this is done.
    Abandoned,
    Done(thread::Result<R>),
    Taken,
}

/// Starts it. Waits in there are ended by the token that is cancelled on drop. What it has left beside
/// its result is dropped when the task was told: it must not come between the grant and the task. What
/// it is given wakes the task, which takes longer than the rest of the work, if it is called just before
/// the end.
///
/// # Errors
///
/// When the system has no thread left, or as many as there may be work already.
pub(super) fn start<R: Send + 'static, Rest>(
    work: impl FnOnce(&(dyn Fn() + Sync)) -> (R, Rest) + Send + 'static,
) -> io::Result<Aside<R>> {
    let shared = Arc::new(Shared {
        state: Mutex::new(State::Pending(None)),
        done: Condvar::new(),
    });
    let token = CancelToken::new();
    let (own, cancelled) = (Arc::clone(&shared), token.clone());
    Crew::of_process().assign(Box::new(move || {
        // What else the closure owns is dropped before anybody learns that it is done.
        let work = || work(&|| own.wake_early());
        match panic::catch_unwind(AssertUnwindSafe(|| cancelled.run(work))) {
            Ok((result, rest)) => own.finish(Ok(result), rest),
            Err(payload) => own.finish(Err(payload), ()),
        }
    }))?;
    Ok(Aside {
        shared,
        token,
        generation: fork::generation(),
    })
}

impl<R> Future for Aside<R> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        let mut state = self.shared.state();
        for _ in 0..ENDS_WITHIN {
            if !matches!(*state, State::Ending(_)) {
                break;
            }
            drop(state);
            // To be put to sleep and woken again takes longer; and the helper may need this processor.
            thread::yield_now();
            state = self.shared.state();
        }
        match &mut *state {
            State::Pending(waker) | State::Ending(waker) => match waker {
                Some(waker) => waker.clone_from(context.waker()),
                none => *none = Some(context.waker().clone()),
            },
            State::Done(_) => {
                let done = std::mem::replace(&mut *state, State::Taken);
                drop(state);
                match done {
                    State::Done(Ok(result)) => return Poll::Ready(result),
                    State::Done(Err(payload)) => panic::resume_unwind(payload),
                    _ => unreachable!("looked at just now"),
                }
            }
            State::Abandoned | State::Taken => panic!("polled after it was ready"),
        }
        Poll::Pending
    }
}

impl<R> Drop for Aside<R> {
    fn drop(&mut self) {
        if self.generation != fork::generation() {
            // A forked child's copy: the helper is the parent's.
            return;
        }
        let mut state = self.shared.state();
        if let State::Pending(waker) | State::Ending(waker) = &mut *state {
            // What the drop of a waker does is the program's, so no mutex may be held.
            let waker = waker.take();
            *state = State::Abandoned;
            drop(state);
            drop(waker);
            self.token.cancel();
            state = self.shared.state();
        }
        while matches!(*state, State::Abandoned) {
            let woken = self.shared.done.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        let left = std::mem::replace(&mut *state, State::Taken);
        drop(state);
        drop(left);
    }
}

impl<R> fmt::Debug for Aside<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aside").finish_non_exhaustive()
    }
}

impl<R> Shared<R> {
    /// Wakes the task before it is done. Should it be there first, it says again by whom it is woken.
    fn wake_early(&self) {
        let mut state = self.state();
        let State::Pending(waker) = &mut *state else {
            return;
        };
        let waker = waker.take();
        *state = State::Ending(None);
        drop(state);
        if let Some(waker) = waker {
            // If that panics, the work must go on to where it can be undone.
            let _ = panic::catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
    }

    fn finish<Rest>(&self, result: thread::Result<R>, rest: Rest) {
        let mut state = self.state();
        if matches!(*state, State::Abandoned) {
            drop(state);
            // When whoever drops the task goes on, nothing is left.
            drop(rest);
            *self.state() = State::Done(result);
            self.done.notify_all();
            return;
        }
        let before = std::mem::replace(&mut *state, State::Done(result));
        drop(state);
        if let State::Pending(Some(waker)) | State::Ending(Some(waker)) = before {
            waker.wake();
        }
        drop(rest);
    }

    fn state(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often a task that was woken early lets others go first before it sleeps again.
const ENDS_WITHIN: u32 = 32;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::task::Wake;

    use super::*;

    struct Count(AtomicUsize, mpsc::Sender<()>);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
            self.1.send(()).expect("the test goes on");
        }
    }

    #[test]
    fn a_task_that_is_woken_early_is_woken_again_only_if_it_came_too_early() {
        for comes_early in [true, false] {
            let (tells, told) = mpsc::channel();
            let count = Arc::new(Count(AtomicUsize::new(0), tells));
            let waker = Waker::from(Arc::clone(&count));
            let mut context = Context::from_waker(&waker);
            let [
                (go, may_go),
                (goes, has_gone),
                (end, may_end),
                (ends, has_ended),
            ] = [(); 4].map(|()| mpsc::channel());
            let work = move |wake_early: &(dyn Fn() + Sync)| {
                may_go.recv().expect("told");
                wake_early();
                wake_early();
                goes.send(()).expect("heard");
                may_end.recv().expect("told");
                (7, SaysWhenDropped(ends))
            };
            let mut aside = start(work).expect("a thread");
            assert!(Pin::new(&mut aside).poll(&mut context).is_pending());
            go.send(()).expect("heard");
            has_gone.recv().expect("woken");
            told.recv().expect("woken");
            if comes_early {
                assert!(Pin::new(&mut aside).poll(&mut context).is_pending());
            }
            end.send(()).expect("heard");
            has_ended.recv().expect("the task was told before");
            assert_eq!(Pin::new(&mut aside).poll(&mut context), Poll::Ready(7));
            let expected = if comes_early { 2 } else { 1 };
            assert_eq!(count.0.load(Ordering::SeqCst), expected);
        }
    }

    struct SaysWhenDropped(mpsc::Sender<()>);

    impl Drop for SaysWhenDropped {
        fn drop(&mut self) {
            self.0.send(()).expect("heard");
        }
    }
}
