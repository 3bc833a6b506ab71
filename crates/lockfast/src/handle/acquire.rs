//! How a lock is acquired, by threads and tasks alike: a list of stages, from top to bottom.
//!
//! | stage | has the turn | next |
//! |---|---|---|
//! | [fast path](Handle::fast_path) | takes it | held, or the stage that its attempt has reached |
//! | [`Enter`](AcquireStage::Enter) | asks for it | `Join`, `Open`, `Queued`, or held: by hand-off, or because the thread reads already |
//! | [`Queued`](AcquireStage::Queued) | waits for it | `Join`, `Open`, or held by hand-off |
//! | [`Join`](AcquireStage::Join) | yes, and readers of this handle are inside | held, or back to `Queued` |
//! | [`Open`](AcquireStage::Open) | yes | `Lock` |
//! | [`Lock`](AcquireStage::Lock) | yes | `Locked`, or `Contended` |
//! | [`Contended`](AcquireStage::Contended) | yes, waits in the kernel's queue | `Locked` |
//! | [`Locked`](AcquireStage::Locked) | yes, and the kernel lock | `Verified`, or `Open` if the file is stale |
//! | [`Verified`](AcquireStage::Verified) | yes, and the kernel lock | held, after the owner record was written |
//!
//! Only `Queued`, `Open` and `Contended` wait. Dropped anywhere, a wait passes the turn on with nothing locked.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::fast::Stopped;
use super::hold::Hold;
use super::shared::{Handle, HeldLock, ProcessState};
use crate::file::owner::Entry;
use crate::file::{Goal, LockFile};
use crate::protocol::plan::Mode;
use crate::queue::{self, Enqueued, TryEnter};
use crate::types::error::{Error, Operation, Result};
use crate::types::holder::Holder;
use crate::types::thread::ThreadToken;
use crate::types::trace;
use crate::types::wait_limit::WaitLimit;
use crate::wait::{Admission, Wait, in_one_process, run_blocking};

pub(super) type FileTurn<'q> = queue::Turn<'q, LockFile>;

