//! An open lock file: how it is opened, and the kernel locks that are taken on it.

pub(crate) mod fifo;
pub(crate) mod identity;
pub(crate) mod named;
mod open;
pub(crate) mod owner;
pub(crate) mod permits;
mod trial;
mod wanted;

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::file::fifo::FifoQueue;
use crate::file::identity::VerifiedStats;
use crate::file::owner::{Author, Entry};
use crate::file::permits::PermitSet;
use crate::handle::idle;
use crate::handle::watcher::Watched;
use crate::protocol::plan::{self, Mode, Part, Plan, Step};
use crate::protocol::{self, Protocol, tickets};
use crate::sys::Access;
use crate::sys::fork::{self, PrivateFile};
use crate::sys::{self, FileId, Target};
use crate::types::error::{Cause, Error, Operation, Result};
use crate::types::fairness::Fairness;
use crate::types::holder::Holder;
use crate::types::settings::Settings;

pub(crate) use open::{Opened, absolute};
use open::{open, refuse_unless_regular};

/// An open lock file.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the file"
)]
pub(crate) struct LockFile {
    file: PrivateFile,
    id: FileId,
    sightings: VerifiedStats,
    /// Does a rename change what a sighting has?
    renames_show: bool,
    /// Are its locks kept by a server?
    is_remote: bool,
    /// Are bytes locked?
    bytes: bool,
    /// Is the file locked by `flock`?
    flock: bool,
    /// How long the range of an exclusive holder is.
    exclusive_len: u64,
    writable: bool,
    /// How often in a row a writer came in without a look at the rooms.
    quick_writes: AtomicU32,
    /// The place in the line, if there is to be a strict order.
    order: Option<FifoQueue>,
    /// What a semaphore knows of its permits.
    pool: Option<PermitSet>,
    /// Who writes the owner records, if they are wanted.
    author: Option<Author>,
    /// Is everybody noticed who opens it?
    is_heard: bool,
    /// On whose behalf it is watched, if locks on it linger.
    watched: OnceLock<Watched>,
    /// Are bytes locked by which it is asked for, or kept?
    has_sign: AtomicBool,
    /// Whether the file system refused to have somebody wait for a lock, though it has locks.
    is_without_waits: AtomicBool,
}

/// What is wanted of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Goal {
    /// To get in, holding nothing yet.
    Enter(Mode),
    /// To get in beside readers of the same description.
    Join(Mode),
    /// To become the writer, from upgradable.
    Upgrade,
    /// To be first in the line for permits.
    LeadLine,
}

/// Waits for the same goal on the same file: whenever the kernel could grant one of them, it could grant any
/// that is in its queue already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Line {
    file: FileId,
    goal: Goal,
    bytes: bool,
    flock: bool,
}

#[cfg(test)]
impl Line {
    /// Of no file that exists.
    pub(crate) fn for_test() -> Self {
        Self {
            file: FileId::default(),
            goal: Goal::LeadLine,
            bytes: true,
            flock: false,
        }
    }
}

impl Goal {
    fn quick(self) -> Plan {
        match self {
            Self::Enter(mode) => plan::quick(mode),
            Self::Join(mode) => plan::join(mode),
            Self::Upgrade => plan::UPGRADE_QUICK,
            Self::LeadLine => protocol::permits::LINE_UP,
        }
    }

    fn patient(self) -> Plan {
        match self {
            Self::Enter(mode) => plan::patient(mode),
            Self::Join(mode) => plan::join(mode),
            Self::Upgrade => plan::UPGRADE,
            Self::LeadLine => protocol::permits::LINE_UP,
        }
    }

    /// What it is that others may not do then.
    pub(crate) fn access(self) -> Access {
        match self {
            Self::Enter(mode) | Self::Join(mode) => mode.access(),
            Self::Upgrade | Self::LeadLine => Access::Exclusive,
        }
    }
}

impl LockFile {
    /// Opens the file at the path, and creates it if need be.
    pub(crate) fn open(path: &Path, settings: &Settings) -> Result<Self> {
        if let Some(directory) = &settings.directory {
            directory.make_safe()?;
        }
        Self::open_by(path, settings, || open(path, settings))
    }

