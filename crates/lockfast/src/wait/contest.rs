//! The sleep in the kernel for one lock, in the line of the file (see [`crate::protocol::line`]).

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::limits::Wait;
use crate::file::{Goal, IDLE, LinePlace, LineState, LockFile, WAKES};
use crate::protocol::line::Contest;
use crate::protocol::plan::ROOM_PATIENCE;
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
                // Any signal comes here: of the deadline, of a token, of the hook, or of the program.
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
                    // The file system has locks, as the attempts before have shown. It lacks a queue.
                    if sys::lock::means_no_locks_here(&error) {
                        file.note_without_waits();
                    }
                    return Err(wait.system(error));
                }
            }
        }
    }

    /// Sleeps until the lock is granted; `false` when that takes longer. Without an alarm it sleeps for however long
    /// that takes.
    fn granted_within(
        &self,
        patience: Duration,
        raw: &File,
        access: Access,
        target: Target,
    ) -> Result<bool> {
        let until = Instant::now() + patience;
        let alarm = Alarm::set(Some(until));
        self.until_granted(raw, access, target, alarm.is_ok().then_some(until))
    }

    /// Sleeps in the line until the lock is granted.
    pub(super) fn contend(
        &self,
        contest: Contest,
        raw: &File,
        access: Access,
        target: Target,
    ) -> Result<()> {
        let (wait, file) = (self.wait, self.file);
        let system = |error| wait.system(error);
        let attempt = || sys::lock::try_lock(raw, access, target).map_err(system);
        let others_wait = file.is_sign_out(contest);
        // A newcomer that has seen the sign makes no attempt: it would be before those that wait.
        if others_wait || !attempt()? {
            if others_wait {
                self.let_line_move(contest)?;
            }
            let place = file.wait_openly(contest).map_err(system)?;
            if let Some(place) = place.as_ref().filter(|place| !place.is_first) {
                self.until_first(place, raw, access, target)?;
            }
            self.until_granted(raw, access, target, None)?;
            // Given back here, the line would wake the next one between the grant and the section. So it goes with
            // the lock, but not if most likely nobody stands behind: then the next one sleeps for the lock itself.
            if let Some(place) = place.filter(|place| !place.is_first) {
                if self.goal.keeps_line(contest) {
                    place.keep();
                }
            }
        }
        file.note_won();
        Ok(())
    }

    /// Sleeps until the room is empty and locked; `false` if that takes too long.
    pub(super) fn until_empty(&self, raw: &File, access: Access, room: Target) -> Result<bool> {
        let file = self.file;
        if !file.heeds_rooms() {
            return Ok(false);
        }
        let is_empty = self.granted_within(ROOM_PATIENCE, raw, access, room)?;
        if !is_empty {
            file.note_stopped_in_room();
        }
        Ok(is_empty)
    }

    /// Lets the next in the line get it, if it is just waking up: a newcomer would be before it.
    fn let_line_move(&self, contest: Contest) -> Result<()> {
        let (wait, file) = (self.wait, self.file);
        let begun = Instant::now();
        while file.is_line_passing(contest) {
            let passed = begun.elapsed();
            if passed < WAKES {
                thread::yield_now();
            } else if contest.line().is_some() && passed < IDLE {
                // The machine is busy, or the next one was stopped.
                if self.stopped.load(Ordering::Relaxed) {
                    return Err(wait.cancelled());
                }
                wait.ensure_in_time(|| file.holder(self.goal.access()))?;
                wait.park_until(Instant::now() + NAP)?;
            } else {
                break;
            }
        }
        Ok(())
    }

    /// Sleeps until it is the first in the line, or those before it do not run.
    fn until_first(
        &self,
        place: &LinePlace<'_>,
        raw: &File,
        access: Access,
        target: Target,
    ) -> Result<()> {
        let Some(line) = place.line() else {
            return Ok(());
        };
        let mut patience = ABANDONED;
        loop {
            if self.granted_within(patience, raw, Access::Exclusive, line)? {
                return Ok(());
            }
            // To be interrupted costs the place in the kernel's queue, so it must be rare.
            patience = match place.line_state(access, target) {
                LineState::Abandoned => return Ok(()),
                LineState::Idle => IDLE,
                LineState::Moves => 2 * patience.max(ABANDONED),
            };
        }
    }
}

/// The first sleep in the line after which a waiter looks whether the line moves.
const ABANDONED: Duration = Duration::from_secs(2);

/// The time between two looks whether the line has moved, on a busy machine.
const NAP: Duration = Duration::from_micros(100);
