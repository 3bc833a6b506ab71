//! The waits of each process, and the processes that can end them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::inspect::bytes;
use crate::inspect::snapshot::{Description, FileKey, LockRecord, Snapshot};
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
            // A lock without known owners may be released by a process that can go on.
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
    let mut on_file = OnFile::new();
    for description in &snapshot.descriptions {
        let all = on_file.entry(description.file).or_default();
        all.push(description);
    }
    let mut waits = BTreeMap::<u32, Vec<WaitEdge>>::new();
    let found = for_locks(snapshot, &on_file)
        .chain(for_permits(snapshot, &on_file))
        .chain(for_families(snapshot));
    for (pid, wait) in found {
        waits.entry(pid).or_default().push(wait);
    }
    // A thread that waits for another thread of its process is no deadlock.
    for (pid, waits) in &mut waits {
        if !acts_as_one(*pid, snapshot) {
            waits.retain(|wait| !wait.blockers.iter().all(|owners| owners == &[*pid]));
        }
    }
    waits.retain(|_, waits| !waits.is_empty());
    waits
}

/// The descriptions of each file.
type OnFile<'s> = HashMap<FileKey, Vec<&'s Description>>;

/// Returns the waits for locks that conflict with held ones.
fn for_locks<'s>(
    snapshot: &'s Snapshot,
    on_file: &'s OnFile<'s>,
) -> impl Iterator<Item = (u32, WaitEdge)> + 's {
    snapshot.requests.iter().filter_map(move |request| {
        let pid = request.pid?;
        // Classic locks belong to the process, so its own ones are never in its way.
        let is_own = |lock: &LockRecord, description: &Description| {
            let are_classic = lock.kind == Kind::Classic && request.lock.kind == Kind::Classic;
            are_classic && description.owners.contains(&pid)
        };
        let descriptions = || on_file.get(&request.file).into_iter().flatten();
        let own = descriptions().filter(|description| description.owners.contains(&pid));
        let own: Vec<_> = own.flat_map(|own| &own.locks).copied().collect();
        // A waiter in the line is stuck only if the lock behind the line is never released.
        let wanted = bytes::behind_line(&request.lock, &own);
        let is_in_the_way = |description: &&&Description| {
            let mut locks = description.locks.iter();
            locks.any(|lock| lock.conflicts(&wanted) && !is_own(lock, description))
        };
        let in_the_way: Vec<_> = descriptions().filter(is_in_the_way).collect();
        // A description that converts its lock is not in its own way. If nobody else is in the way, the
        // process has the file open twice.
        let others = in_the_way.iter().any(|other| !other.owners.contains(&pid));
        let blockers = in_the_way
            .iter()
            .filter(|description| !others || !description.owners.contains(&pid))
            .map(|description| description.owners.clone())
            .collect();
        let wait = WaitEdge {
            file: Some(request.file),
            blockers,
            any: false,
            is_certain: is_certain(pid, snapshot),
        };
        Some((pid, wait))
    })
}

/// Returns the waits of the first in each queue for permits, of which any one is enough.
fn for_permits<'s>(
    snapshot: &'s Snapshot,
    on_file: &'s OnFile<'s>,
) -> impl Iterator<Item = (u32, WaitEdge)> + 's {
    let leads = |leader: &&Description| bytes::leads_queue(&leader.locks);
    let leaders = snapshot.descriptions.iter().filter(leads);
    leaders.flat_map(move |leader| {
        // Each leader is one of these descriptions, so its file is in the map.
        let on_file = on_file[&leader.file].iter();
        let permits = on_file.filter(|description| bytes::has_permits(&description.locks));
        let blockers: Vec<Vec<u32>> = permits.map(|holder| holder.owners.clone()).collect();
        leader.owners.iter().map(move |&pid| {
            let wait = WaitEdge {
                file: Some(leader.file),
                blockers: blockers.clone(),
                any: true,
                is_certain: is_certain(pid, snapshot),
            };
            (pid, wait)
        })
    })
}

/// Returns the waits of parents for their children.
fn for_families(snapshot: &Snapshot) -> impl Iterator<Item = (u32, WaitEdge)> + '_ {
    snapshot.families.iter().map(|family| {
        let wait = WaitEdge {
            file: None,
            blockers: vec![family.others.clone()],
            any: false,
            is_certain: family.is_certain && is_certain(family.parent, snapshot),
        };
        (family.parent, wait)
    })
}

/// Whether only others can end the waits of the process. Another thread of it may release what others wait
/// for, and so may a thread that gives up its wait.
fn is_certain(pid: u32, snapshot: &Snapshot) -> bool {
    acts_as_one(pid, snapshot) && !snapshot.may_give_up.contains(&pid)
}

fn acts_as_one(pid: u32, snapshot: &Snapshot) -> bool {
    let process = snapshot.processes.get(&pid);
    process.is_some_and(|process| process.acts_as_one)
}