    /// Opens a file in that way, without a fork in between.
    pub(crate) fn open_by(
        path: &Path,
        settings: &Settings,
        open: impl Fn() -> Result<Opened>,
    ) -> Result<Self> {
        idle::make_room();
        loop {
            let forks = fork::forks();
            let opened = match open() {
                Err(error) if is_table_full(&error) && idle::close_all() => continue,
                opened => opened?,
            };
            // A child that was forked before the file was registered shares its description, and would
            // keep whatever is locked on it.
            if fork::forks() == forks {
                return Self::new(opened, path, settings);
            }
        }
    }

    /// Takes a file that is open.
    pub(crate) fn new(opened: Opened, path: &Path, settings: &Settings) -> Result<Self> {
        let Opened {
            file,
            status,
            writable,
        } = opened;
        refuse_unless_regular(path, status.sort)?;
        let has_ranges = sys::lock::HAS_RANGES && sys::file::has_ranges(&file);
        let needs_ranges = settings.fairness == Fairness::Fifo || settings.permits.is_some();
        if needs_ranges && !has_ranges {
            let why = "Fairness::Fifo and semaphores need locks of single bytes, which this file \
                       system does not have: use a local one, or NFS";
            return Err(Error::new(
                path,
                Operation::Open,
                Cause::Unsupported(why, None),
            ));
        }
        let (bytes, flock) = match settings.protocol {
            Protocol::Fcntl | Protocol::Both if !has_ranges => (false, true),
            Protocol::Fcntl => (true, false),
            Protocol::Flock => (false, true),
            Protocol::Both => (true, !sys::file::has_one_lock_table(&file)),
        };
        let is_remote = sys::file::is_remote(&file);
        if bytes && is_remote && trial::grants_what_is_held(&file) {
            let why = "this file system grants a lock that is held already (it passes all locks on as \
                       its own): use Protocol::Flock, which it may pass on rightly, or a directory on \
                       another file system";
            return Err(Error::new(
                path,
                Operation::Open,
                Cause::Unsupported(why, None),
            ));
        }
        let author = if settings.owner_record {
            Some(owner::author(&file, path, &settings.label)?)
        } else {
            None
        };
        let pid = std::process::id();
        let pool = match settings.permits {
            Some(permits) => Some(PermitSet::join(&file, path, permits)?),
            None => None,
        };
        Ok(Self {
            renames_show: sys::file::renames_change_time(&file),
            is_remote,
            is_heard: sys::lock::HAS_RANGES && sys::file::is_heard(&file),
            file,
            id: status.id,
            sightings: VerifiedStats::default(),
            bytes,
            flock,
            exclusive_len: protocol::exclusive_len(pid, sys::process::namespace()),
            writable,
            quick_writes: AtomicU32::new(0),
            order: (settings.fairness == Fairness::Fifo).then(FifoQueue::default),
            pool,
            author,
            watched: OnceLock::new(),
            has_sign: AtomicBool::new(false),
            is_without_waits: AtomicBool::new(false),
        })
    }

    /// Whether it was opened by this process, and is no forked child's copy.
    #[inline]
    pub(crate) fn is_own(&self) -> bool {
        self.file.is_own()
    }

    /// Whether its descriptor still means this file. Takes a system call.
    pub(crate) fn is_there(&self) -> bool {
        self.file.is_there()
    }

    /// Whether the error only says that this open file is of no use any more, so that it has to be opened
    /// again: a server has lost it, or the program has closed or replaced the descriptor.
    pub(crate) fn is_void(&self, error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::StaleNetworkFileHandle || !self.is_there()
    }

    /// The error of a call for a lock that is held, or was until its descriptor was closed.
    pub(crate) fn failed(&self, path: &Path, operation: Operation, error: io::Error) -> Error {
        match self.must_be_there(path, operation) {
            Ok(()) => Error::system(path, operation, error),
            Err(gone) => gone,
        }
    }

