//! The sleep in the kernel for one lock, and what a waiter does that is overtaken for too long
//! (see [`crate::protocol::starving`]).

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::limits::Wait;
use crate::file::{Goal, IDLE, LineState, LockFile, Starving};
use crate::protocol::starving::{Contest, PATIENCE};
use crate::sys::alarm::Alarm;
use crate::sys::{self, Access, Target, Waited};
use crate::types::error::Result;

/// The sleeps of one wait in the kernel.
pub(super) struct Sleep<'w, 'h, C> {
    pub(super) wait: &'w Wait<'h, C>,
    pub(super) file: &'w LockFile,
    pub(super) goal: Goal,
    /// Set when `on_wait` wants the wait to end.
    pub(super) stopped: &'w AtomicBool,
}

impl<C: super::WaitContext> Sleep<'_, '_, C> {
    /// Sleeps until the lock is granted; `false` when that instant has passed, which an alarm must tell.
    pub(super) fn until_granted(
        &self,
        raw: &File,
        access: Access,
        target: Target,
        until: Option<Instant>,
    ) -> Result<bool> {
        let Self {
            wait, file, goal, ..
        } = self;
        loop {
            match sys::lock::wait(raw, access, target) {
                Ok(Waited::Granted) => return Ok(true),
                Ok(Waited::Interrupted) if self.stopped.load(Ordering::Relaxed) => {
                    return Err(wait.cancelled());
                }
                Ok(Waited::Interrupted) => {
                    wait.ensure_in_time(|| file.holder(goal.access()))?;
                    wait.ensure_not_interrupted()?;
                    if until.is_some_and(|until| until <= Instant::now()) {
                        return Ok(false);
                    }
                }
                Err(error) => {
                    if sys::lock::means_no_locks_here(&error) {
                        file.note_without_waits();
                    }
                    return Err(wait.system(error));
                }
            }
        }
    }

    /// Sleeps until the lock is granted, in the line of the starving from the time on when it starves.
    pub(super) fn contend(
        &self,
        contest: Contest,
        raw: &File,
        access: Access,
        target: Target,
    ) -> Result<()> {
        self.until_won(contest, raw, access, target)?;
        self.file.note_won();
        Ok(())
    }

    fn until_won(
        &self,
        contest: Contest,
        raw: &File,
        access: Access,
        target: Target,
    ) -> Result<()> {
        let attempt = || sys::lock::try_lock(raw, access, target);
        if !self.file.is_sign_out(contest)
            && (attempt().map_err(|error| self.wait.system(error))?
                || self.until_starving(raw, access, target)?)
        {
            return Ok(());
        }
        let starving = self.file.starve(contest);
        let starving = starving.map_err(|error| self.wait.system(error))?;
        if let Some(starving) = starving.as_ref().filter(|starving| !starving.is_first) {
            self.until_first(starving, raw, access, target)?;
        }
        self.until_granted(raw, access, target, None)?;
        // The next in the line wakes up while this one holds the lock.
        drop(starving);
        Ok(())
    }

    /// Sleeps until the lock is granted; `false` when it has waited for too long.
    fn until_starving(&self, raw: &File, access: Access, target: Target) -> Result<bool> {
        let starves_at = self.wait.since.map(|since| since + PATIENCE);
        // Without an alarm nothing ends the sleep but the grant.
        let alarm = starves_at.map(|at| Alarm::set(Some(at)));
        let until = starves_at.filter(|_| matches!(alarm, Some(Ok(_))));
        self.until_granted(raw, access, target, until)
    }

    /// Sleeps until it is the first in the line, or those before it do not run.
    fn until_first(
        &self,
        starving: &Starving<'_>,
        raw: &File,
        access: Access,
        target: Target,
    ) -> Result<()> {
        let mut patience = ABANDONED;
        loop {
            let alarm = Alarm::set(Some(Instant::now() + patience));
            let until = alarm.is_ok().then(|| Instant::now() + patience);
            if self.until_granted(raw, Access::Exclusive, starving.line(), until)? {
                return Ok(());
            }
            // To be interrupted costs the place in the kernel's queue, so it must be rare.
            patience = match starving.line_state(access, target) {
                LineState::Abandoned => return Ok(()),
                LineState::Idle => IDLE,
                LineState::Moves => 2 * patience.max(ABANDONED),
            };
        }
    }
}

/// The first sleep in the line after which a waiter looks whether the line moves.
const ABANDONED: Duration = Duration::from_millis(500);
