use super::*;
use crate::inspect::snapshot::{Description, FamilyWait, LockRecord, Request};
use crate::inspect::view::Kind;
use crate::protocol::permits;
use crate::protocol::plan::Part;
use crate::sys::Range;

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

fn lock(exclusive: bool) -> LockRecord {
    let (kind, range) = (Kind::Flock, Range { start: 0, len: 0 });
    LockRecord {
        kind,
        exclusive,
        range,
    }
}

fn ofd(exclusive: bool, range: Range) -> LockRecord {
    LockRecord {
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
            own_pid: pid,
            is_stopped: false,
            acts_as_one: threads == 1,
        });
    }

    fn held(mut self, inode: u64, owners: &[u32], locks: &[LockRecord]) -> Self {
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

    fn waits(mut self, pid: u32, inode: u64, lock: LockRecord) -> Self {
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

const ALONE: LockRecord = LockRecord {
    kind: Kind::Flock,
    exclusive: true,
    range: Range { start: 0, len: 0 },
};

#[test]
fn three_processes_wait_for_each_other_and_a_fourth_for_them() {
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
    // That 5 waits does not mean that it waits for ever: 6 can release what it waits for.
    let helped = Scene(scene.0.clone())
        .held(30, &[1, 6], &[ALONE])
        .waits(5, 30, ALONE);
    assert!(helped.circles().is_empty());
    let scene = scene.waits(5, 20, ALONE);
    assert_eq!(scene.circles().len(), 1);
}

#[test]
fn a_holder_that_is_not_known_goes_on() {
    let scene = |holder: &[u32]| {
        Scene::default()
            .held(10, &[1], &[ALONE])
            .held(20, &[2, 3], &[ALONE])
            .held(30, holder, &[ALONE])
            .waits(1, 20, ALONE)
            .waits(2, 10, ALONE)
            .waits(3, 30, ALONE)
    };
    assert_eq!(scene(&[1]).circles().len(), 1);
    assert!(scene(&[]).circles().is_empty());
}

#[test]
fn all_readers_must_leave_before_a_writer() {
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
fn a_holder_that_converts_its_lock_is_not_in_its_own_way() {
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
    // The record locks of a process never stand in its own way.
    let kind = Kind::Classic;
    let classic = LockRecord { kind, ..ALONE };
    let converts = Scene::default()
        .held(10, &[1], &[classic])
        .waits(1, 10, classic);
    assert!(converts.circles().is_empty());
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
    assert!(found.to_string().contains("unless a thread"));
}

/// A wait with a limit, and a process that may or may not wait for its child.
#[test]
fn a_circle_that_may_end_by_itself_is_possible() {
    let scene = || {
        Scene::default()
            .held(10, &[1], &[ALONE])
            .held(20, &[2], &[ALONE])
            .waits(1, 20, ALONE)
            .waits(2, 10, ALONE)
    };
    assert!(find(&scene().0)[0].is_certain);
    let mut limited = scene();
    limited.0.may_give_up.insert(2);
    let found = find(&limited.0);
    assert_eq!((found.len(), found[0].is_certain), (1, false));

    let mut parent = Scene::default()
        .held(10, &[1], &[ALONE])
        .waits(11, 10, ALONE);
    for (is_certain, others) in [(true, vec![11]), (false, vec![11]), (true, vec![11, 12])] {
        parent.0.families = vec![FamilyWait {
            parent: 1,
            others: others.clone(),
            is_certain,
        }];
        let found = find(&parent.0);
        // One that goes on may write to the pipe.
        assert_eq!(found.len(), usize::from(others.len() == 1), "{others:?}");
        assert!(found.iter().all(|found| found.is_certain == is_certain));
    }
}

#[test]
fn a_permit_comes_back_when_one_holder_goes_on() {
    let permit = |number| ofd(true, permits::permit(number));
    let head = ofd(true, Part::Head.range(0));
    // Who leads the line has a permit already, and needs more.
    let scene = |stuck: &[u32]| {
        let scene = Scene::default()
            .held(10, &[1], &[head, permit(2)])
            .held(10, &[2], &[permit(0)])
            .held(10, &[3], &[permit(1)])
            .held(20, &[1], &[ALONE]);
        stuck
            .iter()
            .fold(scene, |scene, &pid| scene.waits(pid, 20, ALONE))
    };
    assert!(scene(&[2]).circles().is_empty());
    assert_eq!(scene(&[2, 3]).circles(), [[1, 2]]);
}

#[test]
fn a_parent_waits_for_its_child() {
    let mut scene = Scene::default()
        .held(10, &[1], &[ALONE])
        .held(20, &[2], &[ALONE])
        .waits(11, 20, ALONE)
        .waits(2, 10, ALONE);
    assert!(scene.circles().is_empty());
    scene.0.families.push(FamilyWait {
        parent: 1,
        others: vec![11],
        is_certain: true,
    });
    assert_eq!(scene.circles(), [[1, 11, 2]]);
    assert!(find(&scene.0)[0].is_certain);
    let child = scene.0.processes.get_mut(&11).expect("it was added");
    child.parent = Some(1);
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
    let shared = Scene::default()
        .held(10, &[1], &[lock(false)])
        .held(20, &[2], &[ALONE])
        .waits(1, 20, ALONE)
        .waits(2, 10, lock(false));
    assert!(shared.circles().is_empty());
    for (lock, deadlock) in [(high, false), (ALONE, false), (low, true)] {
        let scene = Scene(scene.0.clone()).waits(2, 10, lock);
        assert_eq!(!scene.circles().is_empty(), deadlock, "{lock:?}");
    }
}
