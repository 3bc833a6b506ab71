//! How a lock or a permit is acquired, by threads and tasks alike: a list of stages, from top to bottom.
//!
//! | stage | has the turn | next |
//! |---|---|---|
//! | fast path | takes it | held, or the stage that its attempt has reached |
//! | [`Enter`](AcquireStage::Enter) | asks for it | `Queued`, `Open`, or held: by hand-off, or beside readers of this handle |
//! | [`Queued`](AcquireStage::Queued) | waits for it | `Open`, or held: by hand-off, or beside readers of this handle |
//! | [`Open`](AcquireStage::Open) | yes | `Lock` |
//! | [`Lock`](AcquireStage::Lock) | yes | `Locked`, or `Contended` |
//! | [`Contended`](AcquireStage::Contended) | yes, waits in the kernel's queue | `Locked`, or `Open` if the file is stale |
//! | [`Locked`](AcquireStage::Locked) | yes, and the kernel lock | `Verified`, or `Open` if the file is stale |
//! | [`Verified`](AcquireStage::Verified) | yes, and the kernel lock | held, after the owner record was written |
//!
//! A [lock] and [permits] go through the same stages; [`Acquirable`] is what they do differently in
//! them. A lock has a [fast path](Acquirable::fast_path) before them.
//!
//! Only `Queued`, `Open` and `Contended` wait. Dropped anywhere, a wait passes the turn on with nothing locked.

mod lock;
pub(crate) mod permits;

use std::io;
use std::sync::Arc;

use super::shared::{Handle, ProcessState};
use crate::file::LockFile;
use crate::queue::{self, Enqueued};
use crate::sys::Access;
use crate::types::error::{Error, Operation, Result};
use crate::types::holder::Holder;
use crate::types::thread::ThreadToken;
use crate::types::wait_limit::WaitLimit;
use crate::wait::{Admission, Wait, in_one_process, run_blocking};

pub(super) type FileTurn<'q> = queue::Turn<'q, LockFile>;

/// The progress of an acquire; the table above has what comes after each.
pub(crate) enum AcquireStage<'q, W: Acquirable> {
    Enter,
    Queued(Enqueued<'q, LockFile>),
    Open(FileTurn<'q>),
    Lock(FileTurn<'q>, Arc<LockFile>),
    Contended(FileTurn<'q>, Arc<LockFile>),
    Locked(FileTurn<'q>, Arc<LockFile>, W::Locked),
    Verified(FileTurn<'q>, Arc<LockFile>, W::Locked),
    Held(W::Held),
    /// A single attempt was all, and it failed.
    Refused(Refusal),
}

/// The obstacle of a single attempt, which finds out the holder for those who report it.
pub(crate) enum Refusal {
    /// Threads of this process, or whom they wait for.
    Inside,
    /// Others that wait, in any process.
    Waiters,
    /// The holder of the kernel lock.
    Holder(Arc<LockFile>, Access),
}

type Answer<W> = std::result::Result<<W as Acquirable>::Held, Refusal>;

/// A lock in a mode, or permits: what differs in the stages.
pub(crate) trait Acquirable: Copy + Send + 'static {
    /// What the kernel has granted, until it is held.
    type Locked: Send;
    /// What the user holds.
    type Held: Send + 'static;

    const OPERATION: Operation;

    /// Acquires what is free in one go, without a [`Wait`]. If anything is in the way, the stages go on from
    /// there.
    fn fast_path(
        self,
        handle: &Arc<Handle>,
        thread: ThreadToken,
    ) -> std::result::Result<Self::Held, AcquireStage<'_, Self>> {
        let _ = (handle, thread);
        Err(AcquireStage::Enter)
    }

    /// Asks for the turn, or acquires without it.
    fn enter<'h>(acquire: &mut Acquire<'h, Self>) -> Result<AcquireStage<'h, Self>>;

    /// Goes on after the wait for the turn.
    fn admitted<'h>(
        acquire: &Acquire<'h, Self>,
        admission: Admission<'h, LockFile>,
    ) -> Result<AcquireStage<'h, Self>>;

    /// The holder while others of this process are inside or have the turn, for errors and `on_wait`.
    fn holder(self, process: &ProcessState) -> Option<Holder>;

    /// An error if the file can't be held like that.
    fn ensure_allowed(self, handle: &Handle, file: &LockFile) -> Result<()>;

    /// Attempts once; leaves nothing locked if that fails.
    fn try_lock(self, file: &LockFile) -> io::Result<Option<Self::Locked>>;

    /// Attempts a last time, for a caller that does not wait.
    fn try_lock_at_last(self, file: Arc<LockFile>) -> std::result::Result<Self::Locked, Refusal>;

    /// Waits in the kernel's queue; none when the file is not at its path any more.
    fn wait(
        self,
        wait: &mut Wait<'_, Handle>,
        handle: &Arc<Handle>,
        file: &Arc<LockFile>,
    ) -> impl Future<Output = Result<Option<Self::Locked>>> + Send;

    /// Releases what this acquire may have locked on the file, beside what is released when it is dropped.
    fn release(file: &LockFile) -> io::Result<()>;

    /// Holds what is locked on a file that is the one at the path.
    fn hold(
        acquire: &Acquire<'_, Self>,
        turn: FileTurn<'_>,
        file: Arc<LockFile>,
        locked: Self::Locked,
    ) -> Result<Self::Held>;
}

/// An acquire that did not succeed by the fast path.
pub(crate) struct Acquire<'h, W> {
    handle: &'h Arc<Handle>,
    wanted: W,
    thread: ThreadToken,
    wait: Wait<'h, Handle>,
    /// How often the file turned out to be of no use when it was to be locked.
    voids: u32,
}

