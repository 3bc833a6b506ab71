//! A lock that is held, until it is dropped.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::release;
use super::shared::{Handle, HeldLock, ProcessState, Way};
use crate::file::owner::Entry;
use crate::file::{LockFile, identity};
use crate::protocol::plan::Mode;
use crate::types::error::{Error, Operation, Result};
use crate::types::thread::ThreadToken;
use crate::types::trace;

/// A lock that is held, until dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    /// Taken out when it is released. One address, so that a guard is passed on in a register.
    held: Option<Box<HeldLock>>,
}

impl Hold {
    /// Holds a lock that the kernel granted, with what the holder before left.
    #[inline]
    pub(super) fn granted(
        mut held: Box<HeldLock>,
        handle: &Arc<Handle>,
        mode: Mode,
        thread: ThreadToken,
        entry: Option<Box<Entry>>,
    ) -> Self {
        // Passed on from holder to holder, so that a free lock counts no reference.
        if held.handle.is_none() {
            held.handle = Some(Arc::clone(handle));
        }
        held.way = Way::Turn;
        held.entry = entry;
        Self::handed_off(held, mode, thread)
    }

    /// Holds a lock that was taken from the fast slot.
    #[inline]
    pub(super) fn fast(mut held: Box<HeldLock>, mode: Mode, thread: ThreadToken) -> Self {
        held.way = Way::Fast;
        Self::handed_off(held, mode, thread)
    }

    /// Holds a lock that was taken from the hand-off slot.
    #[inline]
    pub(super) fn handed_off(mut held: Box<HeldLock>, mode: Mode, thread: ThreadToken) -> Self {
        // To write what is there already takes longer than to look.
        if held.mode != mode {
            held.mode = mode;
        }
        if held.thread != thread {
            held.thread = thread;
        }
        Self { held: Some(held) }
    }

    pub(crate) fn path(&self) -> &Path {
        self.handle().path()
    }

    pub(crate) fn file(&self) -> &Arc<LockFile> {
        &self.held().file
    }

    /// Whether the locked file is still the one at the path.
    pub(crate) fn is_current(&self) -> Result<bool> {
        let follow = self.handle().settings.follow_symlinks;
        identity::is_at(self.file(), self.path(), follow)
            .map_err(|error| self.failed(Operation::Check, error))
    }

    /// From now on no thread counts as the holder.
    pub(crate) fn disown(&mut self) {
        let held = self.held_mut();
        if held.file.is_own() && held.thread != ThreadToken::NONE {
            let queue = &held.handle().process().queue;
            match held.way {
                Way::Turn => queue.disown(held.mode, held.thread),
                Way::Fast | Way::Handoff => queue.disown_slot(),
            }
            // The queue counts it as nobody's, so the release must look for nobody.
            held.thread = ThreadToken::NONE;
        }
    }

    /// Releases the lock and returns errors. A second call does nothing.
    #[inline]
    pub(crate) fn release(&mut self) -> Result<()> {
        let Some(held) = self.held.take() else {
            return Ok(());
        };
        if trace::IS_ON && held.file.is_own() {
            trace::released(held.handle().path(), held.mode.name());
        }
        match held.hand_off_unseen() {
            Ok(()) => Ok(()),
            Err(held) if held.way == Way::Fast => release::release_fast(held),
            Err(held) => release::release(held),
        }
    }

    /// Writes that the lock is released, for a program that will not release it: others inherited it.
    pub(crate) fn end_record(&mut self) -> Result<()> {
        release::end_record(self.held_mut())
    }

    /// The owner record of this hold, if there is one.
    #[inline]
    pub(crate) fn entry(&self) -> Option<&Entry> {
        self.held.as_ref()?.entry.as_deref()
    }

    pub(super) fn handle(&self) -> &Arc<Handle> {
        self.held().handle()
    }

    pub(super) fn process(&self) -> &ProcessState {
        self.handle().process()
    }

    /// Ends the hold without a release.
    #[allow(
        clippy::unnecessary_box_returns,
        reason = "it is used again and again where it is"
    )]
    pub(super) fn into_held(mut self) -> Box<HeldLock> {
        self.held.take().expect("it is there until the release")
    }

    #[inline]
    pub(super) fn held(&self) -> &HeldLock {
        self.held.as_ref().expect("it is there until the release")
    }

    pub(super) fn held_mut(&mut self) -> &mut HeldLock {
        self.held.as_mut().expect("it is there until the release")
    }

    pub(super) fn failed(&self, operation: Operation, error: io::Error) -> Error {
        self.file().failed(self.path(), operation, error)
    }
}

impl Drop for Hold {
    #[inline]
    fn drop(&mut self) {
        // A drop can't return an error; `release` does.
        let _ = self.release();
    }
}
