//! The part of an engine that a client uses, chosen by the URL.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use lockfast::engine::{Engine, Files};
use lockfast::{HoldState, Lock, LockGuard, Result, RwLock, Semaphore, SemaphorePermit};
use lockfast::{RwLockReadGuard, RwLockWriteGuard};
use lockfast_etcd::Etcd;
use lockfast_postgres::Postgres;

/// Opens locks of an engine.
pub(crate) trait Place: Send + Sync + 'static {
    type Engine: Engine;

    fn lock(&self, name: &str) -> Lock<Self::Engine>;
    fn rwlock(&self, name: &str) -> RwLock<Self::Engine>;
    fn semaphore(&self, name: &str, permits: u32) -> Semaphore<Self::Engine>;
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

    fn semaphore(&self, name: &str, permits: u32) -> Semaphore {
        Semaphore::open(self.0.join(name), permits).expect("opened")
    }
}

/// Opens what a client needs, although servers may be down at the moment.
fn persistently<R>(mut open: impl FnMut() -> Result<R>) -> R {
    let begin = Instant::now();
    loop {
        match open() {
            Ok(opened) => return opened,
            Err(error) if begin.elapsed() > LONG => panic!("{error}"),
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// The time that a client tries to open a lock.
const LONG: Duration = Duration::from_secs(60);

/// Defines a place on servers.
macro_rules! on_servers {
    ($place:ident, $engine:ty, $client:ty) => {
        /// A client of servers.
        pub(crate) struct $place($client);

        impl $place {
            pub(crate) fn open(url: &str) -> Self {
                Self(persistently(|| <$client>::open(url)))
            }
        }

        impl Place for $place {
            type Engine = $engine;

            fn lock(&self, name: &str) -> Lock<$engine> {
                Lock::from_raw(persistently(|| self.0.lock(name)))
            }

            fn rwlock(&self, name: &str) -> RwLock<$engine> {
                RwLock::from_raw(persistently(|| self.0.lock(name)))
            }

            fn semaphore(&self, name: &str, permits: u32) -> Semaphore<$engine> {
                let raw = persistently(|| self.0.semaphore(name, permits));
                Semaphore::from_raw(raw)
            }
        }
    };
}

on_servers!(OnEtcd, Etcd, lockfast_etcd::Client);
on_servers!(OnPostgres, Postgres, lockfast_postgres::Client);

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
