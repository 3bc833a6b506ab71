//! The waits of each process, and the processes that can end them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::inspect::bytes;
use crate::inspect::snapshot::{Description, FileKey, Snapshot};
use crate::inspect::view::Kind;

/// A wait of a process: an edge of the wait-for graph.
#[derive(Clone, Debug)]
pub(super) struct WaitEdge {
    /// The file with the lock; `None` for the wait for a child.
    pub(super) file: Option<FileKey>,
    /// The processes that have each lock in the way. Each of them can release it.
    blockers: Vec<Vec<u32>>,
    /// Whether the release of one of the locks is enough.
    any: bool,
    /// Whether nothing else can end it.
    is_certain: bool,
}

impl WaitEdge {
    pub(super) fn is_endless(&self, stuck: &BTreeSet<u32>) -> bool {
        let kept = |owners: &Vec<u32>| {
            !owners.is_empty() && owners.iter().all(|owner| stuck.contains(owner))
        };
        if self.any {
            !self.blockers.is_empty() && self.blockers.iter().all(kept)
        } else {
            self.blockers.iter().any(kept)
        }
    }

    /// Returns the processes that keep it from ending.
    pub(super) fn stuck<'a>(&'a self, stuck: &'a BTreeSet<u32>) -> impl Iterator<Item = u32> + 'a {
        let kept = |owners: &&Vec<u32>| owners.iter().all(|owner| stuck.contains(owner));
        self.blockers.iter().filter(kept).flatten().copied()
    }
}

/// Returns the waits that nothing else can end.
pub(super) fn certain(all: &BTreeMap<u32, Vec<WaitEdge>>) -> BTreeMap<u32, Vec<WaitEdge>> {
    let certain = |waits: &[WaitEdge]| -> Vec<WaitEdge> {
        waits
            .iter()
            .filter(|wait| wait.is_certain)
            .cloned()
            .collect()
    };
    let all = all.iter().map(|(&pid, waits)| (pid, certain(waits)));
    all.filter(|(_, waits)| !waits.is_empty()).collect()
}

/// Returns all waits by the pid that waits.
pub(super) fn all(snapshot: &Snapshot) -> BTreeMap<u32, Vec<WaitEdge>> {
    let mut on_file = HashMap::<FileKey, Vec<&Description>>::new();
    for description in &snapshot.descriptions {
        on_file
            .entry(description.file)
            .or_default()
            .push(description);
    }
    let mut waits = BTreeMap::<u32, Vec<WaitEdge>>::new();
    // Another thread may release what others wait for, and so may a thread that gives up its wait.
    let is_certain = |pid: u32| {
        let process = snapshot.processes.get(&pid);
        process.is_some_and(|process| process.acts_as_one) && !snapshot.may_give_up.contains(&pid)
    };
    for request in &snapshot.requests {
        let Some(pid) = request.pid else { continue };
        let in_the_way: Vec<&Description> = on_file
            .get(&request.file)
            .into_iter()
            .flatten()
            .filter(|description| {
                let own_classic = |kind| {
                    kind == Kind::Classic
                        && request.lock.kind == Kind::Classic
                        && description.owners.contains(&pid)
                };
                description
                    .locks
                    .iter()
                    .any(|lock| lock.conflicts(&request.lock) && !own_classic(lock.kind))
            })
            .copied()
            .collect();
        // A description that converts its lock is not in its own way. If nobody else is in the way, the
        // process has the file open twice.
        let others = in_the_way.iter().any(|other| !other.owners.contains(&pid));
        let blockers = in_the_way
            .iter()
            .filter(|description| !others || !description.owners.contains(&pid))
            .map(|description| description.owners.clone())
            .collect();
        waits.entry(pid).or_default().push(WaitEdge {
            file: Some(request.file),
            blockers,
            any: false,
            is_certain: is_certain(pid),
        });
    }
    for leader in &snapshot.descriptions {
        if !bytes::leads_line(&leader.locks) {
            continue;
        }
        let on_file = on_file[&leader.file].iter();
        let permits = on_file.filter(|description| bytes::has_permits(&description.locks));
        let blockers: Vec<Vec<u32>> = permits.map(|holder| holder.owners.clone()).collect();
        for &pid in &leader.owners {
            waits.entry(pid).or_default().push(WaitEdge {
                file: Some(leader.file),
                blockers: blockers.clone(),
                any: true,
                is_certain: is_certain(pid),
            });
        }
    }
    for family in &snapshot.families {
        waits.entry(family.parent).or_default().push(WaitEdge {
            file: None,
            blockers: vec![family.others.clone()],
            any: false,
            is_certain: family.is_certain && is_certain(family.parent),
        });
    }
    // A thread that waits for another thread of its process is no deadlock.
    for (pid, waits) in &mut waits {
        let alone = snapshot
            .processes
            .get(pid)
            .is_some_and(|process| process.acts_as_one);
        if !alone {
            waits.retain(|wait| !wait.blockers.iter().all(|owners| owners == &[*pid]));
        }
    }
    waits.retain(|_, waits| !waits.is_empty());
    waits
}
