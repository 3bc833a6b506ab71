//! The wait in the kernel's queue, for the one of the process whose turn it is.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::courtesy::Courtesy;
use super::granted::Granted;
use super::interruption::Interruption;
use super::{Sleeper, Wait, aside, earlier, ticker};
use crate::error::{Error, Result};
use crate::file::{Goal, LockFile};
use crate::order::InOrder;
use crate::sys::park::Parker;
use crate::sys::{self, Parked, Waited};

/// Of the helpers towards those whose releases they waited for.
static COURTESY: Courtesy = Courtesy::new();

impl Wait<'_> {
    /// Waits until the file is locked.
    pub(crate) async fn in_kernel(&mut self, file: &Arc<LockFile>, goal: Goal) -> Result<()> {
        let place = self.place(file, goal)?;
        self.begin(|| file.holder(goal.access()))?;
        if self.sleeper == Sleeper::Task {
            let own = Arc::clone(file);
            let granted = self.aside_leaving(move |wait| {
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
    pub(crate) fn place(&mut self, file: &Arc<LockFile>, goal: Goal) -> Result<InOrder> {
        if self.is_impatient() {
            return Ok(InOrder::nowhere());
        }
        InOrder::of(file, goal, &mut self.number).map_err(|error| self.system(error))
    }

    /// Does what blocks here, or for a task aside.
    pub(crate) async fn through<R: Send + 'static>(
        &mut self,
        blocks: impl FnOnce(&mut Wait<'_>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        self.begin(|| None)?;
        if self.sleeper == Sleeper::Task {
            self.aside(blocks).await
        } else {
            blocks(self)
        }
    }

    /// Has a helper thread do what blocks. When this is dropped before it is done, it ends, and what
    /// came of it is dropped.
    pub(crate) async fn aside<R: Send + 'static>(
        &self,
        blocks: impl FnOnce(&mut Wait<'_>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        self.aside_leaving(move |wait| Ok((blocks(wait)?, ())))
            .await
    }

    /// The same; what else comes of it is dropped by the helper when the task has been told.
    async fn aside_leaving<R: Send + 'static, Rest>(
        &self,
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
        let done = aside::start(move || {
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
    fn asleep(&mut self, file: &LockFile, goal: Goal) -> Result<Interruption> {
        self.unless_deadlock(|| self.handle.is_held_elsewhere_by(self.thread, file))?;
        let asking = file.ask_for(goal);
        let interruption = self.until_locked(file, goal)?;
        asking.has_got_it();
        Ok(interruption)
    }

    /// A single attempt found it held, but maybe only because a process keeps it that does not use it:
    /// then it is given some time to give it up.
    pub(crate) fn is_let_in(file: &LockFile, goal: Goal) -> bool {
        if !file.may_be_kept() || KEEPERS.replace(Keepers::WereMet) != Keepers::Given {
            return false;
        }
        KEEPERS.set(Keepers::Given);
        let asking = file.ask_for(goal);
        let until = Instant::now() + KEEPERS_TIME;
        while Instant::now() < until {
            let soon = Instant::now() + KEEPERS_TIME / 20;
            Parker::default().park(Some(soon));
            if matches!(file.attempt(goal), Ok(true)) {
                asking.has_got_it();
                return true;
            }
        }
        false
    }

    fn until_locked(&mut self, file: &LockFile, goal: Goal) -> Result<Interruption> {
        let interval = self.interval();
        let stopped = AtomicBool::new(false);
        let interruption = match self.interruption(file) {
            Ok(interruption) if self.can_be_ended(&interruption, file) => interruption,
            _ => {
                self.polled(file, goal)?;
                return Ok(Interruption::default());
            }
        };
        self.unless_cancelled()?;
        let Some(interval) = interval else {
            self.blocked(file, goal, &stopped)?;
            return Ok(interruption);
        };
        let stop = || {
            stopped.store(true, Ordering::Relaxed);
            interruption.ring();
        };
        let call = || self.call(|| file.holder(goal.access()));
        ticker::beside(interval, call, stop, || self.blocked(file, goal, &stopped))
            .map_err(|error| self.system(error))??;
        Ok(interruption)
    }

    /// What ends the kernel's call, or makes it be made again.
    fn interruption(&self, file: &LockFile) -> io::Result<Interruption> {
        let deadline = self.patience.deadline();
        let interruption = Interruption::by(deadline, self.interval().is_some())?;
        let interruption = interruption.and_to_ask(self.asks_whether_to_go_on());
        if file.is_remote() {
            interruption.and_every(ASK_SERVER_AGAIN)
        } else {
            Ok(interruption)
        }
    }

    /// Is the kernel's call over when it has to be?
    fn can_be_ended(&self, interruption: &Interruption, file: &LockFile) -> bool {
        let may_have_to =
            interruption.is_asked_for() || self.handle.settings().on_interrupt.is_some();
        !may_have_to || file.signals_end_waits()
    }

    /// Sleeps in the kernel's queue. An interruption, if there is one, makes the calls come back.
    fn blocked(&self, file: &LockFile, goal: Goal, stopped: &AtomicBool) -> Result<()> {
        let wait = |raw: &File, access, target| {
            loop {
                match sys::lock::wait(raw, access, target).map_err(|error| self.system(error))? {
                    Waited::Granted => return Ok(()),
                    Waited::Interrupted if stopped.load(Ordering::Relaxed) => {
                        return Err(self.cancelled());
                    }
                    Waited::Interrupted => {
                        self.unless_over(|| file.holder(goal.access()))?;
                        self.unless_interrupted()?;
                    }
                }
            }
        };
        file.pursue(goal, wait, &|error| self.system(error))
    }

    /// Where nothing can interrupt the kernel's queue: asks again and again, at most every
    /// [`LONGEST_NAP`].
    fn polled(&mut self, file: &LockFile, goal: Goal) -> Result<()> {
        let holder = || file.holder(goal.access());
        let mut nap = SHORTEST_NAP;
        while !file.attempt(goal).map_err(|error| self.system(error))? {
            self.unless_cancelled()?;
            self.unless_over(holder)?;
            self.tell_if_due(holder)?;
            let until = earlier(self.patience.deadline(), self.next_call());
            let until = earlier(until, Some(Instant::now() + nap));
            if Parker::default().park(until) == Parked::Interrupted {
                self.unless_interrupted()?;
            }
            nap = (nap * 2).min(LONGEST_NAP);
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
const SHORTEST_NAP: Duration = Duration::from_millis(1);
const LONGEST_NAP: Duration = Duration::from_millis(10);
