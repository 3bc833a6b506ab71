//! Who waits for whom, and where that is a circle.
//!
//! A process goes on unless one of its waits is in vain. A wait for a lock is in vain when a lock in
//! the way is held only by processes that do not go on; the wait for a permit, when all permits are;
//! the wait for a child, when it does not go on. So those who go on are found first, then those who
//! wait only for them, and so forth. Of the rest each waits for others of the rest: there the
//! circles are. A holder that is not known goes on.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;

use super::snapshot::{Description, FileKey, Snapshot};
use super::{Kind, LockedFile, Process, bytes, located};

/// Processes that wait for each other in a circle.
///
/// Its text tells who waits for what in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadlock {
    /// Each waits for the next one, and the last for the first.
    pub steps: Vec<DeadlockStep>,
    /// Every process in it has one thread. If one has more, another thread of it might release what
    /// the others wait for, and then it is none.
    pub is_certain: bool,
}

/// A process in a [`Deadlock`], and what it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadlockStep {
    /// Who waits.
    pub process: Process,
    /// For which lock of the next process; `None` if it waits until that one, its child, ends.
    pub file: Option<LockedFile>,
}

/// What a process waits for.
#[derive(Debug)]
struct Wait {
    /// `None` for the end of a child.
    file: Option<FileKey>,
    /// The processes of each lock in the way: any of them can release it.
    blockers: Vec<Vec<u32>>,
    /// Is one of the locks enough?
    any: bool,
}

impl Wait {
    fn is_in_vain(&self, stuck: &BTreeSet<u32>) -> bool {
        let kept = |owners: &Vec<u32>| {
            !owners.is_empty() && owners.iter().all(|owner| stuck.contains(owner))
        };
        if self.any {
            !self.blockers.is_empty() && self.blockers.iter().all(kept)
        } else {
            self.blockers.iter().any(kept)
        }
    }

    /// Those because of whom it is in vain.
    fn stuck<'a>(&'a self, stuck: &'a BTreeSet<u32>) -> impl Iterator<Item = u32> + 'a {
        let kept = |owners: &&Vec<u32>| owners.iter().all(|owner| stuck.contains(owner));
        self.blockers.iter().filter(kept).flatten().copied()
    }
}

/// The circles, each process in one of them at most.
pub(super) fn find(snapshot: &Snapshot) -> Vec<Deadlock> {
    let waits = waits(snapshot);
    let mut stuck: BTreeSet<u32> = waits.keys().copied().collect();
    loop {
        let go_on: Vec<u32> = stuck
            .iter()
            .filter(|pid| !waits[pid].iter().any(|wait| wait.is_in_vain(&stuck)))
            .copied()
            .collect();
        if go_on.is_empty() {
            break;
        }
        for pid in go_on {
            stuck.remove(&pid);
        }
    }
    let mut named = HashSet::new();
    let mut deadlocks = Vec::new();
    for &pid in &stuck {
        if named.contains(&pid) {
            continue;
        }
        if let Some(circle) = shortest_circle(pid, &waits, &stuck) {
            if circle.iter().any(|(pid, _)| named.contains(pid)) {
                continue;
            }
            named.extend(circle.iter().map(|&(pid, _)| pid));
            deadlocks.extend(told(&circle, snapshot));
        }
    }
    deadlocks
}

fn waits(snapshot: &Snapshot) -> BTreeMap<u32, Vec<Wait>> {
    let mut on_file = HashMap::<FileKey, Vec<&Description>>::new();
    for description in &snapshot.descriptions {
        on_file
            .entry(description.file)
            .or_default()
            .push(description);
    }
    let mut waits = BTreeMap::<u32, Vec<Wait>>::new();
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
        // A description that converts its lock is not in its own way; if nobody else is, the
        // process has it open twice.
        let others = in_the_way.iter().any(|other| !other.owners.contains(&pid));
        let blockers = in_the_way
            .iter()
            .filter(|description| !others || !description.owners.contains(&pid))
            .map(|description| description.owners.clone())
            .collect();
        waits.entry(pid).or_default().push(Wait {
            file: Some(request.file),
            blockers,
            any: false,
        });
    }
    for leader in &snapshot.descriptions {
        if !bytes::leads_line(&leader.locks) {
            continue;
        }
        let permits = on_file[&leader.file].iter().copied().filter(|description| {
            !std::ptr::eq(*description, leader) && bytes::has_permits(&description.locks)
        });
        let blockers: Vec<Vec<u32>> = permits.map(|holder| holder.owners.clone()).collect();
        for &pid in &leader.owners {
            waits.entry(pid).or_default().push(Wait {
                file: Some(leader.file),
                blockers: blockers.clone(),
                any: true,
            });
        }
    }
    for &(parent, child) in &snapshot.families {
        waits.entry(parent).or_default().push(Wait {
            file: None,
            blockers: vec![vec![child]],
            any: false,
        });
    }
    // That a thread waits for another one of its process is no deadlock.
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

