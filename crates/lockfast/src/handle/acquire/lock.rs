//! Acquiring a lock: by hand-off or by its fast path if it is free, else by the stages.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Acquirable, Acquire, AcquireStage, FileTurn, Refusal, give_back};
use crate::file::owner::Entry;
use crate::file::{Goal, LockFile};
use crate::handle::fast::Stopped;
use crate::handle::hold::Hold;
use crate::handle::shared::{Handle, HeldLock, ProcessState};
use crate::protocol::plan::Mode;
use crate::queue::{Enqueued, TryEnter};
use crate::types::error::{Operation, Result};
use crate::types::holder::Holder;
use crate::types::thread::ThreadToken;
use crate::types::trace;
use crate::types::wait_limit::WaitLimit;
use crate::wait::{Admission, Wait};

impl Handle {
    /// Acquires the lock, waiting up to the limit.
    #[inline]
    pub(crate) fn acquire(self: &Arc<Self>, mode: Mode, limit: WaitLimit) -> Result<Hold> {
        let thread = ThreadToken::current();
        // Without a call, and so without the queue of a forked child.
        if let Some(process) = self.process_if_first() {
            // An earlier holder of this process got it from the kernel, which has not had it back
            // since.
            if let Some(held) = process.queue.take_handoff(mode, thread) {
                trace::acquired(&self.path, mode.name());
                return Ok(Hold::handed_off(held, mode, thread));
            }
            if let Some(held) = process.queue.take_fast(mode, thread) {
                return self.acquire_fast(Hold::fast(held, mode, thread), limit);
            }
        }
        self.acquire_from_kernel(mode, limit, thread)
    }

    /// Acquires a lock that was in the fast slot.
    #[inline(never)]
    fn acquire_fast(self: &Arc<Self>, hold: Hold, limit: WaitLimit) -> Result<Hold> {
        self.lock_fast(hold)
            .or_else(|stopped| self.acquire_stopped(*stopped, limit))
    }

    #[cold]
    fn acquire_stopped(self: &Arc<Self>, stopped: Stopped<'_>, limit: WaitLimit) -> Result<Hold> {
        let Stopped { mode, thread, .. } = stopped;
        self.acquire_blocking(mode, limit, thread, stopped.into())
    }

    /// Acquires a lock that is not in the hand-off slot; in a forked child it may be there all the same, which
    /// the stages find.
    #[inline(never)]
    fn acquire_from_kernel(
        self: &Arc<Self>,
        mode: Mode,
        limit: WaitLimit,
        thread: ThreadToken,
    ) -> Result<Hold> {
        self.acquire_free(mode, thread)
            .or_else(|stage| self.acquire_blocking(mode, limit, thread, stage))
    }

    /// Acquires a lock that is free in one go, with what the last holder left. If anything is in the way, the
    /// stages go on from there; whatever fails, they find out again.
    #[inline]
    fn acquire_free(
        self: &Arc<Self>,
        mode: Mode,
        thread: ThreadToken,
    ) -> std::result::Result<Hold, AcquireStage<'_, Mode>> {
        let process = self.process();
        let fast = |process: &ProcessState| process.queue.take_fast(mode, thread);
        if let Some(held) = self.process_if_first().and_then(fast) {
            let locked = self.lock_fast(Hold::fast(held, mode, thread));
            return locked.map_err(|stopped| (*stopped).into());
        }
        let Some((mut turn, held)) = process.queue.try_enter_free(mode, thread) else {
            return Err(AcquireStage::Enter);
        };
        let file = &held.file;
        let locked = match self.ensure_allows(file, mode) {
            Ok(()) => file.try_acquire(Goal::Enter(mode)).ok(),
            Err(_) => None,
        };
        // With the lock in hand: a file that is at the path now stays the one that others lock.
        let is_current = locked == Some(true) && matches!(self.is_current(file, false), Ok(true));
        if is_current && !self.settings.owner_record {
            process.held.store(true, Ordering::Relaxed);
            turn.keep();
            trace::acquired(&self.path, mode.name());
            return Ok(Hold::granted(held, self, mode, thread, None));
        }
        let file = Arc::clone(file);
        // The stages hold with the same memory, unless the file turns out to be stale.
        turn.leave_spare(held);
        Err(match locked {
            None => AcquireStage::Lock(turn, file),
            Some(false) => AcquireStage::Contended(turn, file),
            Some(true) if is_current => AcquireStage::Verified(turn, file, ()),
            Some(true) => AcquireStage::Locked(turn, file, ()),
        })
    }
}

impl<'h> From<Stopped<'h>> for AcquireStage<'h, Mode> {
    fn from(stopped: Stopped<'h>) -> Self {
        let Stopped {
            turn, file, locked, ..
        } = stopped;
        match locked {
            Err(_) => Self::Lock(turn, file),
            Ok(false) => Self::Contended(turn, file),
            // Not `Verified`: the file did not look as if it were at the path.
            Ok(true) => Self::Locked(turn, file, ()),
        }
    }
}

impl Acquirable for Mode {
    /// The file itself is locked.
    type Locked = ();
    type Held = Hold;

    const OPERATION: Operation = Operation::Lock;

