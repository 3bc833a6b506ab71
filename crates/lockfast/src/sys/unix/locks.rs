//! Who holds and who awaits which lock, by `/proc`. Nothing is opened but what is in there.

mod mounts;
mod opened;
mod parties;
mod process;
mod reading;
mod requests;
mod same;
mod scan;
mod search;
mod table;
mod target;
mod thread;

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use self::mounts::Mounts;
use self::opened::Opened;
use self::scan::Scan;
use self::table::Line;
use self::target::Target;
use self::thread::Sleepers;
use crate::inspect::snapshot::{Description, FileKey, Gaps, KernelLock, Place, Snapshot};
use crate::inspect::{Kind, bytes};

/// The locks of the file at the path, or of the machine.
///
/// The table is read before and after everything else, and a line that nobody claims counts only if
/// it is in both: else the lock was released meanwhile.
pub(crate) fn snapshot(path: Option<&Path>) -> io::Result<Snapshot> {
    let mut mounts = Mounts::default();
    let target = match path {
        Some(path) => Some(Target::find(path, &mut mounts)?),
        None => None,
    };
    taken(path, target, mounts).map_err(untold)
}

/// All that is read of `/proc`, when it is known which file is asked for, if it is one.
fn taken(path: Option<&Path>, target: Option<Target>, mut mounts: Mounts) -> io::Result<Snapshot> {
    let file = target.as_ref().map(|target| target.key);
    let before = reading::table(file)?;
    let outside = !is_first_namespace();
    if target.is_some() && before.is_empty() && !outside {
        // All the locks of the machine are in the table, whoever has them.
        return Ok(Snapshot {
            gaps: Gaps {
                remote: target.is_some_and(|target| target.is_remote),
                ..Gaps::default()
            },
            ..Snapshot::default()
        });
    }
    let Scan { open, unreadable } = match &target {
        Some(target) => search::search(target, &before)?,
        None => scan::scan(None)?,
    };
    let opened = Opened::new(open, target.as_ref(), &before, &mut mounts);
    let sleepers = Sleepers::new();
    let waiters = opened.waiters(&before);
    let after = reading::table(file)?;
    let lasting = reading::in_both(&before, &after);

    let mut snapshot = Snapshot {
        descriptions: opened.descriptions(),
        ..Snapshot::default()
    };
    let unclaimed = reading::unclaimed(&lasting, &snapshot.descriptions);
    snapshot.descriptions.extend(
        unclaimed
            .into_iter()
            .map(|line| described(line, &unreadable)),
    );
    snapshot.requests = requests::requests(&lasting, waiters, &sleepers);
    snapshot.places = opened.places(&before);
    if let (Some(target), Some(path)) = (target.as_ref(), path) {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let deleted = false;
        snapshot.places.insert(target.key, Place { path, deleted });
    }
    parties::add(&mut snapshot, Mounts::hides_processes());
    let gaps = &mut snapshot.gaps;
    gaps.unreadable = unreadable.len();
    gaps.hidden = Mounts::hides_processes();
    gaps.outside = outside;
    gaps.remote = target.is_some_and(|target| target.is_remote);
    Ok(snapshot)
}

/// The file, for reading, if it is still that one, a regular file and of such a length: nothing else is
/// opened.
pub(crate) fn open(path: &Path, key: FileKey, is_length: impl Fn(u64) -> bool) -> Option<File> {
    let target = Target::find(path, &mut Mounts::default()).ok()?;
    let is_regular = target.metadata.is_file() && is_length(target.metadata.len());
    if target.key != key || !is_regular {
        return None;
    }
    let name = format!("/proc/thread-self/fd/{}", target.file.as_raw_fd());
    File::open(name).ok()
}

/// That `/proc` is not there must not be taken for the file not being there, which nobody can have locked.
#[allow(clippy::needless_pass_by_value, reason = "so `map_err` passes it")]
fn untold(error: io::Error) -> io::Error {
    io::Error::other(format!(
        "/proc, which tells it, cannot be read: {error}; mount it"
    ))
}

/// A lock whose descriptor could not be seen.
fn described(line: Line, unreadable: &[u32]) -> Description {
    let owner = match line.lock.kind {
        Kind::Ofd => named(&line.lock),
        Kind::Classic => line.pid,
        // It may have been inherited by others, and the one that took it be gone.
        Kind::Flock => line.pid.filter(|pid| unreadable.contains(pid)),
        // No table here has one.
        Kind::LockFile => None,
    };
    Description {
        file: line.file,
        owners: owner.into_iter().collect(),
        locks: vec![line.lock],
    }
}

/// Who a lock of lockfast says that it belongs to.
fn named(lock: &KernelLock) -> Option<u32> {
    bytes::named_pid(lock, crate::sys::process::namespace())
}

/// Is this the namespace from which every process can be seen?
fn is_first_namespace() -> bool {
    const FIRST: &str = "pid:[4026531836]";
    fs::read_link("/proc/self/ns/pid").is_ok_and(|name| name == Path::new(FIRST))
}
