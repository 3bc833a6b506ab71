//! Owner records of held locks.

use std::collections::{HashMap, HashSet};

use super::snapshot::{Content, FileKey, Snapshot};
use super::view::Kind;
use super::{openers, system};
use crate::file::owner::{self, Owner};

/// Reads the records of files that are held exclusively.
///
/// A file is opened only if its length is that of a file with records, and not if this process has a classic
/// lock on it, which the close would release.
pub(super) fn read(snapshot: &Snapshot) -> HashMap<FileKey, Owner> {
    let own = std::process::id();
    let mut wanted = HashSet::new();
    let mut spared = HashSet::new();
    for description in &snapshot.descriptions {
        if description.locks.iter().any(|lock| lock.exclusive) {
            wanted.insert(description.file);
        }
        let classic = description
            .locks
            .iter()
            .any(|lock| lock.kind == Kind::Classic);
        if classic && description.owners.contains(&own) {
            spared.insert(description.file);
        }
    }
    let alone = snapshot.opened.iter();
    wanted.extend(
        alone
            .filter(|(_, opened)| openers::may_have_record(opened))
            .map(|(file, _)| *file),
    );
    let record = |file: &FileKey| {
        let place = snapshot.places.get(file)?;
        let file = system::open(&place.content, *file, owner::is_length)?;
        owner::holder(&file)
    };
    let records = wanted.difference(&spared);
    records
        .filter_map(|file| Some((*file, record(file)?)))
        .collect()
}

/// Whether the file may have a record that was not read: see [`Content::Withheld`].
pub(super) fn is_withheld(file: FileKey, snapshot: &Snapshot) -> bool {
    let content = snapshot.places.get(&file).map(|place| &place.content);
    matches!(content, Some(&Content::Withheld(length)) if owner::is_length(length))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::File;

    use libc::{F_WRLCK, SEEK_SET};
    use nix::fcntl::{FcntlArg, fcntl};

    use crate::inspect::{self, Kind};

    /// Any close of the file in this process would release it.
    #[test]
    fn a_record_lock_of_this_process_is_not_lost_by_looking() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let options = || crate::Lock::options().owner_record(true);
        let lock = options().open(file.path()).expect("a lock");
        lock.lock().expect("it is free").release().expect("written");
        drop(lock);
        let opened = File::options().write(true).open(file.path());
        let opened = opened.expect("it is there");
        let whole = libc::flock {
            l_type: F_WRLCK.try_into().expect("a small number"),
            l_whence: SEEK_SET.try_into().expect("a small number"),
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        fcntl(&opened, FcntlArg::F_SETLK(&whole)).expect("it is free");
        for _ in 0..2 {
            let report = inspect::path(file.path()).expect("a report");
            let kinds: Vec<_> = report.holders().map(|lock| lock.kind).collect();
            assert_eq!(kinds, [Kind::Classic]);
        }
    }
}
