//! Sleeping until granted, with deadlines and with callbacks that can end the wait.
//!
//! A wait has two parts: among the threads of this process (`queue`), and, for the one whose turn
//! it is, in the kernel's queue (`kernel`). [`Wait`] is what both share: how long, since when, and
//! whom to tell.
//!
//! A thread blocks, and a task awaits. What they do is written once, as `async fn`: a thread runs it
//! by [`now`], because its sleeps block and so nothing is ever pending. A task has a helper thread
//! block in the kernel's queue for it (`offload`).

mod block_on;
mod courtesy;
mod forked;
mod granted;
mod helper_pool;
mod interruption;
mod kernel;
mod notifier;
mod offload;
mod opening;
mod ticker;

use crate::types::wait_limit::WaitLimit;
use crate::types::waiting::Waiting;
use std::fmt;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::handle::Handle;
use crate::queue::{Enqueued, QueuedWaiter, Shared, SpinOutcome, Turn};
use crate::sys::Parked;
use crate::types::cancel;
use crate::types::error::{Cause, Error, Operation, Result};
use crate::types::fairness::Fairness;
use crate::types::holder::Holder;
use crate::types::thread::ThreadToken;
use crate::types::trace;

pub(crate) use block_on::{WaitEnd, block_on};
pub(crate) use forked::in_one_process;
use interruption::WakeSources;

pub(crate) use helper_pool::no_thread;
pub(crate) use kernel::without_keepers;
pub(crate) use offload::standing_in;

/// Runs what blocks the thread wherever it waits, and so is never pending.
pub(crate) fn now<R>(waits: impl Future<Output = R>) -> R {
    match pin!(waits).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!("the wait of a thread blocks"),
    }
}

/// One wait: how long, since when, and what was said of it.
pub(crate) struct Wait<'h> {
    handle: &'h Arc<Handle>,
    sleeper: Sleeper,
    /// Who would wait for itself, if it holds the lock.
    thread: ThreadToken,
    patience: WaitLimit,
    operation: Operation,
    /// Set when the lock turned out to be held.
    since: Option<Instant>,
    /// When `on_wait` was called last.
    told: Option<Instant>,
    /// In the line of the processes, if there is one.
    number: Option<u64>,
    /// Lasts from then on.
    span: Option<trace::Span>,
}

/// How a thread of this process got in.
pub(crate) enum Admission<'q, T: Shared> {
    /// It has the turn to deal with the kernel.
    Turn(Turn<'q, T>),
    /// By the lane.
    Handoff(Box<T::HeldLock>),
}

/// Who waits, and so how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sleeper {
    /// A thread, which blocks.
    Thread,
    /// A task, which must not.
    Task,
    /// A helper thread, in the kernel's queue for a task.
    Helper,
}

impl<'h> Wait<'h> {
    /// By this thread.
    pub(crate) fn new(
        handle: &'h Arc<Handle>,
        thread: ThreadToken,
        patience: WaitLimit,
        operation: Operation,
    ) -> Self {
        Self::by(Sleeper::Thread, handle, thread, patience, operation)
    }

    /// By a task, which may be polled by any thread, until it is dropped.
    pub(crate) fn of_task(handle: &'h Arc<Handle>, operation: Operation) -> Self {
        let thread = ThreadToken::NONE;
        Self::by(Sleeper::Task, handle, thread, WaitLimit::Forever, operation)
    }

    fn by(
        sleeper: Sleeper,
        handle: &'h Arc<Handle>,
        thread: ThreadToken,
        patience: WaitLimit,
        operation: Operation,
    ) -> Self {
        Self {
            handle,
            sleeper,
            thread,
            patience,
            operation,
            since: None,
            told: None,
            number: None,
            span: None,
        }
    }

    /// Is there to be no wait?
    pub(crate) fn is_impatient(&self) -> bool {
        self.patience == WaitLimit::None
    }

    /// Did this wait sleep, or would it have?
    pub(crate) fn has_begun(&self) -> bool {
        self.since.is_some()
    }

