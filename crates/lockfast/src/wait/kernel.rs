//! The wait in the kernel's queue, for the one of the process whose turn it is.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::courtesy::Courtesy;
use super::granted::Granted;
use super::interruption::WakeSources;
use super::{Sleeper, Wait, earlier, offload, ticker};
use crate::file::fifo_place::FifoPlace;
use crate::file::{Goal, Line, LockFile};
use crate::sys::naps::Naps;
use crate::sys::park::Parker;
use crate::sys::{self, Parked, Waited};
use crate::types::error::{Error, Result};

/// Of the helpers towards those whose releases they waited for.
static COURTESY: Courtesy = Courtesy::new();

impl Wait<'_> {
    /// Waits until the file is locked.
    pub(crate) async fn in_kernel(&mut self, file: &Arc<LockFile>, goal: Goal) -> Result<()> {
        let place = self.place(file, goal)?;
        self.begin(|| file.holder(goal.access()))?;
        if self.sleeper == Sleeper::Task {
            let own = Arc::clone(file);
            let granted = self.aside_leaving(file.line(goal), move |wait| {
                let interruption = wait.asleep(&own, goal)?;
                Ok((Granted::new(own, goal), interruption))
            });
            granted.await?.keep();
        } else {
            drop(self.asleep(file, goal)?);
        }
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
    pub(crate) async fn through<R: Send + 'static>(
        &mut self,
        line: Option<Line>,
        blocks: impl FnOnce(&mut Wait<'_>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        self.begin(|| None)?;
        if self.sleeper == Sleeper::Task {
            self.aside_leaving(line, move |wait| Ok((blocks(wait)?, ())))
                .await
        } else {
            blocks(self)
        }
    }

    /// Has a helper thread do what blocks. When this is dropped before it is done, it ends, and what
    /// came of it is dropped.
    pub(crate) async fn offload<R: Send + 'static>(
        &self,
        blocks: impl FnOnce(&mut Wait<'_>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        self.aside_leaving(None, move |wait| Ok((blocks(wait)?, ())))
            .await
    }

    /// The same; what else comes of it is dropped by the helper when the task has been told.
    async fn aside_leaving<R: Send + 'static, Rest>(
        &self,
        line: Option<Line>,
        blocks: impl FnOnce(&mut Wait<'_>) -> Result<(R, Rest)> + Send + 'static,
    ) -> Result<R> {
        let handle = Arc::clone(self.handle);
        let &Self {
            thread,
            patience,
            operation,
            since,
            told,
            ..
        } = self;
        let done = offload::start(line, move || {
            let mut wait = Wait::by(Sleeper::Helper, &handle, thread, patience, operation);
            (wait.since, wait.told) = (since, told);
            match blocks(&mut wait) {
                Ok((result, rest)) => {
                    COURTESY.let_others_go_first();
                    (Ok(result), Some(rest))
                }
                Err(error) => (Err(error), None),
            }
        });
        done.map_err(|error| self.system(error))?.await
    }

    /// Puts this thread to sleep until the file is locked. What could have ended the wait is of no use any
    /// more, and takes its time to be dropped.
    #[cold]
    fn asleep(&mut self, file: &LockFile, goal: Goal) -> Result<WakeSources> {
        self.unless_deadlock(|| self.handle.is_held_elsewhere_by(self.thread, file))?;
        let interest = file.show_wanted(goal);
        // A function of the program may panic before the plan is through, or while it is granted.
        let unless_panic = Granted::new(file, goal);
        let locked = self.until_locked(file, goal);
        unless_panic.keep();
        let interruption = locked?;
        interest.acquired();
        Ok(interruption)
    }

    /// A single attempt found it held, but maybe only because a process keeps it that does not use it:
    /// then it is given some time to give it up.
    pub(crate) fn is_let_in(file: &LockFile, goal: Goal) -> bool {
        if !file.may_be_cached() || KEEPERS.replace(Keepers::WereMet) != Keepers::Given {
            return false;
        }
        KEEPERS.set(Keepers::Given);
        let interest = file.show_wanted(goal);
        let until = Instant::now() + KEEPERS_TIME;
        while Instant::now() < until {
            let soon = Instant::now() + KEEPERS_TIME / 20;
            Parker::default().park(Some(soon));
            if matches!(file.try_acquire(goal), Ok(true)) {
                interest.acquired();
                return true;
            }
        }
        false
    }

    fn until_locked(&mut self, file: &LockFile, goal: Goal) -> Result<WakeSources> {
        let interval = self.interval();
        let stopped = AtomicBool::new(false);
        let interruption = match self.interruption(file) {
            Ok(interruption) if self.can_be_ended(&interruption, file) => interruption,
            _ => {
                self.polled(file, goal)?;
                return Ok(WakeSources::default());
            }
        };
        self.unless_cancelled()?;
        let Some(interval) = interval else {
            if !self.blocked(file, goal, &stopped)? {
                self.polled(file, goal)?;
            }
            return Ok(interruption);
        };
        let stop = || {
            stopped.store(true, Ordering::Relaxed);
            interruption.ring();
        };
        let call = || self.call(|| file.holder(goal.access()));
        let is_locked = ticker::beside(interval, call, stop, || self.blocked(file, goal, &stopped))
            .map_err(|error| self.system(error))??;
        if !is_locked {
            self.polled(file, goal)?;
        }
        Ok(interruption)
    }

    /// What ends the kernel's call, or makes it be made again.
    fn interruption(&self, file: &LockFile) -> io::Result<WakeSources> {
        let deadline = self.patience.deadline();
        let interruption = WakeSources::by(deadline, self.interval().is_some())?;
        let interruption = interruption.and_to_ask(self.asks_whether_to_go_on());
        if file.is_remote() {
            interruption.and_every(ASK_SERVER_AGAIN)
        } else {
            Ok(interruption)
        }
    }

    /// Is the kernel's call over when it has to be?
    fn can_be_ended(&self, interruption: &WakeSources, file: &LockFile) -> bool {
        let may_have_to =
            interruption.is_asked_for() || self.handle.settings().on_interrupt.is_some();
        file.has_waits() && (!may_have_to || file.signals_end_waits())
    }

    /// Sleeps in the kernel's queue. An interruption, if there is one, makes the calls come back.
    /// `false` when the file system has no queue, only locks: some answer so to the calls that wait, and to
    /// those alone.
    fn blocked(&self, file: &LockFile, goal: Goal, stopped: &AtomicBool) -> Result<bool> {
        let wait = |raw: &File, access, target| {
            loop {
                match sys::lock::wait(raw, access, target) {
                    Ok(Waited::Granted) => return Ok(()),
                    Ok(Waited::Interrupted) if stopped.load(Ordering::Relaxed) => {
                        return Err(self.cancelled());
                    }
                    Ok(Waited::Interrupted) => {
                        self.unless_over(|| file.holder(goal.access()))?;
                        self.unless_interrupted()?;
                    }
                    Err(error) => {
                        if sys::lock::means_no_locks_here(&error) {
                            file.note_without_waits();
                        }
                        return Err(self.system(error));
                    }
                }
            }
        };
        match file.acquire_blocking(goal, wait, &|error| self.system(error)) {
            Err(_) if !file.has_waits() => Ok(false),
            done => done.map(|()| true),
        }
    }

    /// Polls, where nothing can interrupt the kernel's queue, or there is none.
    fn polled(&mut self, file: &LockFile, goal: Goal) -> Result<()> {
        let holder = || file.holder(goal.access());
        let mut naps = Naps::new();
        while !file.try_acquire(goal).map_err(|error| self.system(error))? {
            self.unless_cancelled()?;
            self.unless_over(holder)?;
            self.tell_if_due(holder)?;
            let until = earlier(self.patience.deadline(), self.next_call());
            let until = earlier(until, Some(Instant::now() + naps.next()));
            if Parker::default().park(until) == Parked::Interrupted {
                self.unless_interrupted()?;
            }
        }
        Ok(())
    }

    pub(super) fn system(&self, error: io::Error) -> Error {
        Error::system(self.handle.path(), self.operation, error)
    }
}

/// Makes a single attempt that gives no keeper its time; the flag tells whether one was met.
pub(crate) fn without_keepers<R>(attempt: impl FnOnce() -> R) -> (R, bool) {
    let before = KEEPERS.replace(Keepers::NotGiven);
    let result = attempt();
    let met = KEEPERS.replace(before) == Keepers::WereMet;
    (result, met)
}

/// Whether this thread's attempts wait for a keeper of the lock.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keepers {
    Given,
    NotGiven,
    /// They would have been given their time.
    WereMet,
}

thread_local! {
    static KEEPERS: Cell<Keepers> = const { Cell::new(Keepers::Given) };
}

/// Some lock managers tell of a grant tens of seconds late, while a new request succeeds at once.
const ASK_SERVER_AGAIN: Duration = Duration::from_secs(1);

const KEEPERS_TIME: Duration = Duration::from_millis(1);
