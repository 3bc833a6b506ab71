//! Lock files: how one is opened, and the kernel locks that are taken on it.
//!
//! | file | subject |
//! |---|---|
//! | [`open`], [`open_file`] | opening a file, and the facts about it that never change |
//! | [`identity`], [`verified`] | whether it is still the one at its path |
//! | [`goal`], [`locking`] | what an acquire wants, and the kernel calls for it |
//! | [`lookout`] | the line of those that wait, and the looks of newcomers |
//! | [`fifo`], [`fifo_place`] | the FIFO order |
//! | [`permits`], [`held_permits`] | semaphores |
//! | [`marks`], [`caching`] | cached locks, and waiters that want them |
//! | [`owner`], [`recording`] | owner records |
//! | [`named`] | the files of locks that have a name |

mod caching;
mod fifo;
pub(crate) mod fifo_place;
mod goal;
pub(crate) mod held_permits;
pub(crate) mod identity;
mod locking;
mod lookout;
mod marks;
pub(crate) mod named;
mod open;
mod open_file;
pub(crate) mod owner;
mod permits;
mod recording;
mod rooms;
mod trial;
mod verified;

use std::io;
use std::ops::Deref;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::protocol::Protocol;
use crate::protocol::plan::Part;
use crate::protocol::tag;
use crate::sys::{self, Target, fork};
use crate::types::error::{Cause, Error, Operation, Result};
use crate::types::fairness::Fairness;
use crate::types::settings::Settings;

pub(crate) use goal::{Goal, Line};
pub(crate) use locking::WaitWay;
pub(crate) use lookout::{IDLE, LinePlace, LineState, WAKES};
pub(crate) use marks::CacheWatch;
pub(crate) use open::absolute;
pub(crate) use open_file::OpenFile;

use fifo::FifoQueue;
use lookout::Lookout;
use marks::Marks;
use owner::Author;
use permits::PermitSet;

/// An open lock file.
///
/// The threads of a process share it, and the kernel sees them as one owner. So only the thread with the turn
/// of the handle changes its locks; for permits the claims of [`PermitSet`] keep threads apart.
#[derive(Debug)]
pub(crate) struct LockFile {
    file: OpenFile,
    /// Whether bytes are locked, and whether the file is locked by `flock`. One of them is, or both are.
    bytes: bool,
    flock: bool,
    /// The length of this process's exclusive range, which names it.
    // A forked child opens a file of its own, and so has a tag of its own.
    exclusive_len: u64,
    /// The target of the one call that an exclusive attempt takes; none if it takes more, or can't succeed.
    alone: Option<Target>,
    lookout: Lookout,
    /// The looks of readers, which only ask for a writer at the gate.
    gate_lookout: Lookout,
    /// The time in nanoseconds since it was opened before which no writer waits for a room.
    // Only the thread with the turn reads and changes it.
    rooms_heedless: AtomicU64,
    kind: FileKind,
    /// The writer of the owner records, if they are wanted.
    author: Option<Author>,
    marks: Marks,
    /// Whether the file system refused to let a thread wait for a lock, though it has locks.
    is_without_waits: AtomicBool,
}

/// The options of a lock file that exclude each other.
#[derive(Debug)]
enum FileKind {
    Plain,
    Fifo(FifoQueue),
    Permits(PermitSet),
    /// Locks on it are cached, with the watch of the file once there is one.
    Cached(OnceLock<Box<dyn CacheWatch>>),
}

impl LockFile {
    /// Opens the file at the path, and creates it if need be.
    pub(crate) fn open(path: &Path, settings: &Settings) -> Result<Self> {
        if let Some(directory) = &settings.directory {
            directory.make_safe()?;
        }
        Self::open_by(path, settings, || open::open(path, settings))
    }

    /// Opens a file by that function, without a fork in between.
    pub(crate) fn open_by(
        path: &Path,
        settings: &Settings,
        open: impl Fn() -> Result<OpenFile>,
    ) -> Result<Self> {
        loop {
            // Read before the open, compared after the registration.
            let forks = fork::forks();
            let opened = open()?;
            // A child that was forked before the file was registered shares its description, and would
            // keep whatever is locked on it.
            if fork::forks() == forks {
                return Self::new(opened, path, settings);
            }
        }
    }

    pub(crate) fn new(file: OpenFile, path: &Path, settings: &Settings) -> Result<Self> {
        open::refuse_unless_regular(path, file.sort)?;
        // Each refusal below closes the file, and with it whatever was locked to find out.
        let (bytes, flock) = locks_of(&file, path, settings)?;
        let author = settings
            .owner_record
            .then(|| owner::author(&file, path, &settings.label))
            .transpose()?;
        let fifo = (settings.fairness == Fairness::Fifo).then(FifoQueue::default);
        let kind = match (settings.permits, fifo) {
            (Some(permits), fifo) => {
                FileKind::Permits(PermitSet::join(&file, path, permits, fifo)?)
            }
            (None, Some(fifo)) => FileKind::Fifo(fifo),
            (None, None) if settings.linger.is_some() => FileKind::Cached(OnceLock::new()),
            (None, None) => FileKind::Plain,
        };
        let exclusive_len = tag::exclusive_len(std::process::id(), sys::process::namespace());
        // One call takes the lock where an attempt has one step: no `flock` besides the bytes, no
        // tickets, no permits. A description that is open for reading can't lock bytes exclusively.
        let alone = match (&kind, bytes, flock) {
            (FileKind::Plain | FileKind::Cached(_), true, false) if file.writable => {
                Some(Target::Bytes(Part::MainToTag.range(exclusive_len)))
            }
            (FileKind::Plain | FileKind::Cached(_), false, true) => Some(Target::File),
            _ => None,
        };
        let has_contests = lookout::has_contests(&file, bytes);
        Ok(Self {
            file,
            bytes,
            flock,
            exclusive_len,
            alone,
            lookout: Lookout::new(has_contests),
            gate_lookout: Lookout::new(has_contests),
            rooms_heedless: AtomicU64::new(0),
            kind,
            author,
            marks: Marks::default(),
            is_without_waits: AtomicBool::new(false),
        })
    }