/// The progress of an acquire; the table above has what comes after each.
enum AcquireStage<'q> {
    Enter,
    Queued(Enqueued<'q, LockFile>),
    Join(FileTurn<'q>),
    Open(FileTurn<'q>),
    Lock(FileTurn<'q>, Arc<LockFile>),
    Contended(FileTurn<'q>, Arc<LockFile>),
    Locked(FileTurn<'q>, Arc<LockFile>),
    Verified(FileTurn<'q>, Arc<LockFile>),
    Held(Hold),
    /// A single attempt was all, and it failed.
    Refused(Refusal),
}

/// The obstacle of a single attempt, which finds out the holder for those who report it.
enum Refusal {
    /// Threads of this process, or whom they wait for.
    Inside,
    /// Processes that wait for the readers of this handle.
    Waiters,
    /// The holder of the kernel lock.
    Holder(Arc<LockFile>),
}

type Answer = std::result::Result<Hold, Refusal>;

/// An acquire that did not succeed by the fast path.
struct Acquire<'h> {
    handle: &'h Arc<Handle>,
    mode: Mode,
    thread: ThreadToken,
    wait: Wait<'h, Handle>,
    /// How often the file turned out to be of no use when it was to be locked.
    voids: u32,
}

impl Handle {
    /// Acquires the lock, waiting up to the limit.
    #[inline]
    pub(crate) fn acquire(self: &Arc<Self>, mode: Mode, limit: WaitLimit) -> Result<Hold> {
        let thread = ThreadToken::current();
        if let Some(process) = self.process_if_first() {
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
        self.fast_path(mode, thread)
            .or_else(|stage| self.acquire_blocking(mode, limit, thread, stage))
    }

    #[cold]
    fn acquire_blocking<'h>(
        self: &'h Arc<Self>,
        mode: Mode,
        limit: WaitLimit,
        thread: ThreadToken,
        stage: AcquireStage<'h>,
    ) -> Result<Hold> {
        let wait = Wait::new(self, thread, limit, Operation::Lock);
        let mut acquire = Acquire::new(self, mode, thread, wait);
        run_blocking(acquire.run(stage))?.map_err(|refusal| acquire.contended(&refusal))
    }

    /// Acquires the lock if that needs no wait; none when it is held.
    fn try_acquire(self: &Arc<Self>, mode: Mode, thread: ThreadToken) -> Result<Option<Hold>> {
        let stage = match self.fast_path(mode, thread) {
            Ok(hold) => return Ok(Some(hold)),
            Err(stage) => stage,
        };
        let wait = Wait::new(self, thread, WaitLimit::None, Operation::Lock);
        let mut acquire = Acquire::new(self, mode, thread, wait);
        run_blocking(acquire.run(stage)).map(Answer::ok)
    }

    /// Acquires the lock as a task, waiting until it is dropped.
    pub(crate) async fn acquire_async(self: &Arc<Self>, mode: Mode) -> Result<Hold> {
        let thread = ThreadToken::NONE;
        if let Some(held) = self.process().queue.take_handoff(mode, thread) {
            trace::acquired(&self.path, mode.name());
            return Ok(Hold::handed_off(held, mode, thread));
        }
        let stage = match self.fast_path(mode, thread) {
            Ok(hold) => return Ok(hold),
            Err(stage) => stage,
        };
        let wait = Wait::of_task(self, Operation::Lock);
        let mut acquire = Acquire::new(self, mode, thread, wait);
        let held = in_one_process(&self.path, Operation::Lock, acquire.run(stage)).await?;
        held.map_err(|refusal| acquire.contended(&refusal))
    }

    /// Acquires the lock as a task, waiting until that instant at most. A task has no clock, so a helper thread
    /// does all of the wait.
    pub(crate) async fn acquire_async_until(
        self: &Arc<Self>,
        mode: Mode,
        deadline: Instant,
    ) -> Result<Hold> {
        if let Some(hold) = self.try_acquire(mode, ThreadToken::NONE)? {
            return Ok(hold);
        }
        let handle = Arc::clone(self);
        let acquire = move |_: &mut Wait<'_, Self>| {
            let mut hold = handle.acquire(mode, WaitLimit::Until(deadline))?;
            hold.disown();
            Ok(hold)
        };
        let wait = Wait::of_task(self, Operation::Lock);
        in_one_process(&self.path, Operation::Lock, wait.offload(acquire)).await
    }

    /// Acquires a lock that is free in one go, with what the last holder left. If anything is in the way, the
    /// stages go on from there; whatever fails, they find out again.
    #[inline]
    fn fast_path(
        self: &Arc<Self>,
        mode: Mode,
        thread: ThreadToken,
    ) -> std::result::Result<Hold, AcquireStage<'_>> {
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
        let is_current = locked == Some(true) && matches!(self.is_current(file, false), Ok(true));
        if is_current && !self.settings.owner_record {
            process.held.store(true, Ordering::Relaxed);
            turn.keep();
            trace::acquired(&self.path, mode.name());
            return Ok(Hold::granted(held, self, mode, thread, None));
        }
        let file = Arc::clone(file);
        turn.leave_spare(held);
        Err(match locked {
            None => AcquireStage::Lock(turn, file),
            Some(false) => AcquireStage::Contended(turn, file),
            Some(true) if is_current => AcquireStage::Verified(turn, file),
            Some(true) => AcquireStage::Locked(turn, file),
        })
    }
}

impl<'h> From<Stopped<'h>> for AcquireStage<'h> {
    fn from(stopped: Stopped<'h>) -> Self {
        let Stopped {
            turn, file, locked, ..
        } = stopped;
        match locked {
            Err(_) => Self::Lock(turn, file),
            Ok(false) => Self::Contended(turn, file),
            Ok(true) => Self::Locked(turn, file),
        }
    }
}

impl<'h> Acquire<'h> {
    fn new(
        handle: &'h Arc<Handle>,
        mode: Mode,
        thread: ThreadToken,
        wait: Wait<'h, Handle>,
    ) -> Self {
        Self {
            handle,
            mode,
            thread,
            wait,
            voids: 0,
        }
    }

    /// Goes through the stages until the lock is held, or a single attempt was refused.
    async fn run(&mut self, mut stage: AcquireStage<'h>) -> Result<Answer> {
        loop {
            stage = match stage {
                AcquireStage::Enter => self.enter(),
                AcquireStage::Queued(enqueued) => self.queued(enqueued).await?,
                AcquireStage::Join(turn) => self.join(turn)?,
                AcquireStage::Open(turn) => self.open(turn).await?,
                AcquireStage::Lock(turn, file) => self.lock(turn, file)?,
                AcquireStage::Contended(turn, file) => self.contend(turn, file).await?,
                AcquireStage::Locked(turn, file) => self.locked(turn, file)?,
                AcquireStage::Verified(turn, file) => self.record(turn, file)?,
                AcquireStage::Held(hold) => return Ok(Ok(hold)),
                AcquireStage::Refused(refusal) => return Ok(Err(refusal)),
            }
        }
    }

    fn enter(&mut self) -> AcquireStage<'h> {
        let queue = &self.handle.process().queue;
        match queue.try_enter(self.mode, self.thread) {
            TryEnter::Turn(turn) => begin(turn),
            TryEnter::Inside(file) => self.granted(HeldLock::new(file), None),
            TryEnter::Full if queue.has_idle_handoff(self.mode) => {
                match queue.take_handoff(self.mode, self.thread) {
                    Some(held) => self.handed_off(held),
                    None => AcquireStage::Enter,
                }
            }
            TryEnter::Full if self.wait.is_impatient() => AcquireStage::Refused(Refusal::Inside),
            TryEnter::Full => {
                let may_compete = self.mode.is_alone() && self.handle.may_hand_off;
                let competes = may_compete && self.wait.may_compete();
                AcquireStage::Queued(queue.enqueue(self.mode, self.thread, competes))
            }
        }
    }

    async fn queued(&mut self, enqueued: Enqueued<'h, LockFile>) -> Result<AcquireStage<'h>> {
        let (process, access) = (self.handle.process(), self.mode.access());
        let holder = || process.holder(access);
        match self.wait.until_admitted(enqueued, holder).await? {
            Admission::Turn(turn) => Ok(begin(turn)),
            Admission::Handoff(held) => Ok(self.handed_off(held)),
        }
    }

    /// Gets in beside the readers of this handle, unless the kernel holds it back for others: then it waits
    /// until those inside have left.
    fn join(&mut self, turn: FileTurn<'h>) -> Result<AcquireStage<'h>> {
        let file = Arc::clone(turn.value().expect("those inside share it"));
        if self.handle.join(&file, self.mode)? {
            turn.keep();
            return Ok(self.granted(HeldLock::new(file), None));
        }
        if self.wait.is_impatient() {
            return Ok(AcquireStage::Refused(Refusal::Waiters));
        }
        Ok(AcquireStage::Queued(Enqueued::QueuedWaiter(
            turn.step_back(),
        )))
    }

    /// Opens the file if it was stale or idle, or if this is a forked child.
    async fn open(&mut self, mut turn: FileTurn<'h>) -> Result<AcquireStage<'h>> {
        if let Some(file) = turn.take() {
            return Ok(AcquireStage::Lock(turn, file));
        }
        let file = Arc::new(self.wait.opened().await?);
        // A lock whose file can't be watched is not kept.
        let _ = self.handle.watch(&file);
        turn.replace(Some(&file));
        Ok(AcquireStage::Lock(turn, file))
    }

    fn lock(&mut self, turn: FileTurn<'h>, file: Arc<LockFile>) -> Result<AcquireStage<'h>> {
        self.handle.ensure_allows(&file, self.mode)?;
        match file.try_acquire(Goal::Enter(self.mode)) {
            Ok(true) => Ok(AcquireStage::Locked(turn, file)),
            Ok(false) => Ok(AcquireStage::Contended(turn, file)),
            Err(error) => self.failed(turn, &file, self.system(error)),
        }
    }

    /// A first attempt failed, and has left nothing locked.
    async fn contend(
        &mut self,
        turn: FileTurn<'h>,
        file: Arc<LockFile>,
    ) -> Result<AcquireStage<'h>> {
        let goal = Goal::Enter(self.mode);
        for _ in 0..self.wait.more_attempts() {
            match file.try_acquire(goal) {
                Ok(true) => return Ok(AcquireStage::Locked(turn, file)),
                Ok(false) => {}
                Err(error) => return self.failed(turn, &file, self.system(error)),
            }
        }
        // Held by somebody; but if the file is stale, that is not the lock at the path.
        if !self.handle.is_at_path(&file)? {
            return self.again(turn);
        }
        if self.wait.is_impatient() {
            if Wait::<Handle>::is_let_in(&file, goal) {
                return Ok(AcquireStage::Locked(turn, file));
            }
            return Ok(AcquireStage::Refused(Refusal::Holder(file)));
        }
        match self.wait.in_kernel(&file, goal).await {
            Ok(()) => Ok(AcquireStage::Locked(turn, file)),
            Err(error) => self.failed(turn, &file, error),
        }
    }

    fn locked(&mut self, mut turn: FileTurn<'h>, file: Arc<LockFile>) -> Result<AcquireStage<'h>> {
        match self.handle.is_current(&file, self.wait.has_begun()) {
            Ok(true) => Ok(AcquireStage::Verified(turn, file)),
            // Dropping the file releases it too; but a descriptor that was copied would keep the lock.
            Ok(false) => match file.release() {
                Err(error) if !file.is_void(&error) => {
                    turn.replace(None);
                    let path = &self.handle.path;
                    Err(Error::system(path, Operation::Release, error))
                }
                _ => self.again(turn),
            },
            Err(error) => {
                turn.replace(None);
                let _ = file.release();
                Err(error)
            }
        }
    }

    fn record(&mut self, mut turn: FileTurn<'h>, file: Arc<LockFile>) -> Result<AcquireStage<'h>> {
        let entry = match self.handle.begin_record(&file, self.mode) {
            Ok(entry) => entry,
            Err(error) => {
                give_back(&mut turn, &file);
                return Err(error);
            }
        };
        self.handle.process().held.store(true, Ordering::Relaxed);
        let spare = turn.take_spare();
        turn.keep();
        Ok(self.granted(spare.unwrap_or_else(|| HeldLock::new(file)), entry))
    }

    fn granted(&self, held: Box<HeldLock>, entry: Option<Box<Entry>>) -> AcquireStage<'h> {
        self.wait.acquired(self.mode.name());
        AcquireStage::Held(Hold::granted(
            held,
            self.handle,
            self.mode,
            self.thread,
            entry,
        ))
    }

    fn handed_off(&self, held: Box<HeldLock>) -> AcquireStage<'h> {
        self.wait.acquired(self.mode.name());
        AcquireStage::Held(Hold::handed_off(held, self.mode, self.thread))
    }

    /// Opens a file that is of no use any more again; any other error ends the acquire.
    fn failed(
        &mut self,
        mut turn: FileTurn<'h>,
        file: &LockFile,
        error: Error,
    ) -> Result<AcquireStage<'h>> {
        give_back(&mut turn, file);
        let is_void = error.io_error().is_some_and(|error| file.is_void(error));
        if !is_void || self.voids == MAX_VOIDS {
            return Err(error);
        }
        self.voids += 1;
        self.again(turn)
    }

    /// Goes on with the file that is at the path now, however often it is replaced meanwhile.
    fn again(&self, mut turn: FileTurn<'h>) -> Result<AcquireStage<'h>> {
        turn.replace(None);
        self.wait.ensure_in_time(|| None)?;
        Ok(AcquireStage::Open(turn))
    }

    fn system(&self, error: io::Error) -> Error {
        Error::system(&self.handle.path, Operation::Lock, error)
    }

    /// The error of a single attempt that was refused.
    #[cold]
    fn contended(&self, refusal: &Refusal) -> Error {
        let access = self.mode.access();
        let holder: Option<Holder> = match refusal {
            Refusal::Inside => self.handle.process().holder(access),
            Refusal::Waiters => None,
            Refusal::Holder(file) => file.holder(access),
        };
        self.wait.contended(holder)
    }
}

fn begin(turn: FileTurn<'_>) -> AcquireStage<'_> {
    if turn.joins() {
        AcquireStage::Join(turn)
    } else {
        AcquireStage::Open(turn)
    }
}

/// Leaves a file on which a call failed to the next holder, if surely nothing is locked on it.
fn give_back(turn: &mut FileTurn<'_>, file: &LockFile) {
    if file.release().is_err() {
        turn.replace(None);
    }
}

/// The number of times that a file may turn out to be of no use when it is to be locked.
const MAX_VOIDS: u32 = 100;