    /// An error if the program has closed or replaced the descriptor.
    pub(crate) fn must_be_there(&self, path: &Path, operation: Operation) -> Result<()> {
        if self.is_there() {
            return Ok(());
        }
        Err(Error::new(path, operation, Cause::NotHeld(CLOSED)))
    }

    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    /// What it was like when it was found at its path.
    pub(crate) fn sightings(&self) -> &VerifiedStats {
        &self.sightings
    }

    /// Does a rename change what a sighting has?
    pub(crate) fn renames_show(&self) -> bool {
        self.renames_show
    }

    /// Can a grant come late, because a server sends it?
    pub(crate) fn is_remote(&self) -> bool {
        self.is_remote
    }

    /// Does a signal end a wait for it in the kernel?
    pub(crate) fn signals_end_waits(&self) -> bool {
        // Of those that this machine keeps the kernel is not asked again.
        !self.is_remote || sys::file::signals_end_waits(&self.file)
    }

    /// Whether somebody can wait for a lock in the kernel, as far as is known.
    pub(crate) fn has_waits(&self) -> bool {
        !self.is_without_waits.load(Ordering::Relaxed)
    }

    /// Notes that nobody can.
    pub(crate) fn note_without_waits(&self) {
        self.is_without_waits.store(true, Ordering::Relaxed);
    }

    /// The place in the line, if there is to be a strict order.
    pub(crate) fn order(&self) -> Option<&FifoQueue> {
        self.order.as_ref()
    }

    /// The permits of a semaphore's file.
    pub(crate) fn pool(&self) -> &PermitSet {
        self.pool.as_ref().expect("a semaphore's file has one")
    }

    /// Is it open for writing, as an exclusive lock of bytes demands it?
    pub(crate) fn can_be_alone(&self) -> bool {
        self.writable || !self.bytes
    }

    /// Can a lock be changed to another without giving it up in between?
    pub(crate) fn converts(&self) -> bool {
        self.bytes && !self.flock
    }

    /// The line of those who wait for this goal. None in a strict order, where each wait has a place among the
    /// processes, and for an upgrade, which has nobody beside it.
    pub(crate) fn line(&self, goal: Goal) -> Option<Line> {
        let is_shared = matches!(goal, Goal::Enter(_) | Goal::LeadLine);
        (is_shared && self.order.is_none()).then_some(Line {
            file: self.id,
            goal,
            bytes: self.bytes,
            flock: self.flock,
        })
    }

    /// Tries once; `false` when somebody else is in the way or comes before, and then nothing more
    /// is held than before.
    pub(crate) fn attempt(&self, goal: Goal) -> io::Result<bool> {
        let lock = |access, target| sys::lock::try_lock(&self.file, access, target);
        Ok(self.comes_first(goal, lock, &|error| error)? && self.quick(goal)?)
    }

    /// Calls `wait` for each kernel lock that may have to be waited for. When one fails, nothing more
    /// is held than before.
    pub(crate) fn pursue<E>(
        &self,
        goal: Goal,
        mut wait: impl FnMut(&File, Access, Target) -> std::result::Result<(), E>,
        fail: &impl Fn(io::Error) -> E,
    ) -> std::result::Result<(), E> {
        let mut lock = |access, target| wait(&self.file, access, target).map(|()| true);
        self.comes_first(goal, &mut lock, fail)?;
        // The one before has just left, mostly.
        let may_be_free = self.order.is_some() && goal == Goal::Enter(Mode::Write);
        if may_be_free && self.quick(goal).map_err(fail)? {
            return Ok(());
        }
        self.run(goal, goal.patient(), lock, fail).map(drop)
    }

    fn quick(&self, goal: Goal) -> io::Result<bool> {
        let must_look = match goal {
            Goal::Enter(Mode::Write) => self.must_look_at_rooms(),
            Goal::Upgrade => self.bytes,
            Goal::Enter(_) | Goal::Join(_) | Goal::LeadLine => false,
        };
        if must_look && self.is_room_taken() {
            return Ok(false);
        }
        let lock = |access, target| sys::lock::try_lock(&self.file, access, target);
        self.run(goal, goal.quick(), lock, &|error| error)
    }

    /// Changes what is held to something weaker.
    pub(crate) fn downgrade(&self, plan: Plan) -> io::Result<()> {
        let lock = |access, target| sys::lock::try_lock(&self.file, access, target);
        self.steps(plan, lock, &|error| error).map(drop)
    }

