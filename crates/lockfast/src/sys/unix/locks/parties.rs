//! The processes that have a part in it.

use std::collections::HashSet;

use super::process;
use crate::inspect::bytes;
use crate::inspect::snapshot::Snapshot;

/// Looks up all that have a part, and those who wait for the end of one that waits.
pub(super) fn add(snapshot: &mut Snapshot, hidden: bool) {
    let look_up = |pid| process::look_up(pid).or_else(|| hidden.then(|| process::unknown(pid)));
    let Snapshot {
        descriptions,
        requests,
        processes,
        families,
        ..
    } = snapshot;
    let owners = descriptions
        .iter()
        .flat_map(|description| &description.owners);
    let asking = requests.iter().filter_map(|request| request.pid.as_ref());
    for &pid in owners.chain(asking) {
        if !processes.contains_key(&pid) {
            processes.extend(look_up(pid).map(|process| (pid, process)));
        }
    }
    let lines = descriptions
        .iter()
        .filter(|description| bytes::leads_line(&description.locks))
        .flat_map(|description| description.owners.clone());
    let waiting: HashSet<u32> = requests
        .iter()
        .filter_map(|request| request.pid)
        .chain(lines)
        .collect();
    for mut pid in waiting {
        while let Some(parent) = processes.get(&pid).and_then(|process| process.parent) {
            if !processes.contains_key(&parent) {
                processes.extend(process::look_up(parent).map(|process| (parent, process)));
            }
            let waits = processes
                .get(&parent)
                .is_some_and(process::waits_for_children);
            if !waits || !families.insert((parent, pid)) {
                break;
            }
            pid = parent;
        }
    }
    // What has ended meanwhile holds nothing, and waits for nothing.
    descriptions.retain_mut(|description| {
        let known = !description.owners.is_empty();
        description.owners.retain(|pid| processes.contains_key(pid));
        description.owners.sort_unstable();
        !(known && description.owners.is_empty())
    });
    requests.retain(|request| request.pid.is_none_or(|pid| processes.contains_key(&pid)));
}
