//! Who has one file open, without a look at every descriptor of the machine where that can be helped.
//!
//! Most lines of the table name a process: classic locks and those by `flock` do, and lockfast's by their
//! bytes. So those processes are looked into first. If each lock is one of theirs, only those remain who
//! share an open file with them because they inherited it, and to compare two descriptors takes the
//! kernel a fraction of the time in which it tells which file one is of.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashSet};
use std::io;

use super::file::InspectedFile;
use super::scan::{self, OpenDescriptor, Scan};
use super::table::LockLine;
use super::{process, same};
use crate::inspect::bytes;
use crate::inspect::snapshot::RawLock;
use crate::inspect::view::Kind;

/// With more, looking at all descriptors is cheaper.
const MOST_COMPARED: usize = 2;

/// The descriptors of the file, those without locks only of processes that are named in its lines.
pub(super) fn search(target: &InspectedFile, table: &[LockLine]) -> io::Result<Scan> {
    match search_named(target, table)? {
        Some(found) => Ok(found),
        None => scan::scan(Some(target.id)),
    }
}

/// None if that does not find everything.
fn search_named(target: &InspectedFile, table: &[LockLine]) -> io::Result<Option<Scan>> {
    let pid = |line: &LockLine| {
        line.pid
            .or_else(|| line.tagged_pid())
            .or_else(|| bytes::sign_of(&line.lock))
    };
    let Some(pids) = table.iter().map(pid).collect::<Option<BTreeSet<u32>>>() else {
        return Ok(None);
    };
    let pids: Vec<u32> = pids.into_iter().collect();
    let mut found = scan::scan_some(&pids, Some(target.id));
    let has = |line: &LockLine| {
        let is_its = |open: &&OpenDescriptor| Some(open.pid) == pid(line);
        let mut locks = found
            .open
            .iter()
            .filter(is_its)
            .flat_map(|open| &open.locks);
        locks.any(|own| own.lock == line.lock)
    };
    let held = table.iter().filter(|line| !line.waiting);
    let mut once = HashSet::new();
    // Two that are alike may be one of its own and one that it left to others.
    let is_complete = held.into_iter().all(|line| has(line) && once.insert(line));
    let holders: Vec<OpenDescriptor> = found
        .open
        .iter()
        .filter(|open| holds(open))
        .cloned()
        .collect();
    if !is_complete || holders.len() > MOST_COMPARED || !scan::counts_descriptors() {
        return Ok(None);
    }
    if holders.is_empty() {
        return Ok(Some(found));
    }
    let others = scan::pids()?.into_iter().filter(|pid| !pids.contains(pid));
    let others: Vec<u32> = others.collect();
    let shared = scan::in_parallel(&others, |pids| {
        let mut shared = Scan::default();
        for &pid in pids {
            match compare_all(pid, &holders) {
                Some(open) => shared.open.extend(open),
                None => shared.add(scan::scan_some(&[pid], Some(target.id))),
            }
        }
        shared
    });
    found.add(shared);
    Ok(Some(found))
}

/// Does it have locks that come with the open file, to whoever inherits that, and that exclude somebody?
fn holds(open: &OpenDescriptor) -> bool {
    let locks = open.locks.iter().map(|line| line.lock);
    let locks: Vec<RawLock> = locks.filter(|lock| lock.kind != Kind::Classic).collect();
    !locks.is_empty() && !bytes::is_on_the_way(&locks)
}

/// The descriptors of a process that are of the same open file as one of these; `None` if that can't be
/// told so.
fn compare_all(pid: u32, holders: &[OpenDescriptor]) -> Option<Vec<OpenDescriptor>> {
    let count = scan::descriptors_of(pid);
    if count == 0 && process::living_thread(pid) != Some(pid) {
        // Its descriptors are seen by another thread.
        return None;
    }
    let mut found = Vec::new();
    let mut seen = 0;
    for descriptor in likely_numbers(count) {
        if seen == count {
            break;
        }
        for (number, holder) in holders.iter().enumerate() {
            match same::compare((holder.task, holder.descriptor), (pid, descriptor)) {
                Ok(order) => {
                    seen += u64::from(number == 0);
                    if order == Ordering::Equal {
                        found.push(OpenDescriptor {
                            pid,
                            task: pid,
                            descriptor,
                            ..holder.clone()
                        });
                    }
                }
                Err(error) if error.raw_os_error() == Some(libc::EBADF) => break,
                // It has ended, it may not be looked into, or there is no such call.
                Err(_) => return None,
            }
        }
    }
    (seen >= count).then_some(found)
}

/// Where so many descriptors are as a rule: to read their numbers takes the kernel as long as to try
/// these.
fn likely_numbers(count: u64) -> impl Iterator<Item = i32> {
    const HOLES: i32 = 4;
    // Shells keep their own from 10 upwards, or from 255 downwards, and what they start may have
    // inherited some.
    const UPWARDS: i32 = 12;
    let low = i32::try_from(count).unwrap_or(0).saturating_add(HOLES);
    let low = low.max(UPWARDS);
    let downwards = (240..256).rev().filter(move |&number| number >= low);
    (0..low).chain(downwards)
}