    /// The error of a call for a lock that is held, or was until its descriptor was closed.
    pub(crate) fn failed(&self, path: &Path, operation: Operation, error: io::Error) -> Error {
        match self.ensure_there(path, operation) {
            Ok(()) => Error::system(path, operation, error),
            Err(gone) => gone,
        }
    }

    /// An error if the program has closed or replaced the descriptor.
    pub(crate) fn ensure_there(&self, path: &Path, operation: Operation) -> Result<()> {
        if self.is_there() {
            return Ok(());
        }
        Err(Error::new(path, operation, Cause::NotHeld(CLOSED)))
    }

    /// Whether it is open for writing, as an exclusive lock of bytes demands it.
    pub(crate) fn can_lock_exclusively(&self) -> bool {
        self.writable || !self.bytes
    }

    /// Whether a lock can be converted without giving it up in between.
    pub(crate) fn converts(&self) -> bool {
        self.bytes && !self.flock
    }

    /// Whether a signal ends a wait for it in the kernel.
    pub(crate) fn signals_end_waits(&self) -> bool {
        !self.traits.ignores_signals
    }

    /// Whether a thread can wait for a lock in the kernel, as far as is known.
    pub(crate) fn has_waits(&self) -> bool {
        !self.is_without_waits.load(Ordering::Relaxed)
    }

    /// Notes that no thread can.
    pub(crate) fn note_without_waits(&self) {
        // Relaxed: a thread that overlooks it makes the call that waits, and finds out itself.
        self.is_without_waits.store(true, Ordering::Relaxed);
    }

    /// The waits for the same goal. None in the FIFO order, where each wait has a place among the processes,
    /// and for an upgrade, of which there is one at a time.
    pub(crate) fn line(&self, goal: Goal) -> Option<Line> {
        let is_shared = matches!(goal, Goal::Enter(_) | Goal::LeadQueue);
        (is_shared && self.fifo().is_none()).then_some(Line {
            file: self.id(),
            goal,
            bytes: self.bytes,
            flock: self.flock,
        })
    }

    fn fifo(&self) -> Option<&FifoQueue> {
        match &self.kind {
            FileKind::Fifo(fifo) => Some(fifo),
            FileKind::Permits(permits) => permits.fifo.as_ref(),
            FileKind::Plain | FileKind::Cached(_) => None,
        }
    }

    /// Gives up the place in the FIFO order.
    fn leave_fifo(&self) -> io::Result<()> {
        self.fifo().map_or(Ok(()), |fifo| fifo.leave(self))
    }

    /// The permits of a semaphore's file; any other file has none.
    pub(crate) fn permits(&self) -> &PermitSet {
        static NONE: PermitSet = PermitSet::none();
        match &self.kind {
            FileKind::Permits(permits) => permits,
            FileKind::Plain | FileKind::Fifo(_) | FileKind::Cached(_) => &NONE,
        }
    }

    /// Whether anybody is in the queue for permits, as far as is known.
    pub(crate) fn has_permit_queue(&self) -> bool {
        self.permits().has_queue(self)
    }

    /// The number of permits that nobody has.
    pub(crate) fn available_permits(&self) -> u32 {
        self.permits().available(self)
    }
}

/// Whether bytes are locked, and whether the file is locked by `flock`.
fn locks_of(file: &OpenFile, path: &Path, settings: &Settings) -> Result<(bool, bool)> {
    let unsupported = |why| {
        Err(Error::new(
            path,
            Operation::Open,
            Cause::Unsupported(why, None),
        ))
    };
    let traits = file.traits;
    let needs_ranges = settings.fairness == Fairness::Fifo || settings.permits.is_some();
    if needs_ranges && !traits.has_ranges {
        return unsupported(
            "Fairness::Fifo and semaphores need locks of single bytes, which this file system does not \
             have: use a local one, or NFS",
        );
    }
    let (bytes, flock) = match settings.protocol {
        Protocol::Fcntl | Protocol::Both if !traits.has_ranges => (false, true),
        Protocol::Fcntl => (true, false),
        Protocol::Flock => (false, true),
        // With one table for both kinds the description would wait for its own bytes.
        Protocol::Both => (true, !traits.has_one_lock_table),
    };
    if bytes && traits.is_process && trial::grants_what_is_held(file) {
        return unsupported(
            "this file system grants a lock that is held already (it passes all locks on as its own): \
             use Protocol::Flock, which it may pass on rightly, or a directory on another file system",
        );
    }
    Ok((bytes, flock))
}

const CLOSED: &str = "the program closed or replaced the descriptor of the lock file while it held the \
     lock, and so released it: keep it open, or take the lock again afterwards";

impl Deref for LockFile {
    type Target = OpenFile;

    fn deref(&self) -> &OpenFile {
        &self.file
    }
}
