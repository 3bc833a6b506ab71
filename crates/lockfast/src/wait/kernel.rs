//! The wait in the kernel's queue, for the one thread of the process whose turn it is.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{Patience, Wait, earlier, ticker};
use crate::error::{Error, Result};
use crate::file::{Goal, LockFile};
use crate::sys::alarm::Alarm;
use crate::sys::park::Parker;
use crate::sys::{self, Parked, Waited};

impl Wait<'_> {
    /// Waits until the file is locked.
    #[cold]
    pub(crate) fn in_kernel(&mut self, file: &LockFile, goal: Goal) -> Result<()> {
        let holder = || file.holder(goal.access());
        self.begin(holder)?;
        self.unless_deadlock(|| self.handle.is_held_elsewhere_by(self.thread, file))?;
        let stopped = AtomicBool::new(false);
        let interval = self.interval();
        let deadline = match self.patience {
            Patience::Until(deadline) => Some(deadline),
            Patience::None | Patience::Forever if interval.is_none() => {
                return self.blocked(file, goal, &stopped);
            }
            Patience::None | Patience::Forever => None,
        };
        let Ok(alarm) = Alarm::set(deadline) else {
            return self.polled(file, goal);
        };
        let Some(interval) = interval else {
            return self.blocked(file, goal, &stopped);
        };
        let stop = || {
            stopped.store(true, Ordering::Relaxed);
            alarm.ring();
        };
        let call = || self.call(holder);
        ticker::beside(interval, call, stop, || self.blocked(file, goal, &stopped))
            .map_err(|error| self.system(error))?
    }

    /// Sleeps in the kernel's queue. An alarm, if one is set, makes the calls come back.
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
            self.unless_over(holder)?;
            if self.next_call().is_some_and(|due| due <= Instant::now()) {
                self.tell(holder)?;
            }
            let until = earlier(self.patience.deadline(), self.next_call());
            let until = earlier(until, Some(Instant::now() + nap));
            if Parker::default().park(until) == Parked::Interrupted {
                self.unless_interrupted()?;
            }
            nap = (nap * 2).min(LONGEST_NAP);
        }
        Ok(())
    }

    pub(super) fn system(&self, error: std::io::Error) -> Error {
        Error::system(self.handle.path(), self.operation, error)
    }
}

const SHORTEST_NAP: Duration = Duration::from_millis(1);
const LONGEST_NAP: Duration = Duration::from_millis(10);
