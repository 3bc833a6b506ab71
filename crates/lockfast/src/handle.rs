//! What the handles of all primitives share: the path, what was chosen, and how to get in.

pub(crate) mod hold;
pub(crate) mod idle;
pub(crate) mod linger;
mod open;
pub(crate) mod registry;
pub(crate) mod release;
pub(crate) mod watcher;

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use crate::file::identity;
use crate::file::owner;
use crate::file::{Goal, LockFile};
use crate::handle::hold::{HeldLock, Hold};
use crate::handle::linger::{Lingering, Reason};
use crate::protocol::plan::Mode;
use crate::queue::{Enqueued, Entry, Queue, Shared, Turn};
use crate::sys::Access;
use crate::sys::FileId;
use crate::sys::per_process::PerProcess;
use crate::types::error::{Cause, Error, Operation, Result};
use crate::types::fairness::Fairness;
use crate::types::holder::Holder;
use crate::types::settings::Settings;
use crate::types::thread::ThreadToken;
use crate::types::trace;
use crate::types::verify::Verify;
use crate::types::wait_limit::WaitLimit;
use crate::wait::{Admission, Wait, in_one_process, now};

/// One lock of this process, shared by the clones of its handle.
#[derive(Debug)]
pub(crate) struct Handle {
    path: PathBuf,
    settings: Settings,
    /// The file that the user gave, if it was not opened by its path.
    given: Option<FileId>,
    process: PerProcess<OfProcess>,
    /// How many have opened it; none is left when it is only held.
    users: AtomicUsize,
}

/// What a primitive has of its handle: when the last clone is dropped, nothing is kept any more.
#[derive(Debug)]
pub(crate) struct Opened(Arc<Handle>);

