//! What a client uses of an engine, chosen by the URL.

use std::path::PathBuf;

use lockfast::engine::{Engine, Files};
use lockfast::{HoldState, Lock, LockGuard, Result, RwLock, Semaphore, SemaphorePermit};
use lockfast::{RwLockReadGuard, RwLockWriteGuard};

/// Opens locks of an engine.
pub(crate) trait Place: Send + Sync + 'static {
    type Engine: Engine;

    fn lock(&self, name: &str) -> Result<Lock<Self::Engine>>;
    fn rwlock(&self, name: &str) -> Result<RwLock<Self::Engine>>;
    fn semaphore(&self, name: &str, permits: u32) -> Result<Semaphore<Self::Engine>>;
}

/// The files of a directory.
#[derive(Debug)]
pub(crate) struct Directory(pub(crate) PathBuf);

impl Place for Directory {
    type Engine = Files;

    fn lock(&self, name: &str) -> Result<Lock> {
        let options = Lock::options().owner_record(true);
        options.open(self.0.join(name))
    }

    fn rwlock(&self, name: &str) -> Result<RwLock> {
        RwLock::open(self.0.join(name))
    }

    fn semaphore(&self, name: &str, permits: u32) -> Result<Semaphore> {
        Semaphore::open(self.0.join(name), permits)
    }
}

/// A guard of any kind.
pub(crate) trait Held {
    fn token(&self) -> Option<u64>;
    fn state(&self) -> HoldState;
    fn release(self) -> Result<()>;
}

macro_rules! held {
    ($($guard:ident),*) => {
        $(impl<E: Engine> Held for $guard<E> {
            fn token(&self) -> Option<u64> {
                self.token()
            }

            fn state(&self) -> HoldState {
                self.state()
            }

            fn release(self) -> Result<()> {
                self.release()
            }
        })*
    };
}

held!(
    LockGuard,
    RwLockReadGuard,
    RwLockWriteGuard,
    SemaphorePermit
);