impl Handle {
    /// Acquires from that stage on, blocking the thread up to the limit.
    #[cold]
    fn acquire_blocking<'h, W: Acquirable>(
        self: &'h Arc<Self>,
        wanted: W,
        limit: WaitLimit,
        thread: ThreadToken,
        stage: AcquireStage<'h, W>,
    ) -> Result<W::Held> {
        let wait = Wait::new(self, thread, limit, W::OPERATION);
        let mut acquire = Acquire::new(self, wanted, thread, wait);
        run_blocking(acquire.run(stage))?.map_err(|refusal| acquire.contended(&refusal))
    }

    /// Acquires as a task, waiting up to the limit or until it is dropped.
    pub(crate) async fn acquire_async<W: Acquirable>(
        self: &Arc<Self>,
        wanted: W,
        limit: WaitLimit,
    ) -> Result<W::Held> {
        // A task has no thread that could wait for itself.
        let thread = ThreadToken::NONE;
        let stage = match wanted.fast_path(self, thread) {
            Ok(held) => return Ok(held),
            Err(stage) => stage,
        };
        let task = Wait::of_task(self, W::OPERATION);
        match limit {
            WaitLimit::None => self.acquire_blocking(wanted, limit, thread, stage),
            WaitLimit::Forever => {
                let mut acquire = Acquire::new(self, wanted, thread, task);
                let held = in_one_process(&self.path, W::OPERATION, acquire.run(stage)).await?;
                held.map_err(|refusal| acquire.contended(&refusal))
            }
            WaitLimit::Until(_) => {
                let once = Wait::new(self, thread, WaitLimit::None, W::OPERATION);
                let attempt = run_blocking(Acquire::new(self, wanted, thread, once).run(stage))?;
                if let Ok(held) = attempt {
                    return Ok(held);
                }
                // A task has no clock, so a helper thread does all of the wait.
                let own = Arc::clone(self);
                let acquire = move |_: &mut Wait<'_, Self>| {
                    // From the start: the single attempt has passed its turn on.
                    own.acquire_blocking(wanted, limit, thread, AcquireStage::Enter)
                };
                in_one_process(&self.path, W::OPERATION, task.offload(acquire)).await
            }
        }
    }
}

impl<'h, W: Acquirable> Acquire<'h, W> {
    fn new(
        handle: &'h Arc<Handle>,
        wanted: W,
        thread: ThreadToken,
        wait: Wait<'h, Handle>,
    ) -> Self {
        Self {
            handle,
            wanted,
            thread,
            wait,
            voids: 0,
        }
    }

    /// Goes through the stages until it is held, or a single attempt was refused.
    async fn run(&mut self, mut stage: AcquireStage<'h, W>) -> Result<Answer<W>> {
        loop {
            stage = match stage {
                AcquireStage::Enter => W::enter(self)?,
                AcquireStage::Queued(enqueued) => self.queued(enqueued).await?,
                AcquireStage::Open(turn) => self.open(turn).await?,
                AcquireStage::Lock(turn, file) => self.lock(turn, file)?,
                AcquireStage::Contended(turn, file) => self.contend(turn, file).await?,
                AcquireStage::Locked(turn, file, locked) => self.locked(turn, file, locked)?,
                AcquireStage::Verified(turn, file, locked) => {
                    AcquireStage::Held(W::hold(self, turn, file, locked)?)
                }
                AcquireStage::Held(held) => return Ok(Ok(held)),
                AcquireStage::Refused(refusal) => return Ok(Err(refusal)),
            }
        }
    }

