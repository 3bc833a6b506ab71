//! Locks on systems without a table of locks: views made of the processes that have a file open and the
//! bytes that somebody has locked exclusively.

use std::collections::HashMap;

use super::snapshot::{FileKey, Observation, Snapshot, TakenBytes};
use super::view::{Kind, LockMode, LockView, LockedFile, Opener, Role, State};
use crate::file::owner::Owner;
use crate::protocol::permits;
use crate::protocol::plan::Part;

/// Returns the locks that show, and the processes that have one of the files open and are not known to be
/// holders.
///
/// If only one process has a file open, the locks are its own. If several have, an owner record can name the
/// holder.
pub(super) fn views(
    snapshot: &Snapshot,
    records: &HashMap<FileKey, Owner>,
) -> (Vec<LockView>, Vec<Opener>) {
    let (mut locks, mut openers) = (Vec::new(), Vec::new());
    for (key, opened) in &snapshot.opened {
        let file = snapshot.located(*key);
        // A record outlives its writer, and its writer may have closed the file: then it names nobody.
        let record = records.get(key).filter(|owner| {
            opened.openers.contains(&owner.pid()) && owner.is_running() == Some(true)
        });
        let holder = match (record, &opened.openers[..]) {
            (_, &[only]) => Some(only),
            (Some(owner), _) => Some(owner.pid()),
            _ => None,
        };
        let mut named = None;
        for mut lock in seen(&opened.taken, &file) {
            let is_only = opened.openers.len() == 1;
            // An owner record names exclusive holders only. A lock that looks shared is named only if one
            // process alone has the file open.
            if lock.state == State::Holding && (is_only || lock.mode == LockMode::Exclusive) {
                named = holder;
                let process = holder.and_then(|pid| snapshot.processes.get(&pid));
                lock.processes.extend(process.cloned());
                if let Some(owner) = record {
                    lock.add_record(owner);
                }
            }
            locks.push(lock);
        }
        openers.extend(others(opened, named, snapshot, &file));
    }
    (locks, openers)
}

/// Whether the file may have an owner record: somebody holds it exclusively.
pub(super) fn may_have_record(opened: &Observation) -> bool {
    opened.taken.first
}

fn others<'s>(
    opened: &'s Observation,
    named: Option<u32>,
    snapshot: &'s Snapshot,
    file: &'s LockedFile,
) -> impl Iterator<Item = Opener> + 's {
    let others = opened
        .openers
        .iter()
        .filter(move |&&pid| named != Some(pid));
    others.filter_map(|pid| {
        Some(Opener {
            file: file.clone(),
            process: snapshot.processes.get(pid)?.clone(),
        })
    })
}

