//! The seam to the operating system: the only place with `cfg(target_os)` and `unsafe`.
//!
//! Each side has the same files with the same functions; `mod.rs` picks one. The contract:
//!
//! | module | promises |
//! |---|---|
//! | `file` | opens and creates without following links, truncating or blocking (a lease of another program is an error of its own); tells what stands at a path and behind a descriptor, and whose it is |
//! | `file_system` | the facts about the file system of an open file that matter to a lock ([`FsTraits`]), by one call |
//! | `lock` | one attempt, one wait, one release, one question, each one kernel call; EINTR comes back as [`Waited::Interrupted`], contention as `false`. Plans are written for record locks (converted in place, given back in part); a side that has other ones makes that of them |
//! | `notifier` | wakes a thread when a file is closed, moved or deleted, or when a permit of it is free; [`notifier::notify`] makes that happen |
//! | `watch` | tells one thread to which of many files something happened |
//! | `alarm` | makes the blocked kernel call of one thread come back at an instant, or when another thread says so |
//! | `park` | puts a thread to sleep until another thread of the process grants it something |
//! | `fork` | has the files that are locked: tells a forked child from its parent, and takes inherited lock descriptors from the child |
//! | `slot` | keeps one value in one atomic word; whoever takes it is the only one who has it. The same on all sides |
//! | `made_once` | holds a value that is made when it is first needed, without waiting, so that a fork can't copy a wait. The same on all sides |
//! //! | `place` | where locks that have a name can be, whose such a directory is, what others may do there and whether they see the same one; makes one that is the user's alone |
//! | `process` | what is known of processes, and a fingerprint of the namespace in which a pid means something |

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
    reason = "a box is made an address and a box again; each is one line with its contract"
)]
pub(crate) mod slot;

#[allow(
    unsafe_code,
    reason = "a box is made an address and a box again; each is one line with its contract"
)]
pub(crate) mod made_once;

mod fs_traits;
pub(crate) mod hash;
pub(crate) mod mutex;
pub(crate) mod naps;
pub(crate) mod per_process;
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
    /// Somebody granted what the thread sleeps for.
    Granted,
    /// The instant passed.
    TimedOut,
    /// A signal came.
    Interrupted,
}

/// How a wait for a notifier ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notified {
    /// Somebody closed the file.
    #[cfg_attr(
        not(any(target_os = "linux", target_os = "android")),
        allow(dead_code, reason = "elsewhere nobody hears it")
    )]
    Closed,
    /// Somebody moved or deleted it, or changed what the file system says of it.
    Changed,
    /// The instant passed.
    TimedOut,
    /// A signal came.
    Interrupted,
}

/// What happened to a file that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android")),
    allow(dead_code, reason = "elsewhere nobody sees it")
)]
pub(crate) enum Event {
    /// Somebody opened it.
    Opened,
    /// Somebody closed it.
    Closed,
    /// Somebody moved or deleted it, or changed what the file system says of it.
    Changed,
}

/// What a kernel lock is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Bytes, by a record lock that belongs to the open file description. Only where
    /// `lock::HAS_RANGES`.
    Bytes(Range),
    /// The file, by `flock`.
    File,
}

/// What stands at a path or behind a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    /// Which file.
    pub(crate) id: FileId,
    /// How many names it has.
    pub(crate) links: u64,
    /// When the file system last changed what it says of the file.
    pub(crate) changed: ChangeTime,
    /// What sort of file.
    pub(crate) sort: FileSort,
    /// The number of the user whom it belongs to; 0 where users have no numbers.
    pub(crate) owner: u32,
}

/// Whose something is, and what others may do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ownership {
    /// Does it belong to those who may do everything anyway?
    pub(crate) is_systems: bool,
    /// Does it belong to the user that this process runs as?
    pub(crate) is_users: bool,
    /// What those may do who are neither.
    pub(crate) others: Others,
    /// What sort of file.
    pub(crate) sort: FileSort,
}

/// What others may do in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Others {
    /// Can some of them enter or list it, or do more?
    pub(crate) enter: bool,
    /// Can everybody create something in it?
    pub(crate) create: bool,
    /// Can some of them remove or rename what is not theirs?
    pub(crate) remove: bool,
}

/// Where a directory of the user can be.
#[cfg_attr(
    any(not(unix), lockfast_unsupported),
    allow(dead_code, reason = "a side has one or the other")
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// There, in a place that the system made for the user.
    #[cfg_attr(
        all(unix, not(lockfast_unsupported)),
        allow(dead_code, reason = "there is none of which that is sure")
    )]
    Certain(PathBuf),
    /// In one of these, which the system alone decides.
    Possible(Places),
}

/// Where a user's directory can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    /// Made for locks. Some systems let every user create files in it, and others root alone.
    pub(crate) locks: PathBuf,
    /// Where every user can create files, on all systems.
    pub(crate) temporary: PathBuf,
    /// The name of the user's directory in either.
    pub(crate) own: String,
}

/// An instant of the file system's clock: since 1970, seconds and then nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChangeTime(pub(crate) i64, pub(crate) i64);

/// Tells a file from all others of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct FileId {
    /// The file system.
    pub(crate) device: u64,
    /// The file in it.
    pub(crate) inode: u64,
    /// The upper half of its number, where numbers have 128 bits.
    pub(crate) upper: u64,
}

/// Sorts of files, as far as it matters to a lock.
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
