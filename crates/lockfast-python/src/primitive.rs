//! The primitives of the library: how they are opened, and the ways to take them.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lockfast::binding_support::AnyHandle;
use lockfast::{
    Lock, LockGuard, Result, RwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard,
    Semaphore, SemaphorePermit,
};
use pyo3::prelude::*;

use crate::library_guard::LibraryGuard;
use crate::options::{self, OptionKwargs};

/// The way a handle was opened, so that a copy in another process is opened in the same way.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    Path(PathBuf),
    Name { name: String, scope: String },
    File,
}

/// A primitive of the library.
pub(crate) trait Primitive: AnyHandle + Clone + Send + Sync + Sized + 'static {
    fn open(
        origin: &Origin,
        options: &OptionKwargs,
        permits: Option<u32>,
    ) -> PyResult<Result<Self>>;
    fn path(&self) -> &Path;
}

macro_rules! primitive {
    ($primitive:ident, |$permits:ident| ($($argument:expr)?)) => {
        impl Primitive for $primitive {
            fn open(
                origin: &Origin,
                options: &OptionKwargs,
                $permits: Option<u32>,
            ) -> PyResult<Result<Self>> {
                let options = options.apply(Self::options());
                Ok(match origin {
                    Origin::Path(path) => options.open(path $(, $argument)?),
                    Origin::Name { name, scope } => {
                        let options = options.scope(options::scope(scope)?);
                        options.open_named(name $(, $argument)?)
                    }
                    Origin::File => unreachable!("a file is taken, not opened"),
                })
            }

            fn path(&self) -> &Path {
                self.path()
            }
        }
    };
}

primitive!(Lock, |_permits| ());
primitive!(RwLock, |_permits| ());
primitive!(Semaphore, |permits| (permits.unwrap_or_default()));

/// A way to take a primitive: by one attempt, for a while, or as a task.
pub(crate) trait Way: Copy + Send + Sync + 'static {
    type Primitive: Primitive;
    type Guard: LibraryGuard + 'static;
    /// Whether a holder that waited for the primitive in this way would wait for itself.
    const EXCLUDES_ITSELF: bool = true;

    fn attempt(self, primitive: &Self::Primitive) -> Result<Self::Guard>;
    fn within(self, primitive: &Self::Primitive, moment: Duration) -> Result<Self::Guard>;
    fn as_task(
        self,
        primitive: Self::Primitive,
    ) -> impl Future<Output = Result<Self::Guard>> + Send;
}

macro_rules! way {
    (
        $(#[$docs:meta])*
        $way:ident: $primitive:ident -> $guard:ident,
        $attempt:ident, $within:ident, $as_task:ident
    ) => {
        $(#[$docs])*
        #[derive(Clone, Copy)]
        pub(crate) struct $way;

        impl Way for $way {
            type Primitive = $primitive;
            type Guard = $guard;

            fn attempt(self, lock: &$primitive) -> Result<Self::Guard> {
                lock.$attempt()
            }

            fn within(self, lock: &$primitive, moment: Duration) -> Result<Self::Guard> {
                lock.$within(moment)
            }

            fn as_task(
                self,
                lock: $primitive,
            ) -> impl Future<Output = Result<Self::Guard>> + Send {
                lock.$as_task()
            }
        }
    };
}

way!(
    /// An exclusive lock.
    Exclusive: Lock -> LockGuard, try_lock, try_lock_for, lock_async
);
way!(
    /// A reader.
    Read: RwLock -> RwLockReadGuard, try_read, try_read_for, read_async
);
way!(
    /// A reader that can become the writer.
    UpgradableRead: RwLock -> RwLockUpgradableReadGuard,
    try_upgradable_read, try_upgradable_read_for, upgradable_read_async
);
way!(
    /// A writer.
    Write: RwLock -> RwLockWriteGuard, try_write, try_write_for, write_async
);

/// A number of permits.
#[derive(Clone, Copy)]
pub(crate) struct Permits(pub(crate) u32);

impl Way for Permits {
    type Primitive = Semaphore;
    type Guard = SemaphorePermit;
    // A holder of permits may well wait for more.
    const EXCLUDES_ITSELF: bool = false;

    fn attempt(self, semaphore: &Semaphore) -> Result<Self::Guard> {
        semaphore.try_acquire_many(self.0)
    }

    fn within(self, semaphore: &Semaphore, moment: Duration) -> Result<Self::Guard> {
        semaphore.try_acquire_many_for(self.0, moment)
    }

    fn as_task(self, semaphore: Semaphore) -> impl Future<Output = Result<Self::Guard>> + Send {
        semaphore.acquire_many_async(self.0)
    }
}
