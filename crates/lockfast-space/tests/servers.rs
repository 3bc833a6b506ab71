//! A space on a server of etcd or PostgreSQL.

#![cfg(all(target_os = "linux", feature = "etcd", feature = "postgres"))]

#[path = "../examples/fence_etcd.rs"]
#[allow(dead_code, reason = "its `main` is for the example")]
mod fence_etcd;
#[path = "../examples/fence_postgres.rs"]
#[allow(dead_code, reason = "its `main` is for the example")]
mod fence_postgres;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use lockfast::ErrorKind;
use lockfast_conformance::Place;
use lockfast_servers::{etcd, postgres};
use lockfast_space::{Any, Lock, OnEtcd, OnPostgres, RwLock, Semaphore, Space};
use lockfast_testing::skip;

/// Servers that run until the program ends, when the kernel stops them.
static ETCD: LazyLock<Mutex<Option<etcd::Server>>> = LazyLock::new(|| {
    let is_there = etcd::Release::Debian.find().is_ok();
    Mutex::new(is_there.then(etcd::Server::start))
});
static POSTGRES: LazyLock<Mutex<Option<postgres::Server>>> = LazyLock::new(|| {
    let options = postgres::Options::default().setting("max_connections=200");
    let is_there = postgres::Release::Debian.find().is_ok();
    Mutex::new(is_there.then(|| options.start()))
});
static PLACES: AtomicU32 = AtomicU32::new(0);

/// A space that no other test has.
struct OnServer(Space);

impl OnServer {
    fn etcd() -> Result<Self, String> {
        etcd::Release::Debian.find()?;
        let server = ETCD.lock().expect("no panic");
        let endpoint = server.as_ref().expect("it is installed").endpoint();
        Ok(Self::open(&format!("etcd://{endpoint}/space{}", number())))
    }

    fn postgres() -> Result<Self, String> {
        postgres::Release::Debian.find()?;
        let server = POSTGRES.lock().expect("no panic");
        let url = server.as_ref().expect("it is installed").url();
        Ok(Self::open(&format!("{url}?namespace=space{}", number())))
    }

    fn open(url: &str) -> Self {
        Self(Space::open(url).unwrap_or_else(|error| panic!("{error}")))
    }
}

fn number() -> u32 {
    PLACES.fetch_add(1, Ordering::Relaxed)
}

impl Place for OnServer {
    type Engine = Any;

    fn lock(&self, name: &str) -> Lock {
        self.0.lock(name).expect("opened")
    }

    fn rwlock(&self, name: &str) -> RwLock {
        self.0.rwlock(name).expect("opened")
    }

    fn semaphore(&self, name: &str, permits: u32) -> Semaphore {
        self.0.semaphore(name, permits).expect("opened")
    }

    fn rounds(&self) -> u32 {
        25
    }

    fn short(&self) -> Duration {
        Duration::from_millis(20)
    }

    fn waiters(&self, name: &str) -> Option<usize> {
        let entry = self.0.holders(name).expect("known");
        Some(entry.map_or(0, |entry| entry.waiters.len()))
    }

    fn take_away(&self, name: &str) -> bool {
        let entry = self.0.holders(name).expect("known").expect("it is held");
        let token = entry.holders[0].token;
        self.0.break_token(name, token).expect("broken")
    }
}

macro_rules! on {
    ($server:ident) => {
        match super::OnServer::$server() {
            Ok(place) => place,
            Err(reason) => lockfast_testing::skip!("{reason}"),
        }
    };
}

mod on_etcd {
    lockfast_conformance::suite!(on!(etcd));
}

mod on_postgres {
    lockfast_conformance::suite!(on!(postgres));
}

#[test]
fn a_waiter_whose_place_is_broken_gets_one_kind_of_error() {
    for place in [OnServer::etcd(), OnServer::postgres()] {
        let place = match place {
            Ok(place) => place,
            Err(reason) => skip!("{reason}"),
        };
        let held = place.lock("a").lock().expect("free");
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| place.lock("a").lock().map(drop));
            while place.waiters("a") != Some(1) {
                std::thread::yield_now();
            }
            let entry = place.0.holders("a").expect("known").expect("it is held");
            let token = entry.waiters[0].token;
            assert!(place.0.break_token("a", token).expect("broken"));
            let error = waits.join().expect("no panic").expect_err("broken");
            assert_eq!(error.kind(), ErrorKind::NotHeld, "{error}");
        });
        held.release().expect("it is still held");
    }
}

#[test]
fn a_stale_writer_of_data_in_etcd_is_refused() {
    let (place, programs) = match (OnServer::etcd(), etcd::Release::Debian.find()) {
        (Ok(place), Ok(programs)) => (place, programs),
        (Err(reason), _) | (_, Err(reason)) => skip!("{reason}"),
    };
    let balance = fence_etcd::stale_writer(place.0.url(), programs.client());
    assert_eq!(balance.expect("the stale writer is refused"), "200");
}

#[test]
fn a_stale_writer_of_data_in_postgresql_is_refused() {
    let place = match OnServer::postgres() {
        Ok(place) => place,
        Err(reason) => skip!("{reason}"),
    };
    let balance = fence_postgres::stale_writer(place.0.url());
    assert_eq!(balance.expect("the stale writer is refused"), 200);
}

#[test]
fn only_locks_of_a_server_are_in_its_data() {
    for place in [OnServer::etcd(), OnServer::postgres()] {
        let place = match place {
            Ok(place) => place,
            Err(reason) => skip!("{reason}"),
        };
        let is_etcd = place.0.url().starts_with("etcd:");
        let cache = place.rwlock("cache");
        let (lock, reader) = (place.lock("a").lock(), cache.read());
        let (lock, reader) = (lock.expect("free"), reader.expect("free"));
        let token = lock.token().expect("it has one");
        let token = i64::try_from(token).expect("it is small");
        let key = lock.etcd_key();
        assert_eq!(key.map(|key| key.create_revision), is_etcd.then_some(token));
        let row = lock.postgres_row();
        assert_eq!(row.map(|row| row.fence), (!is_etcd).then_some(token));
        assert_eq!(reader.etcd_key().is_some(), is_etcd);
        assert_eq!(reader.postgres_row(), None, "readers have no token");
    }
}
