//! The times at which holders and waiters were first seen.

use std::collections::HashMap;
use std::time::SystemTime;

use lockfast::inspect::{Kind, LockView, State};

/// The kernel does not record when a lock was taken. A holder that was in every update since then
/// counts as having held it all the time.
#[derive(Debug, Default)]
pub(super) struct Memory {
    seen: HashMap<Who, SystemTime>,
}

/// Identity of a holder or waiter across updates.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Who {
    device: (u32, u32),
    inode: u64,
    kind: Kind,
    is_waiting: bool,
    pids: Vec<u32>,
}

/// An update in progress. On drop it replaces the previous one.
#[derive(Debug)]
pub(super) struct Look<'a> {
    before: &'a mut Memory,
    seen: HashMap<Who, SystemTime>,
    now: SystemTime,
}

impl Memory {
    /// Begins an update. Holders and waiters that it does not meet are forgotten.
    pub(super) fn look(&mut self, now: SystemTime) -> Look<'_> {
        Look {
            before: self,
            seen: HashMap::new(),
            now,
        }
    }
}

impl Look<'_> {
    pub(super) fn meet(&mut self, lock: &LockView) -> SystemTime {
        let who = Who {
            device: lock.file.device,
            inode: lock.file.inode,
            kind: lock.kind,
            is_waiting: lock.state == State::Waiting,
            pids: lock.processes.iter().map(|process| process.pid).collect(),
        };
        let first = self.before.seen.get(&who).copied().unwrap_or(self.now);
        *self.seen.entry(who).or_insert(first)
    }
}

impl Drop for Look<'_> {
    fn drop(&mut self) {
        self.before.seen = std::mem::take(&mut self.seen);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_holder_in_every_update_counts_from_the_first() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("job.lock");
        let lock = lockfast::RwLock::open(&path).expect("a lock");
        let _guard = lock.read().expect("it is free");
        let report = lockfast::inspect::path(&path).expect("a report");
        let held = &report.locks[0];
        let (mut memory, first) = (Memory::default(), SystemTime::now());
        let at = |seconds| first + Duration::from_secs(seconds);
        assert_eq!(memory.look(at(0)).meet(held), at(0));
        assert_eq!(memory.look(at(5)).meet(held), at(0));
        // One update without it.
        drop(memory.look(at(6)));
        assert_eq!(memory.look(at(7)).meet(held), at(7));
    }
}
