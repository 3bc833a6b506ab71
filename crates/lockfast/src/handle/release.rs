//! How a lock that is held is released: by hand-off, or to the kernel.
//!
//! The decision of the queue (see [`Leave`]), and its consequence:
//!
//! | the lock | what happens |
//! |---|---|
//! | was taken from the fast slot, and no other thread has come | is unlocked, and put back without a look at the queue |
//! | is wanted by a waiter of this process that may have it by hand-off, or lingers | stays locked, in the slot |
//! | is shared, and other holders of this process are inside | stays locked; only what the others lack is unlocked |
//! | may linger, and nobody in any process wants it | stays locked, in the slot |
//! | is temporary, and this is its last holder | its file is removed while it is locked, then closed |
//! | any other | is unlocked; the file stays open for the next holder, unless the unlock fails |
//!
//! Whatever happens, the first waiter gets the turn afterwards, and what it has to do is done without a mutex.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::shared::{Handle, HeldLock, Way};
use crate::file::LockFile;
use crate::file::{identity, owner};
use crate::protocol::plan::Mode;
use crate::queue::{FastSlot, Leave};
use crate::sys;
use crate::types::error::{Error, Operation, Result};
use crate::types::thread::ThreadToken;

/// Releases a lock that could not be left in the hand-off slot at once.
#[inline(never)]
pub(super) fn release(mut held: Box<HeldLock>) -> Result<()> {
    // First: once it is unlocked, the record may be that of the next holder.
    let ended = end_record(&mut held);
    if !held.file.is_own() {
        // A forked child's copy: the lock is the parent's.
        return ended;
    }
    // The next holder may have the box before this is over.
    let handle = Arc::clone(held.handle());
    let process = handle.process();
    let queue = &process.queue;
    let mode = held.mode;
    let is_exclusive = mode.is_alone();

    // A lock that came by the slot counts as inside there, so it can only leave by `hand_off`.
    let is_wanted = is_exclusive && queue.has_waiting() && handle.may_hand_off;
    if held.way == Way::Handoff || is_wanted {
        held.put_in_slot();
        match queue.hand_off(held, mode.access()) {
            Ok(after) => {
                after.run();
                return ended;
            }
            // The slot is shut, and the lock leaves as one that the kernel granted.
            Err(again) => held = again,
        }
    }

    let stay = |file: &LockFile| {
        // What stays locked by mistake is unlocked with the rest, by the last one out.
        let _ = file.release_upgrade();
    };
    let mut turn = match queue.leave(mode, held.thread, stay) {
        Leave::Last(turn) => turn,
        Leave::Stays(after) => {
            after.run();
            return ended;
        }
    };

    // The slot does not show the byte that an upgradable reader has locked beside those of a reader.
    if mode != Mode::Upgradable {
        if let Some(begun) = handle.may_linger(process, &held.file) {
            held.put_in_slot();
            match turn.linger(held, || process.rest.is_allowed_since(begun)) {
                Ok(()) => return ended,
                Err((again, kept)) => (turn, held) = (again, kept),
            }
        }
    }

    // While it is locked: whoever locks it next sees that it is not at the path any more.
    let removed = remove_if_last(&handle, &held.file, mode);
    let released = held
        .file
        .release()
        .map_err(|error| held.file.failed(&handle.path, Operation::Release, error));
    process.held.store(false, Ordering::Relaxed);
    if released.is_err() || !matches!(removed, Ok(false)) {
        // A file that is gone, or of which something may still be locked, is closed.
        turn.replace(None);
        drop(turn);
    } else {
        // The slot belongs to the process that has opened the handle: `fast_slot` asks for no other.
        let may_be_fast = handle.may_be_fast && handle.process_if_first().is_some();
        turn.unlocked(held, may_be_fast);
    }
    ended.and(removed.map(drop)).and(released)
}

/// Releases a lock that was taken from the fast slot.
pub(super) fn release_fast(held: Box<HeldLock>) -> Result<()> {
    let process = match held.handle().process_if_first() {
        // Who waits may get it by hand-off.
        Some(process) if !process.queue.has_waiting() => process,
        _ => return release_seen(held),
    };
    // It may still be locked. The way by the state tries again, and closes the file if that fails too.
    if held.file.release_alone().is_err() {
        return release_seen(held);
    }
    // Unlocked, but inside until the lock is in the slot: nobody of this process gets in before. Both
    // are written now because afterwards they are the next holder's.
    process.held.store(false, Ordering::Relaxed);
    process.queue.handoff().disown();
    if let Err(held) = FastSlot::leave_by(held, HeldLock::fast_slot) {
        leave_seen(held);
    }
    Ok(())
}

/// Releases the lock as one that is in the queue's state.
#[cold]
fn release_seen(mut held: Box<HeldLock>) -> Result<()> {
    if held.file.is_own() {
        held.leave_slot();
    }
    release(held)
}

/// Leaves after the release: others have come meanwhile.
#[cold]
fn leave_seen(held: Box<HeldLock>) {
    let handle = Arc::clone(held.handle());
    let queue = &handle.process().queue;
    if let Leave::Last(turn) = queue.leave(held.mode, ThreadToken::NONE, |_| ()) {
        turn.unlocked(held, handle.may_be_fast);
    }
}

/// Writes that the lock is released, if an owner record says that it is held.
pub(super) fn end_record(held: &mut HeldLock) -> Result<()> {
    let Some(mut entry) = held.entry.take() else {
        return Ok(());
    };
    if !held.file.is_own() {
        // A forked child's copy: the record is the parent's.
        return Ok(());
    }
    let ended = held.file.end_record(&mut entry);
    ended.map_err(|error| owner::failed(&held.handle().path, error))
}

/// Removes a temporary file if this is its last holder in all processes; returns whether it did.
fn remove_if_last(handle: &Handle, file: &LockFile, mode: Mode) -> Result<bool> {
    if !handle.settings.remove_on_release {
        return Ok(false);
    }
    let is_last = mode.is_alone()
        || (file.can_lock_exclusively()
            && file
                .try_to_be_last()
                .map_err(|error| failed(handle, Operation::Remove, error))?);
    if is_last {
        remove(handle, file)?;
    }
    Ok(is_last)
}

/// Removes the file while it is locked, so that whoever locks it next sees that it is gone.
#[cold]
fn remove(handle: &Handle, file: &LockFile) -> Result<()> {
    // The file at the path may be another one by now, which others lock.
    let is_current = identity::is_at(file, &handle.path, handle.settings.follow_symlinks)
        .map_err(|error| failed(handle, Operation::Check, error))?;
    if !is_current {
        return Ok(());
    }
    match sys::file::remove(&handle.path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|error| failed(handle, Operation::Remove, error)),
    }
}

fn failed(handle: &Handle, operation: Operation, error: io::Error) -> Error {
    Error::system(&handle.path, operation, error)
}
