//! A lock that no other thread of this process wants, taken from the fast slot of the queue.
//!
//! This is all that a free lock executes: the kernel's calls between the slot's two atomic operations. Nothing is
//! counted, allocated or locked. Whatever is in the way, the stages of [`acquire`](super::acquire) go on from
//! there. [`release`](super::release) puts the lock back.
//!
//! Only the process that has opened the handle uses the slot, as a forked child's copy of a guard is another
//! process's.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::acquire::FileTurn;
use super::hold::Hold;
use super::shared::{Handle, HeldLock};
use crate::file::{LockFile, identity};
use crate::protocol::plan::Mode;
use crate::types::thread::ThreadToken;
use crate::types::trace;

/// The turn of a thread that could not go on.
pub(super) struct Stopped<'h> {
    pub(super) turn: FileTurn<'h>,
    pub(super) file: Arc<LockFile>,
    pub(super) mode: Mode,
    pub(super) thread: ThreadToken,
    /// The answer of its attempt.
    pub(super) locked: io::Result<bool>,
}

impl Handle {
    /// Locks the file of a hold that was taken from the fast slot.
    #[allow(
        clippy::inline_always,
        reason = "both callers do nothing else on this path"
    )]
    #[inline(always)]
    pub(super) fn lock_fast(&self, hold: Hold) -> std::result::Result<Hold, Box<Stopped<'_>>> {
        let HeldLock { file, mode, .. } = hold.held();
        let locked = file.try_alone(*mode);
        // With the lock in hand: a file that is at the path now stays the one that others lock.
        if !matches!(locked, Ok(true)) || !self.is_unmoved(file) {
            return Err(self.stopped(hold, locked));
        }
        self.process.first().held.store(true, Ordering::Relaxed);
        trace::acquired(&self.path, mode.name());
        Ok(hold)
    }

    /// Whether the file, which was locked at once, is the one at the path.
    #[inline]
    fn is_unmoved(&self, file: &LockFile) -> bool {
        identity::looks_current(file, self.settings.verify, false) || self.is_found(file)
    }

    #[cold]
    fn is_found(&self, file: &LockFile) -> bool {
        matches!(self.is_current(file, false), Ok(true))
    }

    #[cold]
    #[allow(
        clippy::unnecessary_box_returns,
        reason = "the result of a free lock fits into two registers"
    )]
    fn stopped(&self, hold: Hold, locked: io::Result<bool>) -> Box<Stopped<'_>> {
        let left = hold.into_held();
        let (mode, thread, file) = (left.mode, left.thread, Arc::clone(&left.file));
        Box::new(Stopped {
            // What may be locked goes with the turn: the stage that goes on releases it when it fails.
            turn: self.process.first().queue.turn_of_fast(mode, left, thread),
            file,
            mode,
            thread,
            locked,
        })
    }
}
