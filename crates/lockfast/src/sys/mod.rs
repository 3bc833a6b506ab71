//! The seam to the operating system: the only place with `cfg(target_os)` and `unsafe`, apart from
//! `inspect::system`. It knows no other room.
//!
//! Each side (`unix`, `windows`, `unsupported`) has the same modules with the same functions, and this file
//! picks one side. `contract` has the signatures, which the compiler checks on each side. They promise:
//!
//! | module | promises |
//! |---|---|
//! | `file` | opens and creates files without following links, truncating or blocking (a lease of another program is an error of its own); returns what stands at a path and behind a descriptor, and its owner |
//! | `file_system` | returns the facts about the file system of an open file that matter to a lock ([`FsTraits`]), by one call |
//! | `lock` | one attempt, one wait, one release, one question, each by one kernel call. A wait that a signal ends returns [`Waited::Interrupted`], and contention is `false`. Plans are written for record locks (converted in place, released in part); a side that has other locks builds that from them |
//! | `notifier` | wakes a thread when a file is closed, moved or deleted, or when a permit of it is free; [`notifier::notify`] makes that happen |
//! | `watch` | reports to one thread what happens to many files |
//! | `alarm` | makes the blocked kernel call of one thread return at an instant, or when another thread asks for it |
//! | `park` | puts a thread to sleep until another thread of the process grants it something |
//! | `fork` | keeps the locked files, tells a forked child from its parent, and takes inherited lock descriptors from the child |
//! | `place` | returns where named locks can be, who owns such a directory, what other users may do there and whether they see the same one; makes a directory that is the user's alone |
//! | `process` | returns what is known of processes, and a fingerprint of the namespace in which a pid means something |
//!
//! The other modules are the same on all sides. Of these, `slot` and `made_once` have `unsafe` blocks: `slot`
//! keeps a value in one atomic word that one thread at a time can take, and `made_once` holds a value that is
//! made when it is first needed, without a wait that a fork could copy.

#![cfg_attr(
    any(not(unix), lockfast_unsupported),
    allow(
        dead_code,
        reason = "where less is supported, some of the vocabulary is not used"
    )
)]

#[cfg(any(not(any(unix, windows)), lockfast_unsupported))]
mod unsupported;
#[cfg(any(not(any(unix, windows)), lockfast_unsupported))]
use unsupported as side;

#[cfg(all(unix, not(lockfast_unsupported)))]
#[allow(
    unsafe_code,
    reason = "system calls; each is one line with its contract"
)]
mod unix;
#[cfg(all(unix, not(lockfast_unsupported)))]
use unix as side;

#[cfg(all(windows, not(lockfast_unsupported)))]
#[allow(
    unsafe_code,
    reason = "system calls; each is one line with its contract"
)]
mod windows;
#[cfg(all(windows, not(lockfast_unsupported)))]
use windows as side;

pub(crate) use side::{alarm, file, fork, lock, notifier, park, place, process, watch};

#[allow(
    unsafe_code,
    reason = "a box becomes an address and a box again; each is one line with its contract"
)]
pub(crate) mod slot;

#[allow(
    unsafe_code,
    reason = "a box becomes an address and a box again; each is one line with its contract"
)]
pub(crate) mod made_once;

mod contract;
mod fs_traits;
pub(crate) mod hash;
pub(crate) mod mutex;
pub(crate) mod naps;
pub(crate) mod per_process;
// In tests on every system: the order of the pieces is part of the argument against deadlocks.
#[cfg(any(windows, test))]
pub(crate) mod pieces;
pub(crate) mod primitive;
mod range;

use std::path::PathBuf;

pub(crate) use fs_traits::FsTraits;
pub(crate) use range::{Access, Blocker, Range};

/// The name of a helper thread that waits in place of another thread of the program, where a system shows
/// the names of threads.
pub(crate) const STAND_IN: &str = "lockfast-block";

/// How a wait in the kernel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// The lock is held now.
    Granted,
    /// A signal came; nothing is held and nothing is queued.
    Interrupted,
}

/// How a thread's sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parked {
    /// Another thread granted what this one sleeps for.
    Granted,
    /// The instant passed.
    TimedOut,
    /// A signal came.
    Interrupted,
}

/// How a wait for a notifier ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notified {
    /// The file was closed, or a permit may be free.
    #[cfg_attr(
        not(any(target_os = "linux", target_os = "android")),
        allow(dead_code, reason = "elsewhere nothing reports it")
    )]
    Closed,
    /// The file was moved or deleted, or its attributes changed.
    Changed,
    /// The instant passed.
    TimedOut,
    /// A signal came.
    #[cfg_attr(
        not(any(target_os = "linux", target_os = "android")),
        allow(dead_code, reason = "elsewhere no notifier waits")
    )]
    Interrupted,
}

/// An event of a watched file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android")),
    allow(dead_code, reason = "elsewhere nothing reports it")
)]
pub(crate) enum Event {
    /// The file was opened.
    Opened,
    /// The file was closed.
    Closed,
    /// The file was moved or deleted, or its attributes changed.
    Changed,
}

/// The object of a kernel lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Bytes, locked by a record lock that belongs to the open file description. Only where
    /// `lock::HAS_RANGES`.
    Bytes(Range),
    /// The whole file, locked by `flock`.
    File,
}

/// The file at a path or behind a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    /// The identity of the file.
    pub(crate) id: FileId,
    /// The number of its names.
    pub(crate) links: u64,
    /// The time of the last change of its attributes.
    pub(crate) changed: ChangeTime,
    /// The sort of file.
    pub(crate) sort: FileSort,
    /// The number of its owner; 0 where users have no numbers.
    pub(crate) owner: u32,
}

/// The owner of a directory, and the rights of other users in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ownership {
    /// Whether it belongs to users who may do everything anyway.
    pub(crate) is_systems: bool,
    /// Whether it belongs to the user that this process runs as.
    pub(crate) is_users: bool,
    /// The rights of everybody else.
    pub(crate) others: Others,
    /// The sort of file.
    pub(crate) sort: FileSort,
}

/// The rights of other users in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Others {
    /// Whether some of them can enter or list it, or do more.
    pub(crate) enter: bool,
    /// Whether everybody can create files in it.
    pub(crate) create: bool,
    /// Whether some of them can remove or rename files that are not theirs.
    pub(crate) remove: bool,
}

/// The place of a user's directory.
#[cfg_attr(
    any(not(unix), lockfast_unsupported),
    allow(dead_code, reason = "a side has one or the other")
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// The directory, in a place that the system made for the user.
    #[cfg_attr(
        all(unix, not(lockfast_unsupported)),
        allow(dead_code, reason = "no such place is certain to exist")
    )]
    Certain(PathBuf),
    /// A directory in one of these places. The set-up of the system alone decides which.
    Possible(Places),
}

/// The candidates for a user's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    /// The place for locks. Some systems let every user create files in it, and others only root.
    pub(crate) locks: PathBuf,
    /// The place where every user can create files, on all systems.
    pub(crate) temporary: PathBuf,
    /// The name of the user's directory in either.
    pub(crate) own: String,
}

/// An instant of the file system's clock: seconds since 1970, and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChangeTime(pub(crate) i64, pub(crate) i64);

/// The identity of a file, which no other file of the machine has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct FileId {
    /// The file system.
    pub(crate) device: u64,
    /// The file in it.
    pub(crate) inode: u64,
    /// The upper half of its number, where numbers have 128 bits.
    pub(crate) upper: u64,
}

/// The sorts of files that matter to a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileSort {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A FIFO.
    Fifo,
    /// A socket.
    Socket,
    /// A character or block device, or something else.
    Device,
}
