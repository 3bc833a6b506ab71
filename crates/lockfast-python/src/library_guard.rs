//! The guards of the library, as the objects of Python use them.

use std::fs::File;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use lockfast::engine::{Cause, Operation};
use lockfast::{Error, HoldState, Owner, Resource, Result};
use lockfast_space::{
    AnyHold, AnyPermits, LockGuard, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard,
    SemaphorePermit,
};

use crate::server_data::{LockKey, LockRow};

/// A future that completes when a lock is lost.
pub(crate) type Lost = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A guard of the library.
pub(crate) trait LibraryGuard: Send {
    /// The noun in a warning, before the path.
    const NOUN: &'static str = "guard of lock";
    /// Whether its holder waits for itself, if it waits for the lock again.
    const IS_OBSTACLE: bool = true;

    fn release(self) -> Result<()>;

    /// Whether the locked file is the one at the path; `None` if nothing is held.
    fn is_current(&self) -> Option<Result<bool>>;

    /// Applies the function to the locked file; `None` if nothing is held, or if it is no file.
    fn with_file<R>(&self, _function: impl FnOnce(&File) -> R) -> Option<R> {
        None
    }

    fn hand_over(&mut self) {}

    /// The number of permits.
    fn count(&self) -> u32 {
        1
    }

    fn abandoned(&self) -> Option<Owner> {
        None
    }

    /// The key of a lock on etcd.
    fn etcd_key(&self) -> Option<LockKey> {
        None
    }

    /// The row of a lock on PostgreSQL.
    fn postgres_row(&self) -> Option<LockRow> {
        None
    }

    fn token(&self) -> Option<u64>;
    fn epoch(&self) -> u64;
    fn state(&self) -> HoldState;
    fn lease_left(&self) -> Option<Duration>;
    fn check(&self) -> Result<()>;
    fn lost(&self) -> Lost;
}

/// Defines what all guards have of what the library's guards have.
macro_rules! of_lease {
    () => {
        fn token(&self) -> Option<u64> {
            self.token()
        }

        fn epoch(&self) -> u64 {
            self.epoch()
        }

        fn state(&self) -> HoldState {
            self.state()
        }

        fn lease_left(&self) -> Option<Duration> {
            self.lease_left()
        }

        fn check(&self) -> Result<()> {
            self.check()
        }

        fn lost(&self) -> Lost {
            Box::pin(self.lost())
        }
    };
}

macro_rules! library_guard {
    ($guard:ident $(, $record:ident)?) => {
        impl LibraryGuard for $guard {
            fn release(self) -> Result<()> {
                self.release()
            }

            fn is_current(&self) -> Option<Result<bool>> {
                Some(match self.as_raw() {
                    AnyHold::File(hold) => hold.is_current(),
                    _ => Err(no_file(self.resource())),
                })
            }

            fn with_file<R>(&self, function: impl FnOnce(&File) -> R) -> Option<R> {
                match self.as_raw() {
                    AnyHold::File(hold) => Some(function(hold.file())),
                    _ => None,
                }
            }

            fn hand_over(&mut self) {
                self.hand_over();
            }

            #[cfg(feature = "etcd")]
            fn etcd_key(&self) -> Option<LockKey> {
                let key = lockfast_space::OnEtcd::etcd_key(self)?;
                Some(LockKey {
                    comparison: key.comparison(),
                    key: key.key,
                    create_revision: key.create_revision,
                })
            }

            #[cfg(feature = "postgres")]
            fn postgres_row(&self) -> Option<LockRow> {
                let row = lockfast_space::OnPostgres::postgres_row(self)?;
                Some(LockRow {
                    key: row.key,
                    fence: row.fence,
                })
            }

            of_lease!();
            $(library_guard!(@$record);)?
        }
    };
    (@record) => {
        fn abandoned(&self) -> Option<Owner> {
            match self.as_raw() {
                AnyHold::File(hold) => hold.abandoned().cloned(),
                _ => None,
            }
        }
    };
}

library_guard!(LockGuard, record);
library_guard!(RwLockReadGuard);
library_guard!(RwLockUpgradableReadGuard);
library_guard!(RwLockWriteGuard, record);

impl LibraryGuard for SemaphorePermit {
    const NOUN: &'static str = "permit of";
    const IS_OBSTACLE: bool = false;

    fn release(self) -> Result<()> {
        self.release()
    }

    fn is_current(&self) -> Option<Result<bool>> {
        Some(match self.as_raw() {
            AnyPermits::File(permits) => permits.is_current(),
            _ => Err(no_file(self.resource())),
        })
    }

    fn count(&self) -> u32 {
        self.count()
    }

    of_lease!();
}

fn no_file(resource: Resource) -> Error {
    let why = "it is no file, but a name on a server: check() fails unless it is still held";
    Error::new(resource, Operation::Check, Cause::Unsupported(why, None))
}