    /// Gives up what an upgradable reader has beyond a reader.
    pub(crate) fn release_upgrade(&self) -> io::Result<()> {
        if self.bytes {
            self.downgrade(plan::UPGRADABLE_TO_READ)
        } else {
            Ok(())
        }
    }

    /// Tries to lock it for its user alone, for a reader that leaves; `false` when somebody else has it.
    ///
    /// The reader's share may be gone in either case, and others may have been in between: on a file
    /// that is locked now and still at its path nobody else is inside.
    pub(crate) fn attempt_to_be_last(&self) -> io::Result<bool> {
        if self.bytes {
            let lock = |access, target| sys::lock::try_lock(&self.file, access, target);
            let is_awaited = self.is_room_taken();
            if is_awaited || !self.steps(plan::UPGRADE_QUICK, lock, &|error| error)? {
                return Ok(false);
            }
        }
        if self.flock {
            // Some servers refuse an exclusive lock to whoever shares the file.
            sys::lock::release(&self.file, Target::File)?;
            return sys::lock::try_lock(&self.file, Access::Exclusive, Target::File);
        }
        Ok(true)
    }

    /// Gives up what was reached.
    pub(crate) fn undo_goal(&self, goal: Goal) -> io::Result<()> {
        match goal {
            Goal::Enter(_) => self.release(),
            Goal::Join(_) => unreachable!("nobody waits for that"),
            Goal::Upgrade => self.downgrade(plan::WRITE_TO_UPGRADABLE),
            Goal::LeadLine => self.leave_line(),
        }
    }

    /// Releases all that is held.
    pub(crate) fn release(&self) -> io::Result<()> {
        if self.flock {
            sys::lock::release(&self.file, Target::File)?;
        }
        if self.bytes {
            self.unlock(Part::All)?;
            self.has_sign.store(false, Ordering::Relaxed);
        }
        self.stop_asking()
    }

    /// Leaves the line for permits.
    pub(crate) fn leave_line(&self) -> io::Result<()> {
        self.unlock(Part::Line)?;
        // Whoever comes next finds the head's place free.
        self.leave_order()
    }

    /// Who holds it, if the kernel tells in one call.
    pub(crate) fn holder(&self, access: Access) -> Option<Holder> {
        let (mut holder, mut tagged) = (None, None);
        if self.bytes && sys::lock::TELLS_BLOCKERS {
            let main = Part::Main.range(self.exclusive_len);
            let blocker = sys::lock::blocker(&self.file, access, main)?;
            holder = protocol::holder(blocker, sys::process::namespace());
            tagged = protocol::tagged_pid(blocker);
        }
        if self.author.is_none() {
            return holder;
        }
        match (owner::holder(self), holder) {
            (Some(owner), None) => Some(Holder::with_record(&owner)),
            (Some(owner), Some(holder)) if holder.pid() == Some(owner.pid()) => {
                Some(Holder::with_record(&owner))
            }
            // The tag of another pid namespace has the pid of the record, which means somebody there.
            (Some(owner), Some(holder))
                if holder.pid().is_none()
                    && tagged == Some(owner.pid())
                    && owner.is_elsewhere() =>
            {
                Some(Holder::with_record(&owner))
            }
            (_, holder) => holder,
        }
    }

    /// Writes that this process holds it alone from now on, if that is wanted.
    pub(crate) fn begin_record(&self) -> io::Result<Option<Box<Entry>>> {
        let author = self.author.as_ref();
        let entry = author
            .map(|author| {
                self.must_be_written_to()?;
                Entry::begin(self, author)
            })
            .transpose()?;
        Ok(entry.map(Box::new))
    }

    /// Writes that it is released.
    pub(crate) fn end_record(&self, entry: &mut Entry) -> io::Result<()> {
        self.must_be_written_to()?;
        entry.end(self)
    }

    /// A record must not get into a file of the program's that has the number of the descriptor now.
    fn must_be_written_to(&self) -> io::Result<()> {
        if self.is_there() {
            Ok(())
        } else {
            Err(io::Error::other(CLOSED))
        }
    }

