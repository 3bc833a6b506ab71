//! Locks and processes as the system reports them, without their meaning.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use super::view::{Kind, LockedFile, Process};
use crate::sys::Range;

/// The name of a file in the kernel's table of locks.
///
/// The device is the one of the file system, which differs from that of `stat` on btrfs and overlays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FileKey {
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) inode: u64,
}

/// A lock that is held or wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LockRecord {
    pub(crate) kind: Kind,
    pub(crate) exclusive: bool,
    pub(crate) range: Range,
}

/// The locks of an open file description, or of a process, which come and go together.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    pub(crate) file: FileKey,
    /// The processes that have it open; empty if they were not found.
    pub(crate) owners: Vec<u32>,
    pub(crate) locks: Vec<LockRecord>,
}

/// A lock for which a thread sleeps in the kernel.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) file: FileKey,
    pub(crate) lock: LockRecord,
    pub(crate) pid: Option<u32>,
    pub(crate) since: Option<SystemTime>,
}

/// Parts of the system that could not be seen.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a reason of its own")]
pub(crate) struct Gaps {
    /// The number of processes that this one may not look into.
    pub(crate) unreadable: usize,
    /// Whether `/proc` hides processes.
    pub(crate) hidden: bool,
    /// Whether there are namespaces around this one.
    pub(crate) outside: bool,
    /// Whether a server keeps the locks.
    pub(crate) remote: bool,
    /// Whether shared locks can't be seen.
    pub(crate) shared: bool,
}

/// The facts about a file on a system without a table of locks: the processes that have it open, and the
/// bytes that somebody has locked exclusively.
#[derive(Clone, Debug)]
pub(crate) struct Observation {
    pub(crate) taken: TakenBytes,
    pub(crate) openers: Vec<u32>,
}

/// The bytes that mean something and are locked exclusively.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a byte")]
pub(crate) struct TakenBytes {
    /// Byte 0, which all programs lock.
    pub(crate) first: bool,
    /// A byte that only a lock of all main bytes covers.
    pub(crate) inner: bool,
    pub(crate) gate: bool,
    pub(crate) upgrade: bool,
    /// The byte of the first in the queue for permits.
    pub(crate) head: bool,
    /// The numbers of the permits.
    pub(crate) permits: Vec<u32>,
}

/// A name of a file.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// `None` where the system does not report it.
    pub(crate) path: Option<PathBuf>,
    pub(crate) deleted: bool,
    pub(crate) content: Content,
}

/// The way to read the content of a file.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// Open this path.
    At(PathBuf),
    /// Use this descriptor, which is kept for that.
    Kept(Arc<File>),
    /// Do not read it: that would ask a server that somebody else has chosen and that may not answer, or break
    /// a lease. This is its length.
    Withheld(u64),
}

/// A process that waits for its child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FamilyWait {
    pub(crate) parent: u32,
    /// The processes that can end the wait, each alone.
    pub(crate) others: Vec<u32>,
    /// Whether it surely waits for these.
    pub(crate) is_certain: bool,
}

/// Everything that was read, as of one moment as far as the kernel allows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) descriptions: Vec<Description>,
    pub(crate) requests: Vec<Request>,
    /// The facts about files whose locks are not known.
    pub(crate) opened: HashMap<FileKey, Observation>,
    pub(crate) places: HashMap<FileKey, Place>,
    /// The processes that have a lock or wait for one, and their ancestors.
    pub(crate) processes: HashMap<u32, Process>,
    /// The processes that wait for a child that waits.
    pub(crate) families: Vec<FamilyWait>,
    /// The processes whose waits may end by themselves.
    pub(crate) may_give_up: HashSet<u32>,
    pub(crate) gaps: Gaps,
}

impl Snapshot {
    /// Returns the file with the path that is known of it.
    pub(crate) fn located(&self, file: FileKey) -> LockedFile {
        let place = self.places.get(&file);
        LockedFile {
            path: place.and_then(|place| place.path.clone()),
            is_deleted: place.is_some_and(|place| place.deleted),
            device: (file.major, file.minor),
            inode: file.inode,
        }
    }
}

impl LockRecord {
    /// Whether different owners can't hold both at once.
    pub(crate) fn conflicts(&self, other: &Self) -> bool {
        // The two kinds of record locks share one table in the kernel, and `flock` has another one.
        let families = (self.kind == Kind::Flock) == (other.kind == Kind::Flock);
        families && self.range.overlaps(other.range) && (self.exclusive || other.exclusive)
    }
}
