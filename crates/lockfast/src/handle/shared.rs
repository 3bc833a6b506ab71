//! The data of a handle, and of a lock that is held by it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::registry::WeakRegistry;
use super::rest::Rest;
use crate::file::LockFile;
use crate::file::owner::Entry;
use crate::protocol::plan::Mode;
use crate::queue::{FastSlot, Handoff, Queue, Unlock};
use crate::sys::per_process::PerProcess;
use crate::sys::{Access, FileId};
use crate::types::fairness::Fairness;
use crate::types::holder::Holder;
use crate::types::settings::Settings;
use crate::types::thread::ThreadToken;
use crate::types::verify::Verify;

/// A lock of this process, shared by the clones of its handle.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(super) path: PathBuf,
    pub(super) settings: Settings,
    /// The file that the user gave, if it was not opened by its path.
    pub(super) given: Option<FileId>,
    pub(super) process: PerProcess<ProcessState>,
    /// The number of clones that users have; none is left when it is only held.
    pub(super) users: AtomicUsize,
    /// Whether releases hand the lock off; fixed when it is opened.
    pub(super) may_hand_off: bool,
    /// Whether a free lock is taken and left without the mutex, by the process that has opened the handle; fixed
    /// when it is opened.
    pub(super) may_be_fast: bool,
}

/// The part of a handle that belongs to one process.
#[derive(Debug)]
pub(crate) struct ProcessState {
    pub(crate) queue: Queue<LockFile>,
    pub(super) rest: Rest,
    /// Whether a guard of this process holds it. Information for errors only.
    // Relaxed throughout, and out of date at once.
    pub(super) held: AtomicBool,
}

/// The data of a lock that is held. A release by hand-off leaves it to the next holder, so that nothing has
/// to be counted or allocated. Whoever has the box may change it.
#[derive(Debug)]
pub(crate) struct HeldLock {
    /// Kept from one holder to the next, until the last clone of the handle is dropped. None before the first
    /// holder.
    pub(super) handle: Option<Arc<Handle>>,
    pub(super) file: Arc<LockFile>,
    // This and the next two fields mean something only while it is held. A spare has what the last holder
    // left in them.
    pub(super) mode: Mode,
    /// The thread that counts as the holder.
    pub(super) thread: ThreadToken,
    pub(super) way: Way,
    /// The number of hand-offs while others waited.
    // Goes with the lock from holder to holder, so each 256th hand-off of a lock is found, whichever threads
    // take part.
    pub(super) turns: u32,
    /// The owner record of this hold; taken out when it was ended.
    pub(super) entry: Option<Box<Entry>>,
}

// | way | set by | leaves by |
// |---|---|---|
// | `Turn` | a grant of the kernel; `leave_slot`, from the other two | the queue's state, as a holder that is counted there |
// | `Fast` | a take from the fast slot | that slot, if it is still open; else as `Turn` |
// | `Handoff` | `put_in_slot`, before the lock is left, and so true for the next holder | the hand-off slot; if that is shut, as `Turn` |
/// The way by which a holder got in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// With the turn; the queue's state counts it.
    Turn,
    /// By the fast slot, by which it leaves if nobody has come.
    Fast,
    /// By the hand-off slot, or it will be left there.
    Handoff,
}

/// All handles of this process, to find a thread that would wait for itself.
pub(super) static HANDLES: WeakRegistry<Handle> = WeakRegistry::new();

impl Handle {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether the kernel of this machine keeps the locks of its file, and so answers at once.
    pub(crate) fn answers_at_once(&self) -> bool {
        let (file, _) = self.process().queue.glance();
        file.is_some_and(|file| !file.is_remote())
    }

    /// Whether this thread is inside, by this handle or another one of its file.
    pub(crate) fn is_this_threads(&self) -> bool {
        let thread = ThreadToken::current();
        let queue = &self.process().queue;
        let is_elsewhere = |file: Arc<LockFile>| self.is_held_elsewhere(thread, &file);
        queue.has_inside(thread) || queue.glance().0.is_some_and(is_elsewhere)
    }

    /// Whether this thread is inside, by another handle of that file.
    pub(super) fn is_held_elsewhere(&self, thread: ThreadToken, file: &LockFile) -> bool {
        HANDLES.any(|handle| {
            let queue = &handle.process().queue;
            // To the kernel another handle of the file is another owner, for which this thread would
            // wait.
            !std::ptr::eq(handle, self)
                && queue.has_inside(thread)
                && queue
                    .value_inside()
                    .is_some_and(|other| other.id() == file.id())
        })
    }