    async fn queued(&mut self, enqueued: Enqueued<'h, LockFile>) -> Result<AcquireStage<'h, W>> {
        let (process, wanted) = (self.handle.process(), self.wanted);
        let holder = || wanted.holder(process);
        let admission = self.wait.until_admitted(enqueued, holder).await?;
        W::admitted(self, admission)
    }

    /// Opens the file if it was stale, idle or of no use, or if this is a forked child.
    async fn open(&mut self, mut turn: FileTurn<'h>) -> Result<AcquireStage<'h, W>> {
        if let Some(file) = turn.take().filter(|file| !file.permits().is_spoilt()) {
            return Ok(AcquireStage::Lock(turn, file));
        }
        let file = Arc::new(self.wait.opened().await?);
        // A lock whose file can't be watched is not kept.
        let _ = self.handle.watch(&file);
        // Shared before it is locked: whoever comes meanwhile queues for this file.
        turn.replace(Some(&file));
        Ok(AcquireStage::Lock(turn, file))
    }

    fn lock(&mut self, turn: FileTurn<'h>, file: Arc<LockFile>) -> Result<AcquireStage<'h, W>> {
        // An error here drops the turn with nothing locked.
        self.wanted.ensure_allowed(self.handle, &file)?;
        match self.wanted.try_lock(&file) {
            Ok(Some(locked)) => Ok(AcquireStage::Locked(turn, file, locked)),
            Ok(None) => Ok(AcquireStage::Contended(turn, file)),
            Err(error) => self.failed(turn, &file, self.wait.system(error)),
        }
    }

    /// A first attempt failed, and has left nothing locked.
    async fn contend(
        &mut self,
        turn: FileTurn<'h>,
        file: Arc<LockFile>,
    ) -> Result<AcquireStage<'h, W>> {
        for _ in 0..self.wait.more_attempts() {
            match self.wanted.try_lock(&file) {
                Ok(Some(locked)) => return Ok(AcquireStage::Locked(turn, file, locked)),
                Ok(None) => {}
                Err(error) => return self.failed(turn, &file, self.wait.system(error)),
            }
        }
        // Held by somebody; but if the file is stale, that is not the lock at the path.
        if !self.handle.is_at_path(&file)? {
            return self.again(turn);
        }
        if self.wait.is_impatient() {
            return Ok(match self.wanted.try_lock_at_last(Arc::clone(&file)) {
                Ok(locked) => AcquireStage::Locked(turn, file, locked),
                Err(refusal) => AcquireStage::Refused(refusal),
            });
        }
        match self.wanted.wait(&mut self.wait, self.handle, &file).await {
            Ok(Some(locked)) => Ok(AcquireStage::Locked(turn, file, locked)),
            Ok(None) => self.again(turn),
            Err(error) => self.failed(turn, &file, error),
        }
    }

    fn locked(
        &mut self,
        mut turn: FileTurn<'h>,
        file: Arc<LockFile>,
        locked: W::Locked,
    ) -> Result<AcquireStage<'h, W>> {
        match self.handle.is_current(&file, self.wait.has_begun()) {
            Ok(true) => Ok(AcquireStage::Verified(turn, file, locked)),
            // Dropping the file releases it too; but a descriptor that was copied would keep the lock.
            Ok(false) => match W::release(&file) {
                Err(error) if !file.is_void(&error) => {
                    turn.replace(None);
                    let path = &self.handle.path;
                    Err(Error::system(path, Operation::Release, error))
                }
                _ => self.again(turn),
            },
            Err(error) => {
                // It is not known whether others lock another file by now, so this one is not used
                // again.
                turn.replace(None);
                let _ = W::release(&file);
                Err(error)
            }
        }
    }

    /// Opens a file that is of no use any more again; any other error ends the acquire.
    fn failed(
        &mut self,
        mut turn: FileTurn<'h>,
        file: &LockFile,
        error: Error,
    ) -> Result<AcquireStage<'h, W>> {
        // Some steps of a plan may be done when a later one fails.
        give_back::<W>(&mut turn, file);
        let is_void = error.io_error().is_some_and(|error| file.is_void(error));
        if !is_void || self.voids == MAX_VOIDS {
            return Err(error);
        }
        self.voids += 1;
        self.again(turn)
    }

    /// Goes on with the file that is at the path now, however often it is replaced meanwhile.
    fn again(&self, mut turn: FileTurn<'h>) -> Result<AcquireStage<'h, W>> {
        turn.replace(None);
        // Others could replace the file again and again.
        self.wait.ensure_in_time(|| None)?;
        Ok(AcquireStage::Open(turn))
    }

    /// The error of a single attempt that was refused.
    #[cold]
    fn contended(&self, refusal: &Refusal) -> Error {
        self.wait.contended(match refusal {
            Refusal::Inside => self.wanted.holder(self.handle.process()),
            Refusal::Waiters => None,
            Refusal::Holder(file, access) => file.holder(*access),
        })
    }
}

/// Leaves a file on which a call failed to the next holder, if surely nothing is locked on it.
fn give_back<W: Acquirable>(turn: &mut FileTurn<'_>, file: &LockFile) {
    if W::release(file).is_err() {
        turn.replace(None);
    }
}

/// The number of times that a file may turn out to be of no use when it is to be locked.
const MAX_VOIDS: u32 = 100;