/// The way from a process back to itself, with what each waits for.
fn shortest_circle(
    start: u32,
    waits: &BTreeMap<u32, Vec<Wait>>,
    stuck: &BTreeSet<u32>,
) -> Option<Vec<(u32, Option<FileKey>)>> {
    let mut from = HashMap::<u32, (u32, Option<FileKey>)>::new();
    let mut queue = VecDeque::from([start]);
    while let Some(pid) = queue.pop_front() {
        for wait in waits[&pid].iter().filter(|wait| wait.is_in_vain(stuck)) {
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

fn told(circle: &[(u32, Option<FileKey>)], snapshot: &Snapshot) -> Option<Deadlock> {
    let steps: Vec<DeadlockStep> = circle
        .iter()
        .map(|(pid, file)| {
            Some(DeadlockStep {
                process: snapshot.processes.get(pid)?.clone(),
                file: file.map(|file| located(file, snapshot)),
            })
        })
        .collect::<Option<_>>()?;
    Some(Deadlock {
        is_certain: steps.iter().all(|step| step.process.acts_as_one),
        steps,
    })
}

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pids = self.steps.iter().map(|step| step.process.pid);
        for (step, next) in self.steps.iter().zip(pids.clone().cycle().skip(1)) {
            match &step.file {
                Some(file) => write!(f, "{} waits for {file}, held by pid {next}; ", step.process)?,
                None => write!(f, "{} waits for its child, pid {next}; ", step.process)?,
            }
        }
        f.write_str(if self.is_certain {
            "none of them can go on"
        } else {
            "none of them can go on, unless another of its threads releases a lock"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::snapshot::{KernelLock, Request};
    use crate::protocol::permits;
    use crate::protocol::plan::{Part, Range};

    #[derive(Default)]
    struct Scene(Snapshot);

    fn file(inode: u64) -> FileKey {
        let (major, minor) = (1, 2);
        FileKey {
            major,
            minor,
            inode,
        }
    }

    fn lock(exclusive: bool) -> KernelLock {
        let (kind, range) = (Kind::Flock, Range { start: 0, len: 0 });
        KernelLock {
            kind,
            exclusive,
            range,
        }
    }

    fn ofd(exclusive: bool, range: Range) -> KernelLock {
        KernelLock {
            kind: Kind::Ofd,
            exclusive,
            range,
        }
    }

    impl Scene {
        fn add(&mut self, pid: u32, threads: u32) {
            self.0.processes.entry(pid).or_insert_with(|| Process {
                pid,
                parent: None,
                user: None,
                name: "test".to_owned(),
                command: Vec::new(),
                started: None,
                threads,
                acts_as_one: threads == 1,
            });
        }

        fn held(mut self, inode: u64, owners: &[u32], locks: &[KernelLock]) -> Self {
            for &pid in owners {
                self.add(pid, 1);
            }
            let (owners, locks, file) = (owners.to_vec(), locks.to_vec(), file(inode));
            self.0.descriptions.push(Description {
                file,
                owners,
                locks,
            });
            self
        }

        fn waits(mut self, pid: u32, inode: u64, lock: KernelLock) -> Self {
            self.add(pid, 1);
            let (file, pid, since) = (file(inode), Some(pid), None);
            self.0.requests.push(Request {
                file,
                lock,
                pid,
                since,
            });
            self
        }

        fn circles(&self) -> Vec<Vec<u32>> {
            let pids =
                |deadlock: &Deadlock| deadlock.steps.iter().map(|step| step.process.pid).collect();
            find(&self.0).iter().map(pids).collect()
        }
    }

    const ALONE: KernelLock = KernelLock {
        kind: Kind::Flock,
        exclusive: true,
        range: Range { start: 0, len: 0 },
    };

    #[test]
    fn three_that_wait_for_each_other_and_one_that_waits_for_them() {
        let scene = Scene::default()
            .held(10, &[1], &[ALONE])
            .held(20, &[2], &[ALONE])
            .held(30, &[3], &[ALONE])
            .waits(1, 20, ALONE)
            .waits(2, 30, ALONE)
            .waits(4, 10, ALONE);
        assert!(scene.circles().is_empty());
        let scene = scene.waits(3, 10, ALONE);
        assert_eq!(scene.circles(), [[1, 2, 3]]);
        let text = find(&scene.0)[0].to_string();
        assert!(text.contains("pid 3 ([test]) waits for inode 10 of device 1:2, held by pid 1"));
        assert!(text.ends_with("none of them can go on"), "{text}");
    }

    #[test]
    fn a_lock_that_several_have_is_released_by_any_of_them() {
        let scene = Scene::default()
            .held(10, &[1, 5], &[ALONE])
            .held(20, &[2], &[ALONE])
            .waits(1, 20, ALONE)
            .waits(2, 10, ALONE);
        assert!(scene.circles().is_empty());
        let scene = scene.waits(5, 20, ALONE);
        assert_eq!(scene.circles().len(), 1);
    }

    #[test]
    fn all_who_share_must_leave_before_a_writer() {
        let shared = lock(false);
        let scene = Scene::default()
            .held(10, &[1], &[shared])
            .held(10, &[5], &[shared])
            .held(20, &[2], &[ALONE])
            .waits(1, 20, ALONE)
            .waits(2, 10, ALONE);
        // That 5 will go on does not help.
        assert_eq!(scene.circles(), [[1, 2]]);
    }

    #[test]
    fn one_that_converts_its_lock_is_not_in_its_own_way() {
        let shared = lock(false);
        let upgraders = Scene::default()
            .held(10, &[1], &[shared])
            .held(10, &[2], &[shared])
            .waits(1, 10, ALONE);
        assert!(upgraders.circles().is_empty());
        assert_eq!(upgraders.waits(2, 10, ALONE).circles(), [[1, 2]]);
        let itself = Scene::default()
            .held(10, &[1], &[ALONE])
            .waits(1, 10, ALONE);
        assert_eq!(itself.circles(), [[1]]);
    }

    #[test]
    fn threads_may_help_each_other() {
        let mut scene = Scene::default();
        scene.add(1, 2);
        let scene = scene.held(10, &[1], &[ALONE]).waits(1, 10, ALONE);
        assert!(scene.circles().is_empty());
        let scene = scene
            .held(20, &[2], &[ALONE])
            .waits(1, 20, ALONE)
            .waits(2, 10, ALONE);
        assert_eq!(scene.circles(), [[1, 2]]);
        let found = &find(&scene.0)[0];
        assert!(!found.is_certain);
        assert!(found.to_string().contains("unless another"));
    }

    #[test]
    fn a_permit_comes_back_when_one_holder_goes_on() {
        let permit = |number| ofd(true, permits::permit(number));
        let head = ofd(true, Part::Head.range(0));
        let scene = |stuck: &[u32]| {
            let scene = Scene::default()
                .held(10, &[1], &[permit(0)])
                .held(10, &[2], &[permit(1)])
                .held(10, &[3], &[head])
                .held(20, &[3], &[ALONE]);
            stuck
                .iter()
                .fold(scene, |scene, &pid| scene.waits(pid, 20, ALONE))
        };
        assert!(scene(&[1]).circles().is_empty());
        assert_eq!(scene(&[1, 2]).circles().len(), 1);
    }

    #[test]
    fn a_parent_waits_for_its_child() {
        let mut scene = Scene::default()
            .held(10, &[1], &[ALONE])
            .held(20, &[2], &[ALONE])
            .waits(11, 20, ALONE)
            .waits(2, 10, ALONE);
        assert!(scene.circles().is_empty());
        scene.0.families.insert((1, 11));
        assert_eq!(scene.circles(), [[1, 11, 2]]);
        assert!(
            find(&scene.0)[0]
                .to_string()
                .contains("waits for its child, pid 11")
        );
    }

    #[test]
    fn families_and_ranges_that_do_not_conflict_are_not_in_the_way() {
        let low = ofd(true, Range { start: 0, len: 1 });
        let high = ofd(true, Range { start: 1, len: 0 });
        let scene = Scene::default()
            .held(10, &[1], &[low])
            .held(20, &[2], &[ALONE])
            .waits(1, 20, ALONE);
        for (lock, deadlock) in [(high, false), (ALONE, false), (low, true)] {
            let scene = Scene(scene.0.clone()).waits(2, 10, lock);
            assert_eq!(!scene.circles().is_empty(), deadlock, "{lock:?}");
        }
    }
}