    fn fast_path(
        self,
        handle: &Arc<Handle>,
        thread: ThreadToken,
    ) -> std::result::Result<Hold, AcquireStage<'_, Self>> {
        if let Some(held) = handle.process().queue.take_handoff(self, thread) {
            trace::acquired(&handle.path, self.name());
            return Ok(Hold::handed_off(held, self, thread));
        }
        handle.acquire_free(self, thread)
    }

    fn enter<'h>(acquire: &mut Acquire<'h, Self>) -> Result<AcquireStage<'h, Self>> {
        let (mode, thread) = (acquire.wanted, acquire.thread);
        let queue = &acquire.handle.process().queue;
        match queue.try_enter(mode, thread) {
            TryEnter::Turn(turn) => acquire.begin(turn),
            TryEnter::Inside(file) => Ok(AcquireStage::Held(
                acquire.granted(HeldLock::new(file), None),
            )),
            // An idle lock of this mode is in the slot. One of another mode was given back to the kernel just now.
            TryEnter::Full if queue.has_idle_handoff(mode) => {
                Ok(match queue.take_handoff(mode, thread) {
                    Some(held) => acquire.handed_off(held),
                    None => AcquireStage::Enter,
                })
            }
            TryEnter::Full if acquire.wait.is_impatient() => {
                Ok(AcquireStage::Refused(Refusal::Inside))
            }
            TryEnter::Full => {
                // Only exclusive locks are left in the slot for waiters.
                let may_compete = mode.is_alone() && acquire.handle.may_hand_off;
                let competes = may_compete && acquire.wait.may_compete();
                let enqueued = queue.enqueue(mode, thread, competes);
                Ok(AcquireStage::Queued(enqueued))
            }
        }
    }

    fn admitted<'h>(
        acquire: &Acquire<'h, Self>,
        admission: Admission<'h, LockFile>,
    ) -> Result<AcquireStage<'h, Self>> {
        match admission {
            Admission::Turn(turn) => acquire.begin(turn),
            Admission::Handoff(held) => Ok(acquire.handed_off(held)),
        }
    }

    fn holder(self, process: &ProcessState) -> Option<Holder> {
        process.holder(self.access())
    }

    fn ensure_allowed(self, handle: &Handle, file: &LockFile) -> Result<()> {
        handle.ensure_allows(file, self)
    }

    fn try_lock(self, file: &LockFile) -> io::Result<Option<()>> {
        Ok(file.try_acquire(Goal::Enter(self))?.then_some(()))
    }

    fn try_lock_at_last(self, file: Arc<LockFile>) -> std::result::Result<(), Refusal> {
        let is_let_in = Wait::<Handle>::is_let_in(&file, Goal::Enter(self));
        if is_let_in || file.try_after_waiters(self) {
            Ok(())
        } else {
            Err(Refusal::Holder(file, self.access()))
        }
    }

    async fn wait(
        self,
        wait: &mut Wait<'_, Handle>,
        _: &Arc<Handle>,
        file: &Arc<LockFile>,
    ) -> Result<Option<()>> {
        wait.in_kernel(file, Goal::Enter(self)).await.map(Some)
    }

    fn release(file: &LockFile) -> io::Result<()> {
        file.release()
    }

    fn hold(
        acquire: &Acquire<'_, Self>,
        mut turn: FileTurn<'_>,
        file: Arc<LockFile>,
        (): (),
    ) -> Result<Hold> {
        let handle = acquire.handle;
        let entry = match handle.begin_record(&file, acquire.wanted) {
            Ok(entry) => entry,
            Err(error) => {
                give_back::<Self>(&mut turn, &file);
                return Err(error);
            }
        };
        // After the record: an error above leaves the lock released.
        handle.process().held.store(true, Ordering::Relaxed);
        let spare = turn.take_spare();
        turn.keep();
        Ok(acquire.granted(spare.unwrap_or_else(|| HeldLock::new(file)), entry))
    }
}

impl<'h> Acquire<'h, Mode> {
    /// Goes on with the turn. Beside readers of this handle it gets in, unless the kernel holds it back for
    /// others: then it waits until those inside have left.
    fn begin(&self, turn: FileTurn<'h>) -> Result<AcquireStage<'h, Mode>> {
        if !turn.joins() {
            return Ok(AcquireStage::Open(turn));
        }
        let file = Arc::clone(turn.value().expect("those inside share it"));
        if self.handle.join(&file, self.wanted)? {
            // From now on other readers of this handle may join.
            turn.keep();
            return Ok(AcquireStage::Held(self.granted(HeldLock::new(file), None)));
        }
        if self.wait.is_impatient() {
            return Ok(AcquireStage::Refused(Refusal::Waiters));
        }
        let waiter = turn.step_back();
        Ok(AcquireStage::Queued(Enqueued::QueuedWaiter(waiter)))
    }

    fn granted(&self, held: Box<HeldLock>, entry: Option<Box<Entry>>) -> Hold {
        self.wait.acquired(self.wanted.name());
        Hold::granted(held, self.handle, self.wanted, self.thread, entry)
    }

    fn handed_off(&self, held: Box<HeldLock>) -> AcquireStage<'h, Mode> {
        self.wait.acquired(self.wanted.name());
        AcquireStage::Held(Hold::handed_off(held, self.wanted, self.thread))
    }
}
