//! The wait in the kernel's queue, for the one of the process whose turn it is.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::contest::Sleep;
use super::context::WaitContext;
use super::granted::Granted;
use super::limits::{Wait, WaiterKind};
use super::wake_sources::WakeSources;
use super::{offload, ticker};
use crate::file::fifo_place::FifoPlace;
use crate::file::{Goal, Line, LockFile, WaitWay};
use crate::sys::naps::Naps;
use crate::types::error::{Error, Result};

impl<C: WaitContext> Wait<'_, C> {
    /// Waits until the file is locked.
    pub(crate) async fn in_kernel(&mut self, file: &Arc<LockFile>, goal: Goal) -> Result<()> {
        // Before `on_wait`: what the program does there must not cost the place.
        let place = self.place(file, goal)?;
        self.begin(|| file.holder(goal.access()))?;
        if self.kind == WaiterKind::Task {
            let own = Arc::clone(file);
            let granted = self.offload_leaving(file.line(goal), move |wait| {
                let sources = wait.asleep(&own, goal)?;
                Ok((Granted::new(own, goal), sources))
            });
            // A task that is dropped before it gets this gives the lock back.
            granted.await?.keep();
        } else {
            drop(self.asleep(file, goal)?);
        }
        // A reader's ticket would keep those behind it waiting; a writer's goes with the lock.
        place.arrive().map_err(|error| self.system(error))
    }

    /// Takes a place in the line of the processes, if there is such a line, before anybody is told
    /// of the wait.
    pub(crate) fn place(&mut self, file: &Arc<LockFile>, goal: Goal) -> Result<FifoPlace> {
        if self.is_impatient() {
            return Ok(FifoPlace::none());
        }
        FifoPlace::of(file, goal, &mut self.number).map_err(|error| self.system(error))
    }

    /// Runs a function that blocks: here, or for a task aside, in that line.
    pub(crate) async fn blocking<R: Send + 'static>(
        &mut self,
        line: Option<Line>,
        blocks: impl FnOnce(&mut Wait<'_, C>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        self.begin(|| None)?;
        if self.kind == WaiterKind::Task {
            self.offload_leaving(line, move |wait| Ok((blocks(wait)?, ())))
                .await
        } else {
            blocks(self)
        }
    }

    /// Runs a function that blocks on a helper thread. Dropped before that is done, it ends the function and
    /// drops its result.
    pub(crate) async fn offload<R: Send + 'static>(
        &self,
        blocks: impl FnOnce(&mut Wait<'_, C>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        self.offload_leaving(None, move |wait| Ok((blocks(wait)?, ())))
            .await
    }

    /// Runs a function that blocks on a helper thread, which drops the rest of the result after the task was
    /// woken: dropping must not come between the grant and the task.
    async fn offload_leaving<R: Send + 'static, Rest>(
        &self,
        line: Option<Line>,
        blocks: impl FnOnce(&mut Wait<'_, C>) -> Result<(R, Rest)> + Send + 'static,
    ) -> Result<R> {
        let context = Arc::clone(self.context);
        let &Self {
            thread,
            limit,
            operation,
            since,
            reported,
            ..
        } = self;
        let done = offload::start(line, move || {
            let mut wait = Wait::by(WaiterKind::Helper, &context, thread, limit, operation);
            // As if the task itself waited: its time runs on, and `on_wait` was called.
            (wait.since, wait.reported) = (since, reported);
            match blocks(&mut wait) {
                Ok((result, rest)) => (Ok(result), Some(rest)),
                Err(error) => (Err(error), None),
            }
        });
        done.map_err(|error| self.system(error))?.await
    }

    /// Puts this thread to sleep until the file is locked. What could have ended the wait is of no use any
    /// more, and takes its time to be dropped.
    #[cold]
    fn asleep(&mut self, file: &LockFile, goal: Goal) -> Result<WakeSources> {
        self.ensure_no_deadlock(|| self.context.is_held_elsewhere_by(self.thread, file))?;
        // Before the call that waits: a process that caches the lock releases it when it sees this.
        let interest = file.show_wanted(goal);
        // A function of the program may panic before the plan is through, or while it is granted.
        let unless_panic = Granted::new(file, goal);
        let locked = self.until_locked(file, goal);
        unless_panic.keep();
        let sources = locked?;
        interest.acquired();
        Ok(sources)
    }

    fn until_locked(&mut self, file: &LockFile, goal: Goal) -> Result<WakeSources> {
        let interval = self.interval();
        let stopped = AtomicBool::new(false);
        let sources = match self.sources(file) {
            Ok(sources) if self.can_be_ended(&sources, file) => sources,
            _ => {
                self.polled(file, goal)?;
                return Ok(WakeSources::default());
            }
        };
        // The sources are armed now. A token that was cancelled before has rung none of them.
        self.ensure_not_cancelled()?;
        let Some(interval) = interval else {
            if !self.blocked(file, goal, &stopped)? {
                self.polled(file, goal)?;
            }
            return Ok(sources);
        };
        let stop = || {
            // Relaxed: the signal that follows makes the thread look.
            stopped.store(true, Ordering::Relaxed);
            sources.ring();
        };
        let call = || self.call(|| file.holder(goal.access()));
        let is_locked = ticker::during(interval, call, stop, || self.blocked(file, goal, &stopped))
            .map_err(|error| self.system(error))??;
        self.is_broken = stopped.load(Ordering::Relaxed);
        if !is_locked {
            self.polled(file, goal)?;
        }
        Ok(sources)
    }

    /// Returns the sources that end the kernel's call, or make it be made again.
    fn sources(&self, file: &LockFile) -> io::Result<WakeSources> {
        let deadline = self.limit.deadline();
        let sources = WakeSources::by(deadline, self.interval().is_some())?;
        let sources = sources.and_to_ask(self.asks_whether_to_go_on());
        // See `ASK_SERVER_AGAIN`.
        if file.is_remote() {
            sources.and_every(ASK_SERVER_AGAIN)
        } else {
            Ok(sources)
        }
    }

    /// Whether the kernel's call can be ended when it has to be.
    fn can_be_ended(&self, sources: &WakeSources, file: &LockFile) -> bool {
        let may_have_to = sources.is_asked_for() || self.context.settings().on_interrupt.is_some();
        file.has_waits() && (!may_have_to || file.signals_end_waits())
    }

    /// Sleeps in the kernel's queue. The sources, if there are any, make the calls return.
    /// `false` when the file system has no queue, only locks: some answer so to the calls that wait, and to
    /// those alone.
    fn blocked(&self, file: &LockFile, goal: Goal, stopped: &AtomicBool) -> Result<bool> {
        let sleep = Sleep {
            wait: self,
            file,
            goal,
            stopped,
        };
        let wait = |raw: &File, access, target, way| match way {
            WaitWay::Line(contest) if file.has_contests() => {
                sleep.contend(contest, raw, access, target).map(|()| true)
            }
            WaitWay::Room => sleep.until_empty(raw, access, target),
            WaitWay::Plain | WaitWay::Line(_) => sleep.until_granted(raw, access, target, None),
        };
        match file.acquire_blocking(goal, wait, &|error| self.system(error)) {
            // The plan has given back what it had locked.
            Err(_) if !file.has_waits() => Ok(false),
            done => done.map(|()| true),
        }
    }

    /// Where nothing can interrupt the kernel's queue, or there is none: attempts again and again.
    fn polled(&mut self, file: &LockFile, goal: Goal) -> Result<()> {
        // Taken out, as the wait itself is used by the attempts.
        let (context, operation) = (self.context, self.operation);
        let system = |error| Error::system(context.path(), operation, error);
        let attempt = || Ok(file.try_acquire(goal).map_err(system)?.then_some(()));
        self.poll_until(NAPS, || file.holder(goal.access()), attempt)
    }

    pub(crate) fn system(&self, error: io::Error) -> Error {
        Error::system(self.context.path(), self.operation, error)
    }
}

/// Some lock managers tell of a grant tens of seconds late, while a new request succeeds at once.
const ASK_SERVER_AGAIN: Duration = Duration::from_secs(1);

const NAPS: Naps = Naps::SHORT;