/// Returns the locks that the bytes show. The first waiter, or a program that has byte 0 alone, looks like a
/// writer that has all of them, so an exclusive lock gets no role.
fn seen(taken: &TakenBytes, file: &LockedFile) -> Vec<LockView> {
    let view = |state, mode, role, range: (u64, u64)| LockView {
        file: file.clone(),
        kind: Kind::LockFile,
        mode,
        role,
        state,
        permits: None,
        range: (range.0, Some(range.1)),
        processes: Vec::new(),
        since: None,
        label: None,
        is_record_unread: false,
    };
    // Permit 0 alone does not make it a semaphore: it is byte 0, which other programs lock too.
    let has_permits = !taken.inner && taken.permits.iter().any(|&number| number > 0);
    let mut views = Vec::new();
    if has_permits {
        views.extend(taken.permits.iter().map(|&number| {
            let at = permits::permit(number).start;
            view(
                State::Holding,
                LockMode::Exclusive,
                Some(Role::Permit),
                (at, at),
            )
        }));
    } else if taken.first {
        views.push(view(State::Holding, LockMode::Exclusive, None, (0, 0)));
    } else if taken.inner || taken.gate || taken.upgrade {
        // An upgradable reader, or a writer that waits until the readers leave.
        views.push(view(State::Holding, LockMode::Shared, None, (0, 0)));
    }
    if taken.head && !taken.inner {
        let at = Part::Head.range(0).start;
        views.push(view(
            State::Waiting,
            LockMode::Exclusive,
            Some(Role::Permit),
            (at, at),
        ));
    }
    views
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::SystemTime;

    use super::*;
    use crate::inspect::snapshot::{Content, Place};
    use crate::inspect::view::Process;

    const KEY: FileKey = FileKey {
        major: 0,
        minor: 1,
        inode: 2,
    };

    fn process(pid: u32) -> Process {
        Process {
            pid,
            parent: None,
            user: None,
            name: "program".to_owned(),
            command: Vec::new(),
            started: Some(SystemTime::now()),
            threads: 1,
            own_pid: pid,
            is_stopped: false,
            acts_as_one: false,
        }
    }

    fn snapshot(taken: TakenBytes, openers: &[u32]) -> Snapshot {
        let openers = openers.to_vec();
        let processes = openers.iter().map(|&pid| (pid, process(pid))).collect();
        let place = Place {
            path: Some(PathBuf::from("a.lock")),
            deleted: false,
            content: Content::At(PathBuf::from("a.lock")),
        };
        Snapshot {
            opened: HashMap::from([(KEY, Observation { taken, openers })]),
            places: HashMap::from([(KEY, place)]),
            processes,
            ..Snapshot::default()
        }
    }

    fn writer() -> TakenBytes {
        TakenBytes {
            first: true,
            inner: true,
            gate: true,
            upgrade: true,
            head: true,
            permits: Vec::new(),
        }
    }

    fn pids(locks: &[LockView]) -> Vec<u32> {
        let processes = locks.iter().flat_map(|lock| &lock.processes);
        processes.map(|process| process.pid).collect()
    }

    #[test]
    fn the_only_process_that_has_the_file_open_is_the_holder() {
        let (locks, openers) = views(&snapshot(writer(), &[7]), &HashMap::new());
        assert_eq!(locks.len(), 1);
        assert_eq!(
            (locks[0].mode, locks[0].state),
            (LockMode::Exclusive, State::Holding)
        );
        assert_eq!(pids(&locks), [7]);
        assert!(openers.is_empty());
    }

    #[test]
    fn without_a_record_none_of_several_processes_is_named() {
        let (locks, openers) = views(&snapshot(writer(), &[7, 8]), &HashMap::new());
        assert_eq!((locks.len(), pids(&locks)), (1, Vec::new()));
        assert_eq!(openers.len(), 2);
    }

    #[test]
    fn lines_that_are_not_locks_are_skipped() {
        let (locks, openers) = views(&snapshot(TakenBytes::default(), &[7]), &HashMap::new());
        assert!(locks.is_empty());
        assert_eq!(openers[0].process.pid, 7);
        assert_eq!(openers[0].file.path, Some(PathBuf::from("a.lock")));
    }

    #[test]
    fn the_upgrade_byte_shows_that_somebody_reads() {
        let upgrade = TakenBytes {
            upgrade: true,
            ..TakenBytes::default()
        };
        let (locks, _) = views(&snapshot(upgrade, &[7, 8]), &HashMap::new());
        assert_eq!(
            (locks[0].mode, locks[0].state),
            (LockMode::Shared, State::Holding)
        );
    }

    #[test]
    fn each_permit_is_a_lock_and_the_head_of_the_queue_waits() {
        let taken = TakenBytes {
            first: true,
            head: true,
            permits: vec![0, 3],
            ..TakenBytes::default()
        };
        let (locks, _) = views(&snapshot(taken, &[7, 8]), &HashMap::new());
        let states: Vec<_> = locks.iter().map(|lock| lock.state).collect();
        assert_eq!(states, [State::Holding, State::Holding, State::Waiting]);
        assert!(locks.iter().all(|lock| lock.role == Some(Role::Permit)));
        assert_eq!(locks[1].range, (6, Some(6)));
    }

    #[test]
    fn the_first_byte_alone_is_a_lock_of_anybody() {
        let taken = TakenBytes {
            first: true,
            permits: vec![0],
            ..TakenBytes::default()
        };
        let (locks, _) = views(&snapshot(taken, &[7]), &HashMap::new());
        assert_eq!((locks.len(), locks[0].role), (1, None));
        assert_eq!(pids(&locks), [7]);
    }
}
