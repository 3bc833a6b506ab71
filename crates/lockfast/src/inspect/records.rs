//! Since when a lock is held, where its holder has written that into the file.

use std::collections::{HashMap, HashSet};

use super::snapshot::{FileKey, Snapshot};
use super::{Kind, opened};
use crate::owner::{self, Owner};
use crate::sys;

/// The records of files that are held by somebody alone.
///
/// A file is opened only if it has the length of one with records, and not if this process has a classic
/// lock of it, which the close would release.
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
            .filter(|(_, opened)| opened::may_have_record(opened))
            .map(|(file, _)| *file),
    );
    let record = |file: &FileKey| {
        let place = snapshot.places.get(file).filter(|place| !place.deleted)?;
        let file = sys::locks::open(&place.path, *file, owner::is_length)?;
        owner::holder(&file)
    };
    let records = wanted.difference(&spared);
    records
        .filter_map(|file| Some((*file, record(file)?)))
        .collect()
}