    fn run<E>(
        &self,
        goal: Goal,
        plan: Plan,
        mut lock: impl FnMut(Access, Target) -> std::result::Result<bool, E>,
        fail: &impl Fn(io::Error) -> E,
    ) -> std::result::Result<bool, E> {
        if self.bytes && !self.steps(plan, &mut lock, fail)? {
            return Ok(false);
        }
        if !self.flock {
            return Ok(true);
        }
        match goal {
            Goal::Enter(_) => {}
            // It is locked by its bytes, or shared already.
            Goal::Join(_) | Goal::LeadLine => return Ok(true),
            // A `flock` can't be converted without giving it up in between.
            Goal::Upgrade => return Err(fail(io::ErrorKind::Unsupported.into())),
        }
        let locked = lock(goal.access(), Target::File);
        if self.bytes && !matches!(locked, Ok(true)) {
            self.unlock_but_ticket(plan.undo).map_err(fail)?;
        }
        locked
    }

    fn steps<E>(
        &self,
        plan: Plan,
        mut lock: impl FnMut(Access, Target) -> std::result::Result<bool, E>,
        fail: &impl Fn(io::Error) -> E,
    ) -> std::result::Result<bool, E> {
        for (number, &step) in plan.steps.iter().enumerate() {
            let done = match step {
                Step::Lock(access, part) => lock(access, self.target(part)),
                Step::Unlock(part) => self.unlock(part).map(|()| true).map_err(fail),
                Step::EnterRoom => self.enter_room().map(|()| true).map_err(fail),
                Step::Shortcut(access, part) => match self.shortcut(access, part) {
                    Ok(true) => return Ok(true),
                    Ok(false) => Ok(true),
                    Err(error) => Err(fail(error)),
                },
            };
            if !matches!(done, Ok(true)) {
                if number > 0 {
                    let undone = self.unlock_but_ticket(plan.undo);
                    // The first error is the one to report.
                    if let (Ok(false), Err(error)) = (&done, undone) {
                        return Err(fail(error));
                    }
                }
                return done;
            }
        }
        Ok(true)
    }

    fn unlock(&self, part: Part) -> io::Result<()> {
        let target = self.target(part);
        sys::lock::release(&self.file, target)?;
        if let Some(order) = &self.order {
            if part.reaches_tickets() {
                order.forget();
            }
        }
        Ok(())
    }

    /// An attempt in vain is no reason to leave the line.
    fn unlock_but_ticket(&self, part: Part) -> io::Result<()> {
        let mut range = part.range(self.exclusive_len);
        if self.order.is_some() && part.reaches_tickets() {
            range.len = tickets::START - range.start;
        }
        sys::lock::release(&self.file, Target::Bytes(range))
    }

    fn enter_room(&self) -> io::Result<()> {
        for room in [Part::FirstRoom, Part::SecondRoom] {
            if sys::lock::try_lock(&self.file, Access::Shared, self.target(room))? {
                break;
            }
        }
        Ok(())
    }

    fn shortcut(&self, access: Access, part: Part) -> io::Result<bool> {
        Ok(!self.is_room_taken() && sys::lock::try_lock(&self.file, access, self.target(part))?)
    }

    /// Do readers wait in one of the rooms?
    fn is_room_taken(&self) -> bool {
        let rooms = Part::Rooms.range(self.exclusive_len);
        sys::lock::blocker(&self.file, Access::Exclusive, rooms).is_some()
    }

    fn must_look_at_rooms(&self) -> bool {
        let before = self.quick_writes.fetch_add(1, Ordering::Relaxed);
        self.bytes && before % plan::QUICK_WRITES == plan::QUICK_WRITES - 1
    }

    fn target(&self, part: Part) -> Target {
        Target::Bytes(part.range(self.exclusive_len))
    }
}

fn is_table_full(error: &Error) -> bool {
    error.of_system().is_some_and(sys::file::is_table_full)
}

const CLOSED: &str = "the program closed or replaced the descriptor of the lock file while it held the \
     lock, and so released it: keep it open, or take the lock again afterwards";

impl Deref for LockFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}
