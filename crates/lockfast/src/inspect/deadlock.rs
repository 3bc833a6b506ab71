//! Deadlocks: circles in the wait-for graph of processes.
//!
//! A process can go on unless one of its waits never ends. A wait for a lock never ends if a lock in the way
//! is held only by processes that can't go on. A wait for a permit never ends if that is so for all permits,
//! and a wait for a child if the child can't go on. So the processes that can go on are found first, then
//! those that wait only for them, and so forth. Each process of the rest waits for others of the rest: the
//! circles are among them. An unknown holder counts as one that can go on.

mod waits;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;

use self::waits::WaitEdge;
use super::snapshot::{FileKey, Snapshot};
use super::view::{LockedFile, Process};

/// A circle of processes that wait for each other, certainly or possibly.
///
/// Its text is one line that says what each process waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadlock {
    /// The processes. Each waits for the next one, and the last for the first.
    pub steps: Vec<DeadlockStep>,
    /// Whether it certainly is a deadlock. It may not be one, or end by itself, if a process in it has other
    /// threads, which may release what others wait for; if a wait may have a time limit (the process has a
    /// timer, handles SIGALRM, or may not be looked into); or if it can't be seen whether a process waits for
    /// its child.
    pub is_certain: bool,
}

/// A process in a [`Deadlock`], and the lock that it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadlockStep {
    /// The process that waits.
    pub process: Process,
    /// The file whose lock it waits for, which the next process holds; `None` if it waits until the next
    /// process, its child, ends, or until that one writes to a pipe.
    pub file: Option<LockedFile>,
}

/// Finds the circles, each process in one of them at most. The certain ones come first.
pub(super) fn find(snapshot: &Snapshot) -> Vec<Deadlock> {
    let all = waits::all(snapshot);
    let mut named = HashSet::new();
    let mut deadlocks = Vec::new();
    for (waits, is_certain) in [(&waits::certain(&all), true), (&all, false)] {
        for circle in circles(waits, &mut named) {
            deadlocks.extend(deadlock(&circle, is_certain, snapshot));
        }
    }
    deadlocks
}

/// Finds the circles of these waits whose processes were not named before.
fn circles(
    waits: &BTreeMap<u32, Vec<WaitEdge>>,
    named: &mut HashSet<u32>,
) -> Vec<Vec<(u32, Option<FileKey>)>> {
    let mut stuck: BTreeSet<u32> = waits.keys().copied().collect();
    // Each round finds processes that can go on, after which others can, too. It ends when nobody is found.
    loop {
        let go_on: Vec<u32> = stuck
            .iter()
            .filter(|pid| !waits[pid].iter().any(|wait| wait.is_endless(&stuck)))
            .copied()
            .collect();
        if go_on.is_empty() {
            break;
        }
        for pid in go_on {
            stuck.remove(&pid);
        }
    }
    // Each process that is left waits for others that are left. So there are circles among them, but not each
    // one is in a circle.
    let mut circles = Vec::new();
    // In the order of the pids, so that a circle which is seen twice begins with the same process.
    for &pid in &stuck {
        if named.contains(&pid) {
            continue;
        }
        if let Some(circle) = shortest_circle(pid, waits, &stuck) {
            // A process may be in several circles. One report of it is enough to act on.
            if circle.iter().any(|(pid, _)| named.contains(pid)) {
                continue;
            }
            named.extend(circle.iter().map(|&(pid, _)| pid));
            circles.push(circle);
        }
    }
    circles
}

/// Returns the shortest way from a process back to itself, with the file that each process waits for.
fn shortest_circle(
    start: u32,
    waits: &BTreeMap<u32, Vec<WaitEdge>>,
    stuck: &BTreeSet<u32>,
) -> Option<Vec<(u32, Option<FileKey>)>> {
    let mut from = HashMap::<u32, (u32, Option<FileKey>)>::new();
    let mut queue = VecDeque::from([start]);
    while let Some(pid) = queue.pop_front() {
        // Only processes that have waits are stuck, so each one on the way is in the map.
        for wait in waits[&pid].iter().filter(|wait| wait.is_endless(stuck)) {
            for next in wait.stuck(stuck) {
                if next == start {
                    let mut circle = vec![(pid, wait.file)];
                    let mut at = pid;
                    while at != start {
                        let (before, file) = from[&at];
                        circle.push((before, file));
                        at = before;
                    }
                    circle.reverse();
                    return Some(circle);
                }
                from.entry(next).or_insert_with(|| {
                    queue.push_back(next);
                    (pid, wait.file)
                });
            }
        }
    }
    None
}

fn deadlock(
    circle: &[(u32, Option<FileKey>)],
    is_certain: bool,
    snapshot: &Snapshot,
) -> Option<Deadlock> {
    let steps: Vec<DeadlockStep> = circle
        .iter()
        .map(|(pid, file)| {
            Some(DeadlockStep {
                process: snapshot.processes.get(pid)?.clone(),
                file: file.map(|file| snapshot.located(file)),
            })
        })
        .collect::<Option<_>>()?;
    Some(Deadlock { steps, is_certain })
}

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nexts = self.steps.iter().cycle().skip(1);
        for (step, next) in self.steps.iter().zip(nexts) {
            let is_child = next.process.parent == Some(step.process.pid);
            let next = next.process.pid;
            match &step.file {
                Some(file) => write!(f, "{} waits for {file}, held by pid {next}; ", step.process)?,
                None if is_child => {
                    write!(f, "{} waits for its child, pid {next}; ", step.process)?;
                }
                None => write!(f, "{} waits for the output of pid {next}; ", step.process)?,
            }
        }
        f.write_str(if self.is_certain {
            "none of them can go on"
        } else {
            "none of them can go on, unless a thread of theirs releases a lock or a wait has a limit"
        })
    }
}

#[cfg(test)]
mod tests;