/// A handle's part that belongs to one process.
#[derive(Debug)]
pub(crate) struct OfProcess {
    pub(crate) queue: Queue<LockFile>,
    pub(crate) lingering: Lingering,
    /// Does a guard of this process hold it? Information for errors only.
    pub(crate) held: AtomicBool,
}

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
        let is_elsewhere = |file: Arc<LockFile>| self.is_held_elsewhere_by(thread, &file);
        queue.has_inside(thread) || queue.glance().0.is_some_and(is_elsewhere)
    }

    /// Its part of the process that runs now.
    #[inline]
    pub(crate) fn process(&self) -> &OfProcess {
        self.process.get(|| OfProcess::new(None))
    }

    /// The same, if this is known to be the process that has opened it: for those in a hurry.
    #[inline]
    pub(crate) fn own_process(&self) -> Option<&OfProcess> {
        self.process.is_first().then(|| self.process.first())
    }

    /// Its part of the process that has opened it.
    #[inline]
    pub(crate) fn first_process(&self) -> &OfProcess {
        self.process.first()
    }

    /// Its parts of the processes before, in a forked child.
    pub(crate) fn inherited(&self) -> impl Iterator<Item = &OfProcess> {
        self.process.inherited()
    }

    /// May the lock pass among the threads of this process? Then what an acquire checks of the file was
    /// checked up to a millisecond before, and other processes that wait are overtaken.
    pub(crate) fn has_lane(&self) -> bool {
        !self.settings.remove_on_release
            && !self.settings.owner_record
            && self.settings.verify != Verify::Path
            && self.settings.fairness != Fairness::Fifo
    }

    /// Takes the lock, waiting as long as the patience lasts.
    #[inline]
    pub(crate) fn acquire(self: &Arc<Self>, mode: Mode, patience: WaitLimit) -> Result<Hold> {
        let thread = ThreadToken::current();
        if let Some(process) = self.own_process() {
            if let Some(parcel) = process.queue.take_from_lane(mode, thread) {
                trace::acquired(&self.path, mode.name());
                return Ok(Hold::from_lane(parcel, mode, thread));
            }
        }
        self.acquire_from_kernel(mode, patience, thread)
    }

    /// In a forked child it may be in the lane all the same; those who don't find it free look there.
    #[inline(never)]
    fn acquire_from_kernel(
        self: &Arc<Self>,
        mode: Mode,
        patience: WaitLimit,
        thread: ThreadToken,
    ) -> Result<Hold> {
        if patience != WaitLimit::None {
            if let Some(hold) = self.at_once(mode, thread) {
                return Ok(hold);
            }
        }
        let wait = Wait::new(self, thread, patience, Operation::Lock);
        now(self.acquire_by(mode, thread, wait))
    }

    /// Takes the lock if nothing is in the way and nothing fails, with what the last one left. What is
    /// in the way, those find out who are patient.
    #[inline]
    fn at_once(self: &Arc<Self>, mode: Mode, thread: ThreadToken) -> Option<Hold> {
        let process = self.process();
        let (mut turn, parcel) = process.queue.try_enter_again(mode, thread)?;
        let file = parcel.file();
        let is_locked = self.must_allow(file, mode).is_ok()
            && matches!(file.try_acquire(Goal::Enter(mode)), Ok(true));
        if is_locked && matches!(self.is_current(file, false), Ok(true)) {
            if let Ok(entry) = self.begin_record(file, mode) {
                process.held.store(true, Ordering::Relaxed);
                turn.keep();
                trace::acquired(&self.path, mode.name());
                return Some(Hold::again(parcel, self, mode, thread, entry));
            }
        }
        if is_locked {
            Self::give_back(&mut turn, file);
        } else {
            turn.spare(parcel);
        }
        None
    }

    /// Takes the lock as a task, waiting until it is dropped.
    pub(crate) async fn acquire_async(self: &Arc<Self>, mode: Mode) -> Result<Hold> {
        let thread = ThreadToken::NONE;
        if let Some(parcel) = self.process().queue.take_from_lane(mode, thread) {
            trace::acquired(&self.path, mode.name());
            return Ok(Hold::from_lane(parcel, mode, thread));
        }
        let wait = Wait::of_task(self, Operation::Lock);
        let acquires = self.acquire_by(mode, thread, wait);
        in_one_process(&self.path, Operation::Lock, acquires).await
    }

    /// The same until that instant at most. A task has no clock, so a helper thread does all of the wait.
    pub(crate) async fn acquire_async_until(
        self: &Arc<Self>,
        mode: Mode,
        deadline: Instant,
    ) -> Result<Hold> {
        let wait = Wait::new(self, ThreadToken::NONE, WaitLimit::None, Operation::Lock);
        match self.acquire_by(mode, ThreadToken::NONE, wait).await {
            Err(error) if error.is_contended() => {}
            done => return done,
        }
        let handle = Arc::clone(self);
        let acquire = move |_: &mut Wait<'_>| {
            let mut hold = handle.acquire(mode, WaitLimit::Until(deadline))?;
            hold.disown();
            Ok(hold)
        };
        let wait = Wait::of_task(self, Operation::Lock);
        in_one_process(&self.path, Operation::Lock, wait.offload(acquire)).await
    }

    async fn acquire_by(
        self: &Arc<Self>,
        mode: Mode,
        thread: ThreadToken,
        mut wait: Wait<'_>,
    ) -> Result<Hold> {
        let process = self.process();
        let queue = &process.queue;
        let inside = |wait: &Wait<'_>, file| {
            wait.acquired(mode.name());
            Ok(Hold::new(self, mode, thread, file))
        };
        let by_lane = |wait: &Wait<'_>, parcel| {
            wait.acquired(mode.name());
            Ok(Hold::from_lane(parcel, mode, thread))
        };
        let mut turn = loop {
            match queue.try_enter(mode, thread) {
                Entry::Turn(turn) => break turn,
                Entry::Inside(file) => return inside(&wait, file),
                Entry::Full if queue.has_idle_lane(mode) => {
                    if let Some(parcel) = queue.take_from_lane(mode, thread) {
                        return by_lane(&wait, parcel);
                    }
                }
                Entry::Full if wait.is_impatient() => {
                    return Err(wait.contended(process.holder(mode.access())));
                }
                Entry::Full => {
                    let competes = mode.is_alone() && self.has_lane() && wait.may_compete();
                    let admission = match queue.line_up(mode, thread, competes) {
                        Enqueued::QueuedWaiter(place) if competes => {
                            wait.at_lane(place, || process.holder(mode.access()))?
                        }
                        joined => Admission::Turn(
                            wait.for_turn(joined, || process.holder(mode.access()))
                                .await?,
                        ),
                    };
                    match admission {
                        Admission::Turn(turn) => break turn,
                        Admission::Handoff(parcel) => return by_lane(&wait, parcel),
                    }
                }
            }
        };
        while turn.joins() {
            if let Some(file) = self.join(&turn, mode)? {
                turn.keep();
                return inside(&wait, file);
            }
            if wait.is_impatient() {
                return Err(wait.contended(None));
            }
            let place = turn.step_back();
            turn = wait
                .at_place(place, || process.holder(mode.access()))
                .await?;
        }
        let file = self.enter(&mut turn, mode, &mut wait).await?;
        let entry = match self.begin_record(&file, mode) {
            Ok(entry) => entry,
            Err(error) => {
                Self::give_back(&mut turn, &file);
                return Err(error);
            }
        };
        process.held.store(true, Ordering::Relaxed);
        let spare = turn.take_spare();
        turn.keep();
        wait.acquired(mode.name());
        let parcel = spare.unwrap_or_else(|| HeldLock::new(file));
        Ok(Hold::again(parcel, self, mode, thread, entry))
    }

    /// Writes who holds it, if it is held alone and that is wanted.
    pub(crate) fn begin_record(
        &self,
        file: &LockFile,
        mode: Mode,
    ) -> Result<Option<Box<owner::Entry>>> {
        if !mode.is_alone() {
            return Ok(None);
        }
        let entry = file.begin_record();
        entry.map_err(|error| owner::failed(&self.path, error))
    }

    /// Gets in beside the readers of this handle, unless the kernel holds it back for others.
    fn join(&self, turn: &Turn<'_, LockFile>, mode: Mode) -> Result<Option<Arc<LockFile>>> {
        let file = turn.value().expect("those inside share it");
        self.must_allow(file, mode)?;
        match file.try_acquire(Goal::Join(mode)) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            // To be opened again, once those inside have left.
            Err(error) if file.is_void(&error) => return Ok(None),
            Err(error) => return Err(Error::system(&self.path, Operation::Lock, error)),
        }
        match self.is_current(file, false) {
            Ok(true) => Ok(Some(Arc::clone(file))),
            // Those inside may stay, but whoever comes now needs the file that is there now.
            other => {
                if mode == Mode::Upgradable {
                    file.release_upgrade()
                        .map_err(|error| Error::system(&self.path, Operation::Release, error))?;
                }
                other.map(|_| None)
            }
        }
    }

    /// Locks the file that is at the path, however often it is replaced meanwhile.
    async fn enter(
        self: &Arc<Self>,
        turn: &mut Turn<'_, LockFile>,
        mode: Mode,
        wait: &mut Wait<'_>,
    ) -> Result<Arc<LockFile>> {
        let fail = |operation, error| Error::system(&self.path, operation, error);
        let goal = Goal::Enter(mode);
        let mut voids = 0;
        loop {
            let file = match turn.take() {
                Some(file) => file,
                None => self.reopen(turn, wait).await?,
            };
            self.must_allow(&file, mode)?;
            let locked = match wait.attempt(|| file.try_acquire(goal)) {
                Ok(locked) => locked,
                Err(error) if voids < MAX_VOIDS && file.is_void(&error) => {
                    voids += 1;
                    turn.replace(None);
                    let _ = file.release();
                    wait.unless_over(|| None)?;
                    continue;
                }
                Err(error) => {
                    Self::give_back(turn, &file);
                    return Err(fail(Operation::Lock, error));
                }
            };
            if !locked {
                // Held by somebody; but if the file is stale, that is not the lock at the path.
                if !self.is_at_path(&file)? {
                    turn.replace(None);
                    wait.unless_over(|| None)?;
                    continue;
                }
                let granted = if wait.is_impatient() && Wait::is_let_in(&file, goal) {
                    Ok(())
                } else {
                    wait.in_kernel(&file, goal).await
                };
                if let Err(error) = granted {
                    Self::give_back(turn, &file);
                    let is_void = error.io_error().is_some_and(|error| file.is_void(error));
                    if is_void && voids < MAX_VOIDS {
                        voids += 1;
                        turn.replace(None);
                        wait.unless_over(|| None)?;
                        continue;
                    }
                    return Err(error);
                }
            }
            match self.is_current(&file, wait.has_begun()) {
                Ok(true) => return Ok(file),
                Ok(false) => {
                    turn.replace(None);
                    // Dropping the file releases it too; but a descriptor that was copied would
                    // keep it.
                    match file.release() {
                        Err(error) if !file.is_void(&error) => {
                            return Err(fail(Operation::Release, error));
                        }
                        _ => {}
                    }
                }
                Err(error) => {
                    turn.replace(None);
                    let _ = file.release();
                    return Err(error);
                }
            }
            wait.unless_over(|| None)?;
        }
    }

    /// Leaves a file that could not be locked to the next one, if surely nothing is held on it.
    fn give_back(turn: &mut Turn<'_, LockFile>, file: &LockFile) {
        if file.release().is_err() {
            turn.replace(None);
        }
    }

    /// An error if the file can't be held in this mode.
    fn must_allow(&self, file: &LockFile, mode: Mode) -> Result<()> {
        if mode == Mode::Upgradable && !file.converts() {
            return Err(self.unsupported(Operation::Lock));
        }
        if mode != Mode::Read && !file.can_lock_exclusively() {
            return Err(Error::new(
                &self.path,
                Operation::Lock,
                Cause::ReadOnly(
                    "the file could be opened for reading only, which is enough to share the lock: \
                     check its owner and mode to have it alone",
                ),
            ));
        }
        Ok(())
    }

    pub(crate) fn unsupported(&self, operation: Operation) -> Error {
        let why = "flock can't change a lock without giving it up in between: use Protocol::Fcntl \
                   on a system that has open-file-description locks";
        Error::new(&self.path, operation, Cause::Unsupported(why, None))
    }

    /// Closes its file if nobody uses it: the next acquire opens it again. A lock that is only kept is given
    /// up for that. `false` when there is none, or when it has to stay open.
    pub(crate) fn close_idle(&self) -> bool {
        // One that was given may have no path, and others see that a semaphore is open.
        let may_close = self.given.is_none() && self.settings.permits.is_none();
        if may_close && self.settings.linger.is_some() {
            self.revoke(Reason::Expired);
        }
        may_close && self.process().queue.take_idle().is_some()
    }

    /// Is this thread inside, by another handle of that file?
    pub(crate) fn is_held_elsewhere_by(&self, thread: ThreadToken, file: &LockFile) -> bool {
        registry::any(|handle| {
            let queue = &handle.process().queue;
            !std::ptr::eq(handle, self)
                && queue.has_inside(thread)
                && queue.shared().is_some_and(|other| other.id() == file.id())
        })
    }

    /// Is the file, which is locked now, the one at the path?
    pub(crate) fn is_current(&self, file: &LockFile, waited: bool) -> Result<bool> {
        let Settings {
            follow_symlinks,
            verify,
            ..
        } = self.settings;
        identity::is_current(file, &self.path, follow_symlinks, verify, waited)
            .map_err(|error| Error::system(&self.path, Operation::Check, error))
    }

    /// Is the file, locked or not, the one at the path?
    pub(crate) fn is_at_path(&self, file: &LockFile) -> Result<bool> {
        if self.settings.verify == Verify::Off {
            return Ok(true);
        }
        identity::is_at(file, &self.path, self.settings.follow_symlinks)
            .map_err(|error| Error::system(&self.path, Operation::Check, error))
    }
}

/// How often in a row a file may turn out to be of no use when it is locked.
const MAX_VOIDS: u32 = 100;

impl OfProcess {
    fn new(file: Option<LockFile>) -> Self {
        Self {
            queue: Queue::new(file),
            held: AtomicBool::new(false),
            lingering: Lingering::default(),
        }
    }

    /// The holder while others of this process are inside or have the turn: this process, or the one
    /// that keeps the others waiting.
    pub(crate) fn holder(&self, access: Access) -> Option<Holder> {
        if self.held.load(Ordering::Relaxed) {
            return Some(Holder::this_process());
        }
        let (file, _) = self.queue.glance();
        file?.holder(access)
    }
}

impl Opened {
    pub(crate) fn new(handle: Arc<Handle>) -> Self {
        handle.users.fetch_add(1, Ordering::Relaxed);
        Self(handle)
    }
}

impl Clone for Opened {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.0))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if self.0.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.end_linger();
        }
    }
}

impl Deref for Opened {
    type Target = Arc<Handle>;

    fn deref(&self) -> &Arc<Handle> {
        &self.0
    }
}

impl Shared for LockFile {
    type HeldLock = HeldLock;

    fn let_go(&self) -> bool {
        self.release().is_ok()
    }
}
