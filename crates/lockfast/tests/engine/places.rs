//! Where the suite opens its locks: a directory, or a space of names in memory.

use lockfast::engine::Files;
use lockfast::{Lock, RwLock, Semaphore};
use lockfast_conformance::Place;
use tempfile::TempDir;

use crate::memory::{Memory, Space};

pub(crate) struct Directory(TempDir);

impl Directory {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }
}

impl Place for Directory {
    type Engine = Files;

    fn lock(&self, name: &str) -> Lock {
        let options = Lock::options().owner_record(true);
        options.open(self.0.path().join(name)).expect("opened")
    }

    fn rwlock(&self, name: &str) -> RwLock {
        RwLock::open(self.0.path().join(name)).expect("opened")
    }

    fn semaphore(&self, name: &str, permits: u32) -> Semaphore {
        Semaphore::open(self.0.path().join(name), permits).expect("opened")
    }
}

impl Place for Space {
    type Engine = Memory;

    fn lock(&self, name: &str) -> Lock<Memory> {
        Lock::from_raw(self.open(name, 0).into())
    }

    fn rwlock(&self, name: &str) -> RwLock<Memory> {
        RwLock::from_raw(self.open(name, 0).into())
    }

    fn semaphore(&self, name: &str, permits: u32) -> Semaphore<Memory> {
        Semaphore::from_raw(self.open(name, permits).into())
    }

    fn waiters(&self, name: &str) -> Option<usize> {
        Some(self.open(name, 0).waiters())
    }

    fn take_away(&self, name: &str) -> bool {
        self.break_lock(name);
        true
    }
}
