//! The parts of a report.

mod words;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::file::owner::Owner;
use crate::protocol::Blocker;
use crate::protocol::tag::Tag;

/// A lock that is held, or waited for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LockView {
    /// The locked file.
    pub file: LockedFile,
    /// The kind of kernel lock.
    pub kind: Kind,
    /// Whether others can hold it at the same time.
    pub mode: LockMode,
    /// Its role, if it is a lock of lockfast and its bytes show the role.
    pub role: Option<Role>,
    /// Whether it is held or waited for.
    pub state: State,
    /// The permits that are held, if it is a semaphore's.
    pub permits: Option<Permits>,
    /// The first locked byte, and the last one; `None` if all following bytes are locked.
    pub range: (u64, Option<u64>),
    /// The processes that hold it together (by an inherited descriptor), or that wait. Empty if they were not
    /// found; [`Report::incomplete`](super::Report::incomplete) then has the reason.
    pub processes: Vec<Process>,
    /// The time of the acquire, where it is known. The kernel does not record it, but an
    /// [owner record](crate::Options::owner_record) does. For a wait, the time when the thread last ran.
    pub since: Option<SystemTime>,
    /// The [label](crate::Options::label) of the holder, by its owner record.
    pub label: Option<String>,
    /// Whether the file may have an owner record that was not read, because a server that somebody else has
    /// chosen would have to answer (NFS, FUSE), or a lease would be broken. The file that was passed to
    /// [`path`](super::path) is read anyway, unless there is a lease.
    pub is_record_unread: bool,
}

/// A file that has locks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct LockedFile {
    /// The path where it is, or was; `None` if only its number is known.
    pub path: Option<PathBuf>,
    /// Whether it was deleted: whoever opens the path now gets another file.
    pub is_deleted: bool,
    /// The major and minor number of its file system.
    pub device: (u32, u32),
    /// Its number in the file system.
    pub inode: u64,
}

/// Permits of a semaphore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Permits {
    /// The number of permits that are held.
    pub count: u64,
    /// The number of permits of the semaphore.
    pub of: u32,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Process {
    /// Its pid, in the pid namespace of this process.
    pub pid: u32,
    /// The pid of its parent.
    pub parent: Option<u32>,
    /// The number of the user that it runs as, if it may be known.
    pub user: Option<u32>,
    /// Its short name.
    pub name: String,
    /// The program and its arguments, which need not be UTF-8. On Windows the program only.
    pub command: Vec<OsString>,
    /// The time when it started.
    pub started: Option<SystemTime>,
    /// The number of its threads.
    pub threads: u32,
    /// Whether it is stopped by a signal or a debugger. It releases nothing until it continues.
    pub is_stopped: bool,
    /// Its pid in its own pid namespace.
    pub(crate) own_pid: u32,
    /// Whether nothing in it goes on while one thread waits.
    pub(crate) acts_as_one: bool,
}

/// A process that has a file open. The system does not report whether it holds a lock, waits for one, or
/// neither.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opener {
    /// The file.
    pub file: LockedFile,
    /// The process that has it open.
    pub process: Process,
}

/// A kind of kernel lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A record lock of an open file description (`F_OFD_SETLK`), as lockfast takes them.
    Ofd,
    /// A record lock of a process (`F_SETLK`, `lockf`), as fasteners, Java and dpkg take them.
    Classic,
    /// A lock by `flock`, as flock(1), cargo and Python's filelock take them.
    Flock,
    /// A lock of bytes on Windows (`LockFileEx`, `_locking`).
    LockFile,
}

/// Whether others can hold a lock at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LockMode {
    /// Others can share it.
    Shared,
    /// No other holder is possible.
    Exclusive,
}

/// The role of a lock of lockfast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// A reader of an [`RwLock`](crate::RwLock).
    Reader,
    /// A reader that may become the writer.
    Upgradable,
    /// A [`Lock`](crate::Lock), or the writer of an [`RwLock`](crate::RwLock).
    Writer,
    /// A holder of one or more permits of a [`Semaphore`](crate::Semaphore).
    Permit,
}

/// Whether a lock is held or waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum State {
    /// It is held.
    Holding,
    /// A thread sleeps until it is free.
    Waiting,
}

/// The reasons why a report may not show everything.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(clippy::struct_excessive_bools, reason = "each is a reason of its own")]
pub struct Incomplete {
    /// The number of locks whose process was not found.
    pub unnamed: usize,
    /// The number of processes of other users that this one may not look into. The unnamed locks may be
    /// theirs.
    pub unreadable_processes: usize,
    /// Whether `/proc` hides the processes of other users (it is mounted with `hidepid`).
    pub hidden_processes: bool,
    /// Whether this is a container. Locks of processes outside may not be shown, and their holders are not
    /// named.
    pub other_pid_namespaces: bool,
    /// Whether a server keeps the locks of the file. The locks of other machines are not shown.
    pub other_machines: bool,
    /// Whether the system shows no shared locks (Windows). Each process that has the file open may have one.
    pub shared_unseen: bool,
    /// The number of locks whose owner record was [not read](LockView::is_record_unread).
    pub unread_records: usize,
}

impl LockView {
    /// Adds the time and label of an owner record, if its writer is the holder.
    pub(super) fn add_record(&mut self, owner: &Owner) {
        let is_known = |process: &Process| owner.is(process.pid, process.own_pid);
        let is_its = self.processes.iter().any(is_known)
            // A holder in another pid namespace has no process here, but its tag has the pid of its record.
            || (self.processes.is_empty() && self.is_tagged_by(owner));
        if is_its && self.state == State::Holding && self.mode == LockMode::Exclusive {
            self.since = Some(owner.since());
            self.label = owner.label().map(str::to_owned);
        }
    }

    /// Whether the bytes of a holder that can't be seen from here name the writer of the record.
    fn is_tagged_by(&self, owner: &Owner) -> bool {
        let (start, last) = self.range;
        let len = last.map_or(0, |last| (last - start).saturating_add(1));
        let pid = None;
        let tag = Tag::of(Blocker { start, len, pid }).map(|tag| tag.pid);
        self.kind == Kind::Ofd && tag == Some(owner.pid()) && owner.is_of_this_boot()
    }
}

#[cfg(test)]
mod tests;
