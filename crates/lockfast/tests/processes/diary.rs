//! The last step of a process that may be killed, for the test to read when it is dead.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process;

/// The state of a thread towards the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    WaitsToLock,
    Locks,
    WaitsToRead,
    Reads,
    WaitsToWrite,
    Writes,
    WaitsToBeUpgradable,
    IsUpgradable,
    Upgrades,
    WaitsForPermits,
    HasPermits,
}

const ROLES: [Role; 11] = [
    Role::WaitsToLock,
    Role::Locks,
    Role::WaitsToRead,
    Role::Reads,
    Role::WaitsToWrite,
    Role::Writes,
    Role::WaitsToBeUpgradable,
    Role::IsUpgradable,
    Role::Upgrades,
    Role::WaitsForPermits,
    Role::HasPermits,
];

impl Role {
    pub(crate) const OF_PERMITS: [Self; 2] = [Self::WaitsForPermits, Self::HasPermits];

    /// The states towards locks and readers-writer locks.
    pub(crate) fn of_locks() -> &'static [Self] {
        let others = ROLES.strip_suffix(&Self::OF_PERMITS);
        others.expect("those of permits are the last")
    }
}

/// Where a thread writes what it is about: a record of its own in a file of its process, in a
/// directory beside the lock.
pub(crate) struct Diary {
    file: File,
    record: u64,
    entry: Entry,
}

/// The last entry of a thread.
#[derive(Clone, Copy, Default)]
pub(crate) struct Entry {
    /// None between two rounds.
    pub(crate) role: Option<Role>,
    /// How many rounds it has done.
    pub(crate) rounds: u64,
}

impl Diary {
    /// For the thread of that number of this process.
    pub(crate) fn beside(lock: &Path, thread: u64) -> io::Result<Self> {
        fs::create_dir_all(directory(lock))?;
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(page(lock, process::id()))?;
        Ok(Self {
            file,
            record: thread,
            entry: Entry::default(),
        })
    }

    pub(crate) fn note(&mut self, role: Role) -> Result<(), String> {
        self.entry.role = Some(role);
        self.write()
    }

    pub(crate) fn end_round(&mut self) -> Result<(), String> {
        self.entry.role = None;
        self.entry.rounds += 1;
        self.write()
    }

    fn write(&self) -> Result<(), String> {
        let mut bytes = [0; RECORD];
        bytes[0] = self.entry.role.map_or(0, |role| role as u8 + 1);
        bytes[8..].copy_from_slice(&self.entry.rounds.to_le_bytes());
        let at = self.record * RECORD as u64;
        let written = self.file.write_all_at(&bytes, at);
        written.map_err(|error| error.to_string())
    }
}

/// Returns the last entry of each thread of that process, in the order of their numbers.
pub(crate) fn entries(lock: &Path, pid: u32) -> Vec<Entry> {
    let bytes = fs::read(page(lock, pid)).unwrap_or_default();
    let entry = |record: &[u8]| Entry {
        role: record[0].checked_sub(1).map(|role| ROLES[role as usize]),
        rounds: u64::from_le_bytes(record[8..].try_into().expect("eight bytes")),
    };
    bytes.chunks_exact(RECORD).map(entry).collect()
}

/// Removes what a dead process wrote, whose pid another one may get.
pub(crate) fn forget(lock: &Path, pid: u32) {
    let _ = fs::remove_file(page(lock, pid));
}

/// The role, then the rounds.
const RECORD: usize = 16;

fn directory(lock: &Path) -> PathBuf {
    lock.with_extension("diaries")
}

fn page(lock: &Path, pid: u32) -> PathBuf {
    directory(lock).join(pid.to_string())
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WaitsToLock => "waiting to lock",
            Self::Locks => "locking",
            Self::WaitsToRead => "waiting to read",
            Self::Reads => "reading",
            Self::WaitsToWrite => "waiting to write",
            Self::Writes => "writing",
            Self::WaitsToBeUpgradable => "waiting to be upgradable",
            Self::IsUpgradable => "upgradable",
            Self::Upgrades => "upgrading",
            Self::WaitsForPermits => "waiting for permits",
            Self::HasPermits => "with permits",
        })
    }
}
