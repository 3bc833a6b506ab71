//! What a client uses of an engine, chosen by the URL.

use std::path::PathBuf;

use lockfast::engine::{Engine, Files};
use lockfast::{HoldState, Lock, LockGuard, Result, RwLock, Semaphore, SemaphorePermit};
use lockfast::{RwLockReadGuard, RwLockWriteGuard};

/// Opens locks of an engine.
pub(crate) trait Place: Send + Sync + 'static {
    type Engine: Engine;

    fn lock(&self, name: &str) -> Lock<Self::Engine>;
    fn rwlock(&self, name: &str) -> RwLock<Self::Engine>;
    /// `None` if the engine has no semaphores.
    fn semaphore(&self, name: &str, permits: u32) -> Option<Semaphore<Self::Engine>>;
}

/// The files of a directory.
#[derive(Debug)]
pub(crate) struct Directory(pub(crate) PathBuf);

impl Place for Directory {
    type Engine = Files;

    fn lock(&self, name: &str) -> Lock {
        let options = Lock::options().owner_record(true);
        options.open(self.0.join(name)).expect("opened")
    }

    fn rwlock(&self, name: &str) -> RwLock {
        RwLock::open(self.0.join(name)).expect("opened")
    }

    fn semaphore(&self, name: &str, permits: u32) -> Option<Semaphore> {
        Some(Semaphore::open(self.0.join(name), permits).expect("opened"))
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
