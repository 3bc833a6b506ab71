//! Processes that hold or wait, and their parents.

use std::collections::HashSet;

use super::{family, process};
use crate::inspect::bytes;
use crate::inspect::snapshot::Snapshot;

/// Adds all processes that hold or wait, and the parents that wait for their children.
pub(super) fn add(snapshot: &mut Snapshot) {
    let hidden = snapshot.gaps.hidden;
    // With `hidepid` a process that holds or waits may be invisible, but it is there.
    let look_up = |pid| process::look_up(pid).or_else(|| hidden.then(|| process::unknown(pid)));
    let Snapshot {
        descriptions,
        requests,
        processes,
        families,
        may_give_up,
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
        .filter(|description| bytes::leads_queue(&description.locks))
        .flat_map(|description| description.owners.clone());
    let waiting: HashSet<u32> = requests
        .iter()
        .filter_map(|request| request.pid)
        .chain(lines)
        .collect();
    family::add(&waiting, processes, families);
    let parents = families.iter().map(|family| family.parent);
    let all: HashSet<u32> = waiting.into_iter().chain(parents).collect();
    may_give_up.extend(all.into_iter().filter(|pid| {
        let process = processes.get(pid);
        process.is_none_or(family::may_give_up)
    }));
    // A process that has ended meanwhile holds nothing, and waits for nothing.
    descriptions.retain_mut(|description| {
        let known = !description.owners.is_empty();
        description.owners.retain(|pid| processes.contains_key(pid));
        description.owners.sort_unstable();
        !(known && description.owners.is_empty())
    });
    requests.retain(|request| request.pid.is_none_or(|pid| processes.contains_key(&pid)));
}
