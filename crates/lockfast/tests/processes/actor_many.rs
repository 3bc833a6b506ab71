//! An actor with very many locks.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use lockfast::{Lock, LockGuard, RwLock, RwLockReadGuard};
use lockfast_testing::Answer;
use nix::sys::resource::{Resource, setrlimit};

/// Locks, some of them held.
#[derive(Default)]
pub(crate) struct Many {
    locks: Vec<Lock>,
    guards: Vec<LockGuard>,
    rwlocks: Vec<RwLock>,
    readers: Vec<RwLockReadGuard>,
}

impl Many {
    /// Opens a lock for each number below the count, under that limit of descriptors, and holds the first
    /// ones; tells how many descriptors are open in the end.
    pub(crate) fn open(
        &mut self,
        kind: &str,
        directory: &Path,
        [count, limit, held]: [usize; 3],
    ) -> Answer {
        // The number has 32 bits on some processors.
        let limit = limit.try_into()?;
        setrlimit(Resource::RLIMIT_NOFILE, limit, limit)?;
        let path = |number: usize| directory.join(number.to_string());
        if kind == "rwlock" {
            for number in 0..count {
                self.rwlocks.push(RwLock::open(path(number))?);
            }
            for lock in &self.rwlocks[..held] {
                self.readers.push(lock.read()?);
            }
            for lock in self.rwlocks[held..].iter().chain(&self.rwlocks[held..]) {
                drop(lock.write()?);
                drop(lock.read()?);
            }
        } else {
            let mut options = Lock::options();
            if kind == "lingering" {
                options = options.linger(Duration::from_secs(3600));
            }
            for number in 0..count {
                self.locks.push(options.open(path(number))?);
            }
            for lock in &self.locks[..held] {
                self.guards.push(lock.lock()?);
            }
            for lock in self.locks[held..].iter().chain(&self.locks[held..]) {
                drop(lock.lock()?);
            }
        }
        let open = fs::read_dir("/proc/self/fd")?.count();
        // There is room for what the program does.
        let others = (0..limit / 4).map(|_| File::open("/dev/null"));
        drop(others.collect::<Result<Vec<_>, _>>()?);
        Ok(open.to_string())
    }
}
