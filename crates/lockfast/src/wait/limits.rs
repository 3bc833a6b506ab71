//! The limits of one wait: how long it may last, and what else ends it.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::context::WaitContext;
use crate::types::cancel;
use crate::types::error::{Cause, Error, Operation, Result};
use crate::types::fairness::Fairness;
use crate::types::holder::Holder;
use crate::types::thread::ThreadToken;
use crate::types::trace;
use crate::types::wait_limit::WaitLimit;
use crate::types::waiting::Waiting;

/// A wait of one thread or task, from the first attempt on.
pub(crate) struct Wait<'h, C> {
    pub(super) context: &'h Arc<C>,
    pub(super) kind: WaiterKind,
    /// The thread that would wait for itself, if it holds the lock.
    pub(super) thread: ThreadToken,
    pub(super) limit: WaitLimit,
    pub(super) operation: Operation,
    /// Set when the lock turned out to be held.
    pub(super) since: Option<Instant>,
    /// The instant at which `on_wait` was called last.
    pub(super) reported: Option<Instant>,
    /// Whether `on_wait` broke the wait in the instant of a grant. A head of the queue for permits waits on after
    /// that grant, and must not.
    pub(super) is_broken: bool,
    /// The number in the FIFO order of the processes, if there is one.
    pub(super) number: Option<u64>,
    /// Lasts as long as the wait.
    span: Option<trace::Span>,
}

// | waiter | among the threads | in the kernel's queue | `on_wait` at its interval |
// |---|---|---|---|
// | `Thread` | parks, and may compete for the hand-off | blocks | by a ticker |
// | `Task` | is woken to be polled | has a helper | never |
// | `Helper` | is not there: the task has the turn | blocks | never |
/// The kind of waiter, which decides how it sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaiterKind {
    /// A thread, which blocks.
    Thread,
    /// A task, which must not.
    Task,
    /// A helper thread, in the kernel's queue for a task.
    Helper,
}

impl<'h, C: WaitContext> Wait<'h, C> {
    /// Begins the wait of this thread.
    pub(crate) fn new(
        context: &'h Arc<C>,
        thread: ThreadToken,
        limit: WaitLimit,
        operation: Operation,
    ) -> Self {
        Self::by(WaiterKind::Thread, context, thread, limit, operation)
    }

    /// Begins the wait of a task, which any thread may poll, until it is dropped.
    pub(crate) fn of_task(context: &'h Arc<C>, operation: Operation) -> Self {
        let thread = ThreadToken::NONE;
        Self::by(
            WaiterKind::Task,
            context,
            thread,
            WaitLimit::Forever,
            operation,
        )
    }

    pub(super) fn by(
        kind: WaiterKind,
        context: &'h Arc<C>,
        thread: ThreadToken,
        limit: WaitLimit,
        operation: Operation,
    ) -> Self {
        Self {
            context,
            kind,
            thread,
            limit,
            operation,
            since: None,
            reported: None,
            is_broken: false,
            number: None,
            span: None,
        }
    }

    /// Whether a single attempt is all.
    pub(crate) fn is_impatient(&self) -> bool {
        self.limit == WaitLimit::None
    }

    /// Whether it sleeps, did so, or was about to.
    pub(crate) fn has_begun(&self) -> bool {
        self.since.is_some()
    }

    /// The number of attempts after the first one, before a thread waits: to be put to sleep and woken takes
    /// longer than many critical sections last. A task must not hold up the thread that polls it, and a
    /// waiter that is awake would win too often against those that have to be woken. In a strict order,
    /// whoever comes meanwhile would be before this one.
    pub(crate) fn more_attempts(&self) -> u32 {
        let sleeps = self.kind == WaiterKind::Thread && self.limit != WaitLimit::None;
        let is_ordered = self.context.settings().fairness == Fairness::Fifo;
        if sleeps && !self.has_begun() && !is_ordered {
            ATTEMPTS - 1
        } else {
            0
        }
    }

    /// The lock is held: notes that and calls `on_wait`, or fails if a single attempt is all.
    pub(super) fn begin(&mut self, holder: impl Fn() -> Option<Holder>) -> Result<()> {
        if self.since.is_none() {
            if self.limit == WaitLimit::None {
                return Err(self.contended(holder()));
            }
            // Set before the hook runs, which gets the time that has passed since.
            self.since = Some(Instant::now());
            let path = self.context.path();
            self.span = Some(trace::waiting(path, self.operation, &holder));
            self.report(holder)?;
        }
        Ok(())
    }

