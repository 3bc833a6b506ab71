//! Record locks on one file, as the kernel reports them for the file itself (`F_OFD_GETLK`): for one moment,
//! and with the locks of processes in other pid namespaces and on other machines.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use super::file::InspectedFile;
use super::reading::LockTable;
use super::scan;
use super::table::LockLine;
use crate::inspect::bytes;
use crate::inspect::snapshot::LockRecord;
use crate::inspect::view::Kind;
use crate::protocol::plan::Part;
use crate::sys;
use crate::sys::{Access, Range};

/// Returns record locks of others on the file. The kernel reports no `flock`.
///
/// The file is not opened where that would break a lease, or where its close would release a lock of this
/// process.
pub(super) fn ask(target: &InspectedFile, table: &LockTable) -> Vec<LockLine> {
    // To open a device may do things, and to open a file with a lease makes the kernel break the lease.
    if !target.metadata.is_file() || table.leased.contains(&target.key) {
        return Vec::new();
    }
    let own = scan::scan_some(&[std::process::id()], Some(target.id)).open;
    let classic = own.iter().flat_map(|open| &open.locks);
    // The kernel releases all classic locks of a process on a file when it closes any descriptor of it.
    if classic.clone().any(|line| line.lock.kind == Kind::Classic) {
        return Vec::new();
    }
    let Some(file) = reopened(&target.file) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    // The first one may be of a waiter, on a byte that conflicts with no holder. Then the main bytes are asked.
    for range in [Range { start: 0, len: 0 }, Part::Main.range(0)] {
        let Some(line) = blocker(&file, range, target) else {
            break;
        };
        let is_harmless = line.lock.kind == Kind::Ofd && bytes::is_on_the_way(&[line.lock]);
        found.push(line);
        if !is_harmless {
            break;
        }
    }
    if found
        .iter()
        .any(|line| line.pid == Some(std::process::id()))
    {
        // Another thread has taken a classic lock meanwhile, and a close would release it.
        std::mem::forget(file);
    }
    found
}

fn blocker(file: &File, range: Range, target: &InspectedFile) -> Option<LockLine> {
    let blocker = sys::lock::blocker(file, Access::Exclusive, range)?;
    // Of its own range: elsewhere others may have exclusive locks.
    let exclusive = sys::lock::blocker(file, Access::Shared, blocker.range()).is_some();
    let kind = match blocker.pid {
        Some(_) => Kind::Classic,
        None => Kind::Ofd,
    };
    let lock = LockRecord {
        kind,
        exclusive,
        range: blocker.range(),
    };
    Some(LockLine {
        waiting: false,
        lock: bytes::to_the_end(lock),
        pid: blocker.pid.filter(|&pid| pid > 0),
        file: target.key,
    })
}

/// Opens the file behind an `O_PATH` descriptor for reading, without a wait for a lease.
///
/// By `thread-self`: the descriptors of the process are not shown by `self` when its first thread has ended.
pub(super) fn reopened(file: &File) -> Option<File> {
    let name = format!("/proc/thread-self/fd/{}", file.as_raw_fd());
    fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(name)
        .ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::inspect::system::linux::mounts::Mounts;

    #[test]
    fn a_shared_lock_is_not_exclusive_because_of_another_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.lock");
        let (shared, exclusive) = (Range::new(0, 1), Range::new(100, 1));
        let first = locked(&path, Access::Shared, shared);
        let second = locked(&path, Access::Exclusive, exclusive);
        let target = InspectedFile::find(&path, &mut Mounts::default()).expect("it is there");
        let file = File::open(&path).expect("opened");
        // The kernel names the one that came first.
        let line = blocker(&file, Range::ALL, &target).expect("it is locked");
        assert_eq!((line.lock.range, line.lock.exclusive), (shared, false));
        drop(first);
        let line = blocker(&file, Range::ALL, &target).expect("it is locked");
        assert_eq!((line.lock.range, line.lock.exclusive), (exclusive, true));
        drop(second);
    }

    fn locked(path: &Path, access: Access, range: Range) -> File {
        let mut options = File::options();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).expect("a file");
        let granted = sys::lock::try_lock(&file, access, sys::Target::Bytes(range));
        assert!(granted.expect("no error"), "nobody else has it");
        file
    }
}
