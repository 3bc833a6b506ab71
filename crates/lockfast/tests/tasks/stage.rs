//! A lock file, those who hold it, and every way to wait for it as a task.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Mutex;

use lockfast::{Fairness, Lock, Member, Result, RwLock, Semaphore};
use lockfast_testing::table;
use tempfile::TempDir;

pub(crate) struct Place {
    directory: TempDir,
    /// Else a file that is locked by mistake would be closed with its handle.
    kept_open: Mutex<Vec<Box<dyn Send>>>,
}

/// A lock that somebody else holds, until dropped.
pub(crate) type Held = Box<dyn Send>;

/// A wait; what it gives is held until dropped.
pub(crate) type Waits = Pin<Box<dyn Future<Output = Result<Held>> + Send>>;

/// A way to wait for something that somebody holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Lock,
    Read,
    Write,
    Upgradable,
    Upgrade,
    Acquire,
    AcquireMany,
    /// Of two, and the first one is free.
    LockAll,
    LockInOrder,
    WriteInOrder,
    AcquireInOrder,
}

/// The holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// The handle that waits: the wait is in its queue.
    ThisHandle,
    /// Another one: the wait is the kernel's.
    AnotherHandle,
}

impl Way {
    pub(crate) const ALL: [Self; 11] = [
        Self::Lock,
        Self::Read,
        Self::Write,
        Self::Upgradable,
        Self::Upgrade,
        Self::Acquire,
        Self::AcquireMany,
        Self::LockAll,
        Self::LockInOrder,
        Self::WriteInOrder,
        Self::AcquireInOrder,
    ];

    /// Somebody who holds it, and a wait for it that was not polled yet.
    pub(crate) fn held(self, place: &Place, by: By) -> (Held, Waits) {
        match self {
            Self::Lock | Self::LockAll | Self::LockInOrder => {
                let (waits, holds) = handles(place, by, || self.lock(place));
                let held = Box::new(holds.lock().expect("it is free"));
                (held, self.of_lock(waits, place))
            }
            Self::Read | Self::Write | Self::Upgradable | Self::WriteInOrder => {
                let (waits, holds) = handles(place, by, || self.rw_lock(place));
                let held = Box::new(holds.write().expect("it is free"));
                (held, self.of_rwlock(waits))
            }
            Self::Upgrade => {
                let (waits, holds) = handles(place, by, || self.rw_lock(place));
                let held = Box::new(holds.read().expect("it is free"));
                let reader = waits.upgradable_read().expect("beside the reader");
                let waits = Box::pin(async { Ok(boxed(reader.upgrade_async().await?)) });
                (held, waits)
            }
            Self::Acquire | Self::AcquireMany | Self::AcquireInOrder => {
                let (waits, holds) = handles(place, by, || self.pool(place));
                let held = Box::new(holds.acquire_many(2).expect("they are free"));
                (held, self.of_semaphore(waits))
            }
        }
    }

    /// A wait for all of it, by a handle of its own.
    pub(crate) fn of_another(self, place: &Place) -> Waits {
        match self {
            Self::Acquire | Self::AcquireMany | Self::AcquireInOrder => {
                let pool = self.pool(place).expect("opened");
                Box::pin(async move { Ok(boxed(pool.acquire_many_async(2).await?)) })
            }
            _ => {
                let lock = self.rw_lock(place).expect("opened");
                Box::pin(async move { Ok(boxed(lock.write_async().await?)) })
            }
        }
    }

    fn of_lock(self, lock: Lock, place: &Place) -> Waits {
        if self != Self::LockAll {
            return Box::pin(async move { Ok(boxed(lock.lock_async().await?)) });
        }
        let first = Lock::open(place.first()).expect("opened");
        Box::pin(async move {
            let members = [Member::Lock(&lock), Member::Lock(&first)];
            Ok(boxed(lockfast::lock_all_async(members).await?))
        })
    }

    fn of_rwlock(self, lock: RwLock) -> Waits {
        match self {
            Self::Read => Box::pin(async move { Ok(boxed(lock.read_async().await?)) }),
            Self::Upgradable => {
                Box::pin(async move { Ok(boxed(lock.upgradable_read_async().await?)) })
            }
            _ => Box::pin(async move { Ok(boxed(lock.write_async().await?)) }),
        }
    }

    fn of_semaphore(self, pool: Semaphore) -> Waits {
        match self {
            Self::AcquireMany => {
                Box::pin(async move { Ok(boxed(pool.acquire_many_async(2).await?)) })
            }
            _ => Box::pin(async move { Ok(boxed(pool.acquire_async().await?)) }),
        }
    }

    fn fairness(self) -> Fairness {
        match self {
            Self::LockInOrder | Self::WriteInOrder | Self::AcquireInOrder => Fairness::Fifo,
            _ => Fairness::default(),
        }
    }

    fn lock(self, place: &Place) -> Result<Lock> {
        Lock::options().fairness(self.fairness()).open(place.lock())
    }

    fn rw_lock(self, place: &Place) -> Result<RwLock> {
        let options = RwLock::options().fairness(self.fairness());
        options.open(place.lock())
    }

    fn pool(self, place: &Place) -> Result<Semaphore> {
        let options = Semaphore::options().fairness(self.fairness());
        options.open(place.lock(), 2)
    }

    /// Asserts that a newcomer gets all of it at once: it has no holder and no waiter.
    #[track_caller]
    pub(crate) fn is_free(self, place: &Place) {
        let free = match self {
            Self::Acquire | Self::AcquireMany | Self::AcquireInOrder => self
                .pool(place)
                .and_then(|pool| pool.try_acquire_many(2))
                .map(drop),
            _ => self
                .rw_lock(place)
                .and_then(|lock| lock.try_write())
                .map(drop),
        };
        free.unwrap_or_else(|error| panic!("{self:?}: {error}"));
        if self == Self::LockAll {
            let first = Lock::open(place.first()).and_then(|first| first.try_lock().map(drop));
            first.unwrap_or_else(|error| panic!("{self:?}: {error}"));
        }
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
            kept_open: Mutex::default(),
        }
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.directory.path().join("b.lock")
    }

    /// The path of a lock that comes before it.
    fn first(&self) -> PathBuf {
        self.directory.path().join("a.lock")
    }

    /// How many wait in the kernel's queue for this file.
    pub(crate) fn waiters(&self) -> usize {
        let inode = fs::metadata(self.lock()).expect("it is there").ino();
        table::waiters(|number| number == inode)
    }
}

fn handles<L: Clone + Send + 'static>(
    place: &Place,
    by: By,
    open: impl Fn() -> Result<L>,
) -> (L, L) {
    let waits = open().expect("opened");
    let mut kept_open = place.kept_open.lock().expect("no panic");
    kept_open.push(Box::new(waits.clone()));
    let holds = match by {
        By::ThisHandle => waits.clone(),
        By::AnotherHandle => open().expect("opened"),
    };
    (waits, holds)
}

fn boxed(guard: impl Send + 'static) -> Held {
    Box::new(guard)
}