    /// Attempts it, a few times before a thread waits: to be put to sleep and woken takes longer than
    /// many sections that are locked. A task must not hold up the thread that polls it, and one that
    /// is awake would win too often against those that have to be woken. In a strict order, whoever
    /// comes meanwhile would be in the line before this one.
    pub(crate) fn attempt<E>(
        &self,
        mut attempt: impl FnMut() -> std::result::Result<bool, E>,
    ) -> std::result::Result<bool, E> {
        let sleeps = self.sleeper == Sleeper::Thread && self.patience != WaitLimit::None;
        let is_ordered = self.handle.settings().fairness == Fairness::Fifo;
        if sleeps && !self.has_begun() && !is_ordered {
            for _ in 1..ATTEMPTS {
                if attempt()? {
                    return Ok(true);
                }
            }
        }
        attempt()
    }

    /// Waits for the turn among the threads of this process.
    pub(crate) async fn for_turn<'q, T: Shared>(
        &mut self,
        joined: Enqueued<'q, T>,
        holder: impl Fn() -> Option<Holder>,
    ) -> Result<Turn<'q, T>> {
        match joined {
            Enqueued::Turn(turn) => Ok(turn),
            Enqueued::QueuedWaiter(place) => self.at_place(place, holder).await,
        }
    }

    /// Waits at that place until the turn comes.
    pub(crate) async fn at_place<'q, T: Shared>(
        &mut self,
        mut place: QueuedWaiter<'q, T>,
        holder: impl Fn() -> Option<Holder>,
    ) -> Result<Turn<'q, T>> {
        self.begin(&holder)?;
        loop {
            if self.sleeper == Sleeper::Task {
                place.granted().await;
            } else {
                self.unless_deadlock(|| place.was_inside())?;
                self.parked(|until| place.park(until), &holder)?;
            }
            match place.enter() {
                Ok(turn) => return Ok(turn),
                Err(called_off) => place = called_off,
            }
        }
    }

    /// Is it one that may compete for the lane? The program's functions could take their time while
    /// others rely on it, and so could whoever polls a task.
    pub(crate) fn may_compete(&self) -> bool {
        let settings = self.handle.settings();
        self.sleeper == Sleeper::Thread
            && settings.on_wait.is_none()
            && settings.on_interrupt.is_none()
    }

    /// Waits for the lane or for the turn, as one that competes.
    pub(crate) fn at_lane<'q, T: Shared>(
        &mut self,
        mut place: QueuedWaiter<'q, T>,
        holder: impl Fn() -> Option<Holder>,
    ) -> Result<Admission<'q, T>> {
        self.begin(&holder)?;
        self.unless_deadlock(|| place.was_inside())?;
        loop {
            match place.come_by() {
                SpinOutcome::Granted => match place.enter() {
                    Ok(turn) => return Ok(Admission::Turn(turn)),
                    Err(called_off) => place = called_off,
                },
                SpinOutcome::Handoff(parcel) => return Ok(Admission::Handoff(parcel)),
                SpinOutcome::Nothing => self.parked(|until| place.park(until), &holder)?,
            }
        }
    }

    /// Puts this thread to sleep until it is woken.
    #[cold]
    fn parked(
        &mut self,
        park: impl Fn(Option<Instant>) -> Parked,
        holder: &impl Fn() -> Option<Holder>,
    ) -> Result<()> {
        let interruption = WakeSources::of_tokens().and_to_ask(self.asks_whether_to_go_on());
        loop {
            self.unless_cancelled()?;
            let until = earlier(self.patience.deadline(), self.next_call());
            match park(earlier(until, interruption.come_back())) {
                Parked::Granted => return Ok(()),
                Parked::TimedOut => {
                    self.unless_over(holder)?;
                    self.tell_if_due(holder)?;
                }
                Parked::Interrupted => self.unless_interrupted()?,
            }
        }
    }

    /// It is held: notes that, tells it once, and fails at once if there is no patience.
    fn begin(&mut self, holder: impl Fn() -> Option<Holder>) -> Result<()> {
        if self.since.is_none() {
            if self.patience == WaitLimit::None {
                return Err(self.contended(holder()));
            }
            self.since = Some(Instant::now());
            let path = self.handle.path();
            self.span = Some(trace::waiting(path, self.operation, &holder));
            self.tell(holder)?;
        }
        Ok(())
    }

    /// An error if the wait would never end, because the thread itself is inside.
    fn unless_deadlock(&self, is_inside: impl FnOnce() -> bool) -> Result<()> {
        if self.may_end() || self.thread == ThreadToken::NONE || !is_inside() {
            return Ok(());
        }
        let why = "this thread holds it already, and would wait for itself; if another thread has \
                   the guard now, call its hand_over() before";
        Err(self.error(Cause::Deadlock(why)))
    }

    /// An error if an upgrade would never end, because the thread itself reads.
    pub(crate) fn unless_reader(&self, reads: impl FnOnce() -> bool) -> Result<()> {
        if self.may_end() || !reads() {
            return Ok(());
        }
        let why = "this thread also reads, and would wait for itself; if another thread has the read \
                   guard now, call its hand_over() before";
        Err(self.error(Cause::Deadlock(why)))
    }

    /// Whether something may end the wait before it is granted.
    fn may_end(&self) -> bool {
        self.patience != WaitLimit::Forever || self.interval().is_some() || cancel::is_possible()
    }

    /// An error if the deadline has passed.
    pub(crate) fn unless_over(&self, holder: impl Fn() -> Option<Holder>) -> Result<()> {
        match self.patience.deadline() {
            Some(deadline) if deadline <= Instant::now() => {
                Err(self.error(Cause::TimedOut(self.waited(), holder())))
            }
            _ => Ok(()),
        }
    }

    /// An error if a token was cancelled under which this thread runs.
    fn unless_cancelled(&self) -> Result<()> {
        if cancel::is_demanded() {
            return Err(self.cancelled());
        }
        Ok(())
    }

    /// Does the program want to be asked now and then?
    fn asks_whether_to_go_on(&self) -> bool {
        self.handle.settings().on_interrupt.is_some()
    }

    /// An error if the program wants to give up, after a signal.
    fn unless_interrupted(&self) -> Result<()> {
        self.unless_cancelled()?;
        match &self.handle.settings().on_interrupt {
            Some(hook) if hook().is_break() => Err(self.cancelled()),
            _ => Ok(()),
        }
    }

    /// Calls `on_wait`; an error if it wants to give up.
    fn tell(&mut self, holder: impl Fn() -> Option<Holder>) -> Result<()> {
        let flow = self.call(holder);
        self.told = Some(Instant::now());
        match flow {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(self.cancelled()),
        }
    }

    /// Calls `on_wait` again, when it is time.
    fn tell_if_due(&mut self, holder: impl Fn() -> Option<Holder>) -> Result<()> {
        match self.next_call() {
            Some(due) if due <= Instant::now() => self.tell(holder),
            _ => Ok(()),
        }
    }

    /// What `on_wait` says, if there is one.
    fn call(&self, holder: impl Fn() -> Option<Holder>) -> ControlFlow<()> {
        let Some(hook) = &self.handle.settings().on_wait else {
            return ControlFlow::Continue(());
        };
        hook(&Waiting::new(
            self.handle.path(),
            self.waited(),
            holder().as_ref(),
        ))
    }

    /// When `on_wait` is due again.
    fn next_call(&self) -> Option<Instant> {
        self.told?.checked_add(self.interval()?)
    }

    /// How often `on_wait` is called, if more than once. A task has no thread that could do that.
    fn interval(&self) -> Option<Duration> {
        if self.sleeper != Sleeper::Thread {
            return None;
        }
        let settings = self.handle.settings();
        settings.on_wait.as_ref()?;
        settings.wait_interval
    }

    fn waited(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Tells that it has got what it wanted.
    pub(crate) fn acquired(&self, mode: &'static str) {
        let path = self.handle.path();
        match &self.span {
            Some(span) => trace::granted(path, mode, span, || self.waited()),
            None => trace::acquired(path, mode),
        }
    }

    pub(crate) fn contended(&self, holder: Option<Holder>) -> Error {
        self.error(Cause::Contended(holder))
    }

    fn cancelled(&self) -> Error {
        self.error(Cause::Cancelled(self.waited()))
    }

    fn error(&self, cause: Cause) -> Error {
        trace::gave_up(
            self.handle.path(),
            self.operation,
            &cause,
            self.span.as_ref(),
        );
        Error::new(self.handle.path(), self.operation, cause)
    }
}

impl fmt::Debug for Wait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait")
            .field("patience", &self.patience)
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}

/// How often a lock is tried before the thread sleeps.
const ATTEMPTS: u32 = 4;

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
