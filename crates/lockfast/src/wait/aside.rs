//! Helper threads, which block for tasks.
//!
//! The kernel's queue is left only by a thread that is in it, so each task that waits there has a
//! thread of its own, and none otherwise: of many tasks that wait for one handle only the first is in
//! the kernel's queue. A helper that has nothing to do waits a while for more.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use super::interruption;
use crate::cancel::CancelToken;
use crate::per_process::PerProcess;
use crate::sys::alarm::{self, without_signals};
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
/// When the system has no thread left, or [`MAX_HELPERS`] work already.
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
        match &mut *state {
            State::Pending(Some(waker)) => waker.clone_from(context.waker()),
            State::Pending(none) => *none = Some(context.waker().clone()),
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
        if let State::Pending(waker) = &mut *state {
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
        let waker = match &mut *self.state() {
            State::Pending(waker) => waker.take(),
            _ => None,
        };
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
        if let State::Pending(Some(waker)) = before {
            waker.wake();
        }
        drop(rest);
    }

    fn state(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Work = Box<dyn FnOnce() + Send>;

/// The helpers of this process.
#[derive(Default)]
struct Crew {
    state: Mutex<CrewState>,
    called: Condvar,
}

#[derive(Default)]
struct CrewState {
    work: VecDeque<Work>,
    idle: usize,
    all: usize,
}

/// How many tasks of a process may wait in the kernel's queues at once.
const MAX_HELPERS: usize = 8192;

/// How many stay when there is nothing to do, and for how long.
const MAX_IDLE: usize = 4;
const IDLE_FOR: Duration = Duration::from_secs(1);

/// What a helper does needs little; of what is set aside here, only what is used takes memory.
const STACK_SIZE: usize = 128 * 1024;

impl Crew {
    fn of_process() -> &'static Self {
        static CREW: OnceLock<PerProcess<Crew>> = OnceLock::new();
        CREW.get_or_init(|| PerProcess::new(Crew::default()))
            .get(Crew::default)
    }

    /// Gives the work to a helper, a new one if all have something to do.
    fn assign(&'static self, work: Work) -> io::Result<()> {
        let mut state = self.state();
        if state.idle > state.work.len() {
            state.work.push_back(work);
            // Whoever wakes finds the mutex free.
            drop(state);
            self.called.notify_one();
            return Ok(());
        }
        if state.all >= MAX_HELPERS {
            return Err(io::Error::other(
                "8192 tasks of this process wait for locks already",
            ));
        }
        let builder = thread::Builder::new()
            .name("lockfast-wait".to_owned())
            .stack_size(STACK_SIZE);
        alarm::prepare();
        without_signals(|| builder.spawn(|| self.help(work)))?;
        state.all += 1;
        Ok(())
    }

    fn help(&self, first: Work) {
        interruption::keep_alarm();
        let mut next = Some(first);
        while let Some(work) = next {
            work();
            next = self.next();
        }
    }

    /// More to do; none when the helper is not needed any more.
    fn next(&self) -> Option<Work> {
        let mut state = self.state();
        if state.work.is_empty() && state.idle < MAX_IDLE {
            state.idle += 1;
            let waited = self
                .called
                .wait_timeout_while(state, IDLE_FOR, |state| state.work.is_empty());
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
        let work = state.work.pop_front();
        if work.is_none() {
            state.all -= 1;
        }
        work
    }

    fn state(&self) -> MutexGuard<'_, CrewState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
            let (woken, wakes) = mpsc::channel();
            let count = Arc::new(Count(AtomicUsize::new(0), woken));
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
            wakes.recv().expect("woken");
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

    #[test]
    fn one_more_than_may_wait_is_refused_and_not_counted() {
        let crew: &'static Crew = Box::leak(Box::default());
        crew.state().all = MAX_HELPERS;
        let refused = crew.assign(Box::new(|| unreachable!("nobody does it")));
        let told = refused.expect_err("there are enough").to_string();
        assert!(told.contains(&MAX_HELPERS.to_string()), "{told}");
        assert_eq!(crew.state().all, MAX_HELPERS);
        assert!(crew.state().work.is_empty());
    }
}
