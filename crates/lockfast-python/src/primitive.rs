//! The primitives of the library: how they are opened, and the ways to take them.
//!
//! They are over the engine of a space, which is one of several. A lock at a path is one of the engine of files.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lockfast::binding_support::{self, AnyHandle};
use lockfast::engine::{self, Mode, RawLock};
use lockfast::{Resource, Result};
use lockfast_space::{
    AnyLock, AnySemaphore, Lock, LockGuard, RwLock, RwLockReadGuard, RwLockUpgradableReadGuard,
    RwLockWriteGuard, Semaphore, SemaphorePermit,
};
use pyo3::prelude::*;

use crate::holding::Keeper;
use crate::library_guard::LibraryGuard;
use crate::options::{self, OptionKwargs};

/// The way a handle was opened, so that a copy in another process is opened in the same way.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    Path(PathBuf),
    Name {
        name: String,
        scope: String,
    },
    File,
    /// In a space, with its URL as the program gave it.
    Space {
        url: Arc<str>,
        name: String,
    },
}

/// A primitive of the library.
pub(crate) trait Primitive: Clone + Send + Sync + Sized + 'static {
    /// The counterpart in the engine of files.
    type OfFile;

    fn open(
        origin: &Origin,
        options: &OptionKwargs,
        permits: Option<u32>,
    ) -> PyResult<Result<Self>>;
    fn of_file(lock: Self::OfFile) -> Self;
    fn resource(&self) -> Resource;
    /// The system that keeps the lock; the URL is that of its space.
    fn keeper(&self, url: &Arc<str>) -> Keeper;
}

macro_rules! primitive {
    ($primitive:ident, $raw:ident, |$permits:ident| ($($argument:expr)?)) => {
        impl Primitive for $primitive {
            type OfFile = lockfast::$primitive;

            fn open(
                origin: &Origin,
                options: &OptionKwargs,
                $permits: Option<u32>,
            ) -> PyResult<Result<Self>> {
                let options = options.apply(lockfast::$primitive::options());
                let opened = match origin {
                    Origin::Path(path) => options.open(path $(, $argument)?),
                    Origin::Name { name, scope } => {
                        let options = options.scope(options::scope(scope)?);
                        options.open_named(name $(, $argument)?)
                    }
                    Origin::File | Origin::Space { .. } => {
                        unreachable!("a file and a name in a space are opened before")
                    }
                };
                Ok(opened.map(Self::of_file))
            }

            fn of_file(lock: lockfast::$primitive) -> Self {
                Self::from_raw($raw::File(lock.into_raw()))
            }

            fn resource(&self) -> Resource {
                self.resource()
            }

            fn keeper(&self, url: &Arc<str>) -> Keeper {
                match self.clone().into_raw() {
                    $raw::File(raw) => {
                        if lockfast::$primitive::from_raw(raw).answers_at_once() {
                            Keeper::Kernel
                        } else {
                            Keeper::FileServer
                        }
                    }
                    _ => Keeper::Server(Arc::clone(url)),
                }
            }
        }
    };
}

primitive!(Lock, AnyLock, |_permits| ());
primitive!(RwLock, AnyLock, |_permits| ());
primitive!(Semaphore, AnySemaphore, |permits| (permits
    .unwrap_or_default()));

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
        limit: engine::WaitLimit,
    ) -> impl Future<Output = Result<Self::Guard>> + Send;
}

macro_rules! way {
    (
        $(#[$docs:meta])*
        $way:ident: $primitive:ident -> $guard:ident, $attempt:ident, $within:ident, $mode:expr
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

            async fn as_task(
                self,
                lock: $primitive,
                limit: engine::WaitLimit,
            ) -> Result<Self::Guard> {
                let hold = lock.into_raw().acquire_async($mode, limit).await?;
                Ok($guard::from_raw(hold))
            }
        }
    };
}

way!(
    /// An exclusive lock.
    Exclusive: Lock -> LockGuard, try_lock, try_lock_for, Mode::Exclusive
);
way!(
    /// A reader.
    Read: RwLock -> RwLockReadGuard, try_read, try_read_for, Mode::Read
);
way!(
    /// A reader that can become the writer.
    UpgradableRead: RwLock -> RwLockUpgradableReadGuard,
    try_upgradable_read, try_upgradable_read_for, Mode::Upgradable
);
way!(
    /// A writer.
    Write: RwLock -> RwLockWriteGuard, try_write, try_write_for, Mode::Write
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

    fn as_task(
        self,
        semaphore: Semaphore,
        limit: engine::WaitLimit,
    ) -> impl Future<Output = Result<Self::Guard>> + Send {
        binding_support::acquire_many(semaphore, self.0, limit)
    }
}
