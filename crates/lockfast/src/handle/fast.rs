//! A lock that no other thread of this process wants, taken and left by the fast slot of the queue.
//!
//! This is all that a free lock executes: between the slot's two atomic operations the kernel's calls, and nothing
//! is counted, allocated or locked. Whatever is in the way, the stages of [`acquire`](super::acquire) and
//! [`release`](super::release) go on from there.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::acquire::FileTurn;
use super::hold::Hold;
use super::release;
use super::shared::{Handle, HeldLock, ProcessState};
use crate::file::LockFile;
use crate::protocol::plan::Mode;
use crate::queue::{FastSlot, Leave};
use crate::types::error::Result;
use crate::types::thread::ThreadToken;
use crate::types::trace;

/// The turn of a thread that could not go on, and the answer of its attempt.
type Stopped<'h> = (FileTurn<'h>, Arc<LockFile>, io::Result<bool>);

impl Handle {
    /// Locks the file of a lock that was in the fast slot.
    #[inline]
    pub(super) fn lock_fast<'h>(
        &self,
        process: &'h ProcessState,
        held: Box<HeldLock>,
        mode: Mode,
        thread: ThreadToken,
    ) -> std::result::Result<Hold, Stopped<'h>> {
        let file = &held.file;
        let locked = file.try_alone(mode);
        if !matches!(locked, Ok(true)) || !matches!(self.is_current(file, false), Ok(true)) {
            return Err(stopped(process, held, mode, thread, locked));
        }
        process.held.store(true, Ordering::Relaxed);
        trace::acquired(&self.path, mode.name());
        Ok(Hold::fast(held, mode, thread))
    }
}

#[cold]
fn stopped(
    process: &ProcessState,
    held: Box<HeldLock>,
    mode: Mode,
    thread: ThreadToken,
    locked: io::Result<bool>,
) -> Stopped<'_> {
    let file = Arc::clone(&held.file);
    (process.queue.turn_of_fast(mode, held, thread), file, locked)
}

/// Releases a lock that was taken from the fast slot.
#[inline]
pub(super) fn release(held: Box<HeldLock>) -> Result<()> {
    let process = held.handle().process();
    // A forked child's copy is the parent's; and who waits may get it by hand-off.
    if !held.file.is_own() || process.queue.has_waiting() || held.file.release().is_err() {
        return release_seen(held);
    }
    process.held.store(false, Ordering::Relaxed);
    process.queue.handoff().disown();
    FastSlot::leave_by(held, HeldLock::fast_slot).or_else(leave_seen)
}

/// Releases the lock as one that is in the queue's state.
#[cold]
fn release_seen(mut held: Box<HeldLock>) -> Result<()> {
    if held.file.is_own() {
        held.leave_slot();
    }
    release::release(held)
}

/// Leaves after the release: others have come meanwhile.
#[cold]
fn leave_seen(held: Box<HeldLock>) -> Result<()> {
    let handle = Arc::clone(held.handle());
    let queue = &handle.process().queue;
    if let Leave::Last(turn) = queue.leave(held.mode, ThreadToken::NONE, |_| ()) {
        turn.unlocked(held, handle.may_be_fast);
    }
    Ok(())
}