    /// The part of the process that runs now.
    #[inline]
    pub(crate) fn process(&self) -> &ProcessState {
        self.process.get(|| ProcessState::new(None))
    }

    /// The part of the process that runs now, if this is known to be the one that has opened the handle.
    #[inline]
    pub(super) fn process_if_first(&self) -> Option<&ProcessState> {
        self.process.is_first().then(|| self.process.first())
    }

    /// Whether the lock may pass among the threads of this process. Then what an acquire checks of the file
    /// was checked up to a millisecond before, and other processes that wait are overtaken.
    pub(super) fn may_hand_off(settings: &Settings) -> bool {
        // Each of these needs a call at every acquire or release, or an order among processes, which a
        // hand-off leaves out.
        !settings.remove_on_release
            && !settings.owner_record
            && settings.verify != Verify::Path
            && settings.fairness != Fairness::Fifo
    }

    /// Whether all that a release of a free lock does is to unlock it.
    pub(super) fn may_be_fast(settings: &Settings) -> bool {
        !settings.remove_on_release && !settings.owner_record && settings.linger.is_none()
    }
}

impl ProcessState {
    pub(super) fn new(file: Option<LockFile>) -> Self {
        Self {
            queue: Queue::new(file),
            held: AtomicBool::new(false),
            rest: Rest::default(),
        }
    }

    /// Returns the holder while others of this process are inside or have the turn: this process, or the one
    /// that keeps the others waiting.
    pub(super) fn holder(&self, access: Access) -> Option<Holder> {
        // Relaxed: an error may name a holder that has just left.
        if self.held.load(Ordering::Relaxed) {
            return Some(Holder::this_process());
        }
        let (file, _) = self.queue.glance();
        file?.holder(access)
    }
}

impl Unlock for LockFile {
    type Held = HeldLock;

    fn unlock(&self) -> bool {
        self.release().is_ok()
    }
}

impl HeldLock {
    #[allow(
        clippy::unnecessary_box_returns,
        reason = "it is used again and again where it is"
    )]
    pub(super) fn new(file: Arc<LockFile>) -> Box<Self> {
        Box::new(Self {
            handle: None,
            file,
            mode: Mode::Write,
            thread: ThreadToken::NONE,
            way: Way::Turn,
            turns: 0,
            entry: None,
        })
    }

    #[inline]
    pub(super) fn handle(&self) -> &Arc<Handle> {
        self.handle.as_ref().expect("it is there while it is held")
    }

    /// Makes it ready for the hand-off slot, where it counts as held by no thread.
    pub(super) fn put_in_slot(&mut self) {
        self.thread = ThreadToken::NONE;
        self.way = Way::Handoff;
    }

    /// Holds the lock from now on as one that got in with the turn.
    pub(super) fn leave_slot(&mut self) {
        if self.way != Way::Turn {
            self.handle().process().queue.leave_slot(self.thread);
            self.way = Way::Turn;
        }
    }

    /// Leaves it in the hand-off slot without a look at the queue, if that is allowed and this process has
    /// opened the handle; then the file is its own, too.
    ///
    /// # Errors
    ///
    /// When the queue has to be looked at: the lock.
    #[inline]
    pub(super) fn hand_off_unseen(mut self: Box<Self>) -> Result<(), Box<Self>> {
        // A granted lock is not the slot's, and a record must be ended before others get in.
        if self.way != Way::Handoff || self.entry.is_some() {
            return Err(self);
        }
        let process = self
            .handle
            .as_ref()
            .and_then(|handle| handle.process_if_first());
        let Some(process) = process else {
            return Err(self);
        };
        if process.queue.has_waiting() {
            self.turns = self.turns.wrapping_add(1);
            // The release that looks at the queue may find the slice over, and let other processes in.
            if self.turns % TURNS == 0 {
                return Err(self);
            }
        }
        // Read before the lock is left: afterwards the box is the next holder's.
        let mode = self.mode;
        Handoff::leave_by(self, Self::slot, mode)
    }

    /// The fast slot of its queue, in the process that has opened the handle.
    #[inline]
    pub(super) fn fast_slot(&self) -> Option<&FastSlot<Self>> {
        Some(self.handle.as_ref()?.process.first().queue.fast())
    }

    #[inline]
    fn slot(&self) -> Option<&Handoff<Self>> {
        let handle = self.handle.as_ref()?;
        Some(handle.process.first().queue.handoff())
    }
}

/// While others wait, each 256th hand-off looks at the queue in any case: a waiter that is awake may not have
/// a processor.
const TURNS: u32 = 256;
