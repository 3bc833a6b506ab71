//! Closing lock files that nobody uses at the moment, in a process that has many.
//!
//! A handle keeps its file open from one acquire to the next, as that is faster. A program that has a lock
//! for each of a thousand keys would have no descriptors left for anything else. So the handles share half
//! of those that the process may have; beyond, files are closed that are not locked, and opened again by the
//! next acquire.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::rest::Reason;
use super::shared::{HANDLES, Handle};
use super::watcher::Listener;
use crate::sys::{self, fork};
use crate::types::error::{Error, Result};

/// Fewer than these leave room enough under any limit.
const FEW: usize = 16;

/// Opens a file. If the process has no descriptor left, closes idle files and tries again.
pub(super) fn with_room<T>(open: impl Fn() -> Result<T>) -> Result<T> {
    // Before the limit is reached: the program needs descriptors, too.
    make_room();
    loop {
        match open() {
            Err(error) if is_table_full(&error) && close(usize::MAX) > 0 => {}
            opened => return opened,
        }
    }
}

fn is_table_full(error: &Error) -> bool {
    error.io_error().is_some_and(sys::file::is_table_full)
}

/// Closes some, if many are open.
fn make_room() {
    let open = fork::private_files();
    if open < FEW {
        return;
    }
    let share = sys::file::descriptor_limit() / 2;
    if open >= share {
        // Not one by one: to look for them takes its time.
        close(open - share + share / 8);
    }
}

/// Closes up to that number; returns how many it closed.
fn close(wanted: usize) -> usize {
    /// The handle to go on with, so that those come last that were opened again last.
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    // A copy of the list, as to close a file locks the queue of its handle, and may drop the handle.
    let handles = HANDLES.all();
    let begin = NEXT.load(Ordering::Relaxed) % handles.len().max(1);
    let (after, before) = handles.split_at(begin);
    let (mut closed, mut looked_at) = (0, 0);
    for handle in before.iter().chain(after) {
        if closed >= wanted {
            break;
        }
        looked_at += 1;
        if handle.upgrade().is_some_and(|handle| handle.close_idle()) {
            closed += 1;
        }
    }
    // Relaxed: a hint where to begin.
    NEXT.store(begin + looked_at, Ordering::Relaxed);
    closed
}

impl Handle {
    /// Closes its file if nobody uses it: the next acquire opens it again. A lock that is only kept is given
    /// up for that. `false` when there is none, or when it has to stay open.
    fn close_idle(&self) -> bool {
        // A file that was given may have no path, and others see that a semaphore is open.
        let may_close = self.given.is_none() && self.settings.permits.is_none();
        if may_close && self.settings.linger.is_some() {
            self.revoke(Reason::Expired);
        }
        // A thread that has just looked at the file may keep its descriptor open for a moment.
        may_close && self.process().queue.take_unused().is_some()
    }
}
