//! What the kernel tells of locks, before anybody has asked what it means.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use super::view::{Kind, LockedFile, Process};
use crate::sys::Range;

/// A file as the kernel's table of locks names it.
///
/// The device is that of the file system, which is not what `stat` tells on btrfs and overlays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FileKey {
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) inode: u64,
}

/// A lock that is held or wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RawLock {
    pub(crate) kind: Kind,
    pub(crate) exclusive: bool,
    pub(crate) range: Range,
}

/// The locks that come and go together: those of an open file description, or of a process.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    pub(crate) file: FileKey,
    /// The processes that have it open; none when they could not be found.
    pub(crate) owners: Vec<u32>,
    pub(crate) locks: Vec<RawLock>,
}

/// A lock for which a thread sleeps in the kernel.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) file: FileKey,
    pub(crate) lock: RawLock,
    pub(crate) pid: Option<u32>,
    pub(crate) since: Option<SystemTime>,
}

/// What could not be seen.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a reason of its own")]
pub(crate) struct Gaps {
    /// How many processes may not be looked into.
    pub(crate) unreadable: usize,
    /// Does `/proc` hide processes?
    pub(crate) hidden: bool,
    /// Are there namespaces around this one?
    pub(crate) outside: bool,
    /// Does a server keep the locks?
    pub(crate) remote: bool,
    /// Can't locks be seen that are shared?
    pub(crate) shared: bool,
}

/// What a system tells that has no table of locks: who has a file open, and which of its bytes somebody
/// has for himself.
#[derive(Clone, Debug)]
pub(crate) struct Observation {
    pub(crate) taken: TakenBytes,
    pub(crate) openers: Vec<u32>,
}

/// Which bytes of a file are locked exclusively, of those that mean something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a byte")]
pub(crate) struct TakenBytes {
    /// The one that all programs lock.
    pub(crate) first: bool,
    /// One that only a lock of all main bytes has.
    pub(crate) inner: bool,
    pub(crate) gate: bool,
    pub(crate) upgrade: bool,
    /// That of the first in the line for permits.
    pub(crate) head: bool,
    /// The numbers of those permits.
    pub(crate) permits: Vec<u32>,
}

/// A name of a file.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// None where the system does not tell it.
    pub(crate) path: Option<PathBuf>,
    pub(crate) deleted: bool,
    pub(crate) content: Content,
}

/// How the content of a file can be read.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// By this path.
    At(PathBuf),
    /// By a descriptor that is kept for that.
    Kept(Arc<File>),
    /// Not without asking a server that somebody else has chosen and that may not answer, or without
    /// breaking a lease. The length is known.
    Withheld(u64),
}

/// A process that waits for a child of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FamilyWait {
    pub(crate) parent: u32,
    /// The processes of which any can end the wait.
    pub(crate) others: Vec<u32>,
    /// Whether it surely waits for these.
    pub(crate) is_certain: bool,
}

/// Everything, as of one moment as far as the kernel allows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) descriptions: Vec<Description>,
    pub(crate) requests: Vec<Request>,
    /// Where the locks are not known.
    pub(crate) opened: HashMap<FileKey, Observation>,
    pub(crate) places: HashMap<FileKey, Place>,
    /// Those that have a lock or wait for one, and their ancestors.
    pub(crate) processes: HashMap<u32, Process>,
    /// Processes that wait for a child of theirs which waits.
    pub(crate) families: Vec<FamilyWait>,
    /// Processes whose waits may end by themselves.
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

/// The first byte behind the range.
pub(crate) fn end(range: Range) -> u64 {
    match range.len {
        0 => u64::MAX,
        len => range.start.saturating_add(len),
    }
}

impl RawLock {
    /// Can the two not be held by different owners at once?
    pub(crate) fn conflicts(&self, other: &Self) -> bool {
        let families = (self.kind == Kind::Flock) == (other.kind == Kind::Flock);
        let apart = end(self.range) <= other.range.start || end(other.range) <= self.range.start;
        families && !apart && (self.exclusive || other.exclusive)
    }
}
