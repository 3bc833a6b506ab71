//! Descriptors of one file, found without a look at every descriptor of the machine where that is possible.
//!
//! Most lines of the table name a process: classic locks and `flock` do, and lockfast's locks do by their
//! bytes. So these processes are looked into first. If each lock belongs to one of them, only processes that
//! have inherited an open file from them remain. To compare two descriptors takes the kernel a fraction of
//! the time that it takes to report the file of one.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashSet};
use std::io;

use super::file::InspectedFile;
use super::scan::{self, OpenDescriptor, Scan};
use super::table::LockLine;
use super::{process, same};
use crate::inspect::bytes;
use crate::inspect::snapshot::LockRecord;
use crate::inspect::view::Kind;

/// With more holders than this, looking at all descriptors is cheaper.
const MOST_COMPARED: usize = 2;

/// Finds the descriptors of the file; those without locks only in processes that its lines name.
pub(super) fn search(target: &InspectedFile, table: &[LockLine]) -> io::Result<Scan> {
    match search_named(target, table)? {
        Some(found) => Ok(found),
        None => scan::scan(Some(target.id)),
    }
}

/// Finds them by the processes that the lines name; `None` if that may not find everything.
fn search_named(target: &InspectedFile, table: &[LockLine]) -> io::Result<Option<Scan>> {
    let pid = |line: &LockLine| {
        line.pid
            .or_else(|| line.tagged_pid())
            .or_else(|| bytes::sign_of(&line.lock))
    };
    // A line that names nobody may be of any process.
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
    // Of two equal lines, one may be the process's own, and one that others have inherited.
    let is_complete = held.into_iter().all(|line| has(line) && once.insert(line));
    let holders: Vec<OpenDescriptor> = found
        .open
        .iter()
        .filter(|open| holds(open))
        .cloned()
        .collect();
    // Without the number of its descriptors, nobody knows whether those of a process were all compared.
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

/// Whether it holds locks that belong to the open file, so that processes that inherit it hold them too.
fn holds(open: &OpenDescriptor) -> bool {
    let locks = open.locks.iter().map(|line| line.lock);
    let locks: Vec<LockRecord> = locks.filter(|lock| lock.kind != Kind::Classic).collect();
    !locks.is_empty() && !bytes::is_on_the_way(&locks)
}

/// Finds the descriptors of a process that share an open file with one of these; `None` if that can't be found
/// out by comparing.
fn compare_all(pid: u32, holders: &[OpenDescriptor]) -> Option<Vec<OpenDescriptor>> {
    let count = scan::descriptors_of(pid);
    if count == 0 && process::living_thread(pid) != Some(pid) {
        // Another thread shows its descriptors.
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
                    // Once for each descriptor, however many holders it is compared with.
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
    // Fewer were met than there are: one has an unusual number.
    (seen >= count).then_some(found)
}

/// Returns the usual numbers of this many descriptors. To list the real numbers takes the kernel as long as to
/// try these.
fn likely_numbers(count: u64) -> impl Iterator<Item = i32> {
    const HOLES: i32 = 4;
    // Shells keep their own from 10 upwards, or from 255 downwards, and their children may inherit some.
    const UPWARDS: i32 = 12;
    let low = i32::try_from(count).unwrap_or(0).saturating_add(HOLES);
    let low = low.max(UPWARDS);
    let downwards = (240..256).rev().filter(move |&number| number >= low);
    (0..low).chain(downwards)
}