    /// An error if the wait would never end, because the thread itself is inside.
    pub(super) fn ensure_no_deadlock(&self, is_inside: impl FnOnce() -> bool) -> Result<()> {
        if self.may_end() || self.thread == ThreadToken::NONE || !is_inside() {
            return Ok(());
        }
        let why = "this thread holds it already, and would wait for itself; if another thread has \
                   the guard now, call its hand_over() before";
        Err(self.error(Cause::Deadlock(why)))
    }

    /// An error if an upgrade would never end, because the thread itself reads.
    pub(crate) fn ensure_no_reader(&self, reads: impl FnOnce() -> bool) -> Result<()> {
        if self.may_end() || !reads() {
            return Ok(());
        }
        let why = "this thread also reads, and would wait for itself; if another thread has the read \
                   guard now, call its hand_over() before";
        Err(self.error(Cause::Deadlock(why)))
    }

    /// Whether something may end the wait before it is granted.
    fn may_end(&self) -> bool {
        // `on_wait` may break the wait, and a token may be cancelled: then it is no deadlock.
        self.limit != WaitLimit::Forever || self.interval().is_some() || cancel::is_possible()
    }

    /// An error if the deadline has passed.
    pub(crate) fn ensure_in_time(&self, holder: impl Fn() -> Option<Holder>) -> Result<()> {
        match self.limit.deadline() {
            Some(deadline) if deadline <= Instant::now() => {
                Err(self.error(Cause::TimedOut(self.waited(), holder())))
            }
            _ => Ok(()),
        }
    }

    /// An error if a token was cancelled under which this thread runs.
    pub(super) fn ensure_not_cancelled(&self) -> Result<()> {
        if cancel::is_demanded() {
            return Err(self.cancelled());
        }
        Ok(())
    }

    /// Whether the program wants to be asked now and then whether to give up.
    pub(super) fn asks_whether_to_go_on(&self) -> bool {
        self.context.settings().on_interrupt.is_some()
    }

    /// An error if the program wants to give up, after a signal.
    pub(super) fn ensure_not_interrupted(&self) -> Result<()> {
        self.ensure_not_cancelled()?;
        match &self.context.settings().on_interrupt {
            Some(hook) if hook().is_break() => Err(self.cancelled()),
            _ => Ok(()),
        }
    }

    /// Calls `on_wait`; an error if it wants to give up.
    fn report(&mut self, holder: impl Fn() -> Option<Holder>) -> Result<()> {
        let flow = self.call(holder);
        self.reported = Some(Instant::now());
        match flow {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(self.cancelled()),
        }
    }

    /// Calls `on_wait` again, when it is time.
    pub(super) fn report_if_due(&mut self, holder: impl Fn() -> Option<Holder>) -> Result<()> {
        match self.next_call() {
            Some(due) if due <= Instant::now() => self.report(holder),
            _ => Ok(()),
        }
    }

    /// Calls `on_wait`, if there is one.
    pub(super) fn call(&self, holder: impl Fn() -> Option<Holder>) -> ControlFlow<()> {
        let Some(hook) = &self.context.settings().on_wait else {
            return ControlFlow::Continue(());
        };
        hook(&Waiting::new(
            self.context.path(),
            self.waited(),
            holder().as_ref(),
        ))
    }

    /// The instant at which `on_wait` is due again.
    pub(super) fn next_call(&self) -> Option<Instant> {
        self.reported?.checked_add(self.interval()?)
    }

    /// The interval at which `on_wait` is called, if more than once. A task has no thread that could do that.
    pub(super) fn interval(&self) -> Option<Duration> {
        if self.kind != WaiterKind::Thread {
            return None;
        }
        let settings = self.context.settings();
        settings.on_wait.as_ref()?;
        settings.wait_interval
    }

    fn waited(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Traces that it was granted.
    pub(crate) fn acquired(&self, mode: &'static str) {
        let path = self.context.path();
        match &self.span {
            Some(span) => trace::granted(path, mode, span, || self.waited()),
            None => trace::acquired(path, mode),
        }
    }

    pub(crate) fn contended(&self, holder: Option<Holder>) -> Error {
        self.error(Cause::Contended(holder))
    }

    pub(super) fn cancelled(&self) -> Error {
        self.error(Cause::Cancelled(self.waited()))
    }

    fn error(&self, cause: Cause) -> Error {
        trace::gave_up(
            self.context.path(),
            self.operation,
            &cause,
            self.span.as_ref(),
        );
        Error::new(self.context.path(), self.operation, cause)
    }
}

impl<C> fmt::Debug for Wait<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait")
            .field("limit", &self.limit)
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}

/// The number of attempts before the thread sleeps, with the first.
const ATTEMPTS: u32 = 4;

pub(super) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
