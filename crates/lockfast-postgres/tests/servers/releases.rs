//! The servers of the tests: one of each release, started when it is first needed.

use std::sync::{Arc, OnceLock};

use libtest_mimic::Trial;
use lockfast::{Lock, RwLock, Semaphore};
use lockfast_postgres::{Client, Postgres};
use lockfast_servers::postgres::{Options, RELEASES, Release, Server};
use lockfast_testing::trial_needing;

/// A release of PostgreSQL with the server that the tests share.
#[derive(Clone)]
pub(crate) struct Shared {
    release: Release,
    server: Arc<OnceLock<Server>>,
}

pub(crate) fn all() -> Vec<Shared> {
    let shared = |release| Shared {
        release,
        server: Arc::default(),
    };
    RELEASES.map(shared).into()
}

impl Shared {
    /// Makes a test that uses the server which others use too.
    pub(crate) fn trial(&self, name: &str, test: fn(&Server)) -> Trial {
        let shared = self.clone();
        self.trial_with(name, move || test(shared.server()))
    }

    /// Makes a test that starts a server of its own.
    pub(crate) fn trial_alone(&self, name: &str, test: fn(Options)) -> Trial {
        let release = self.release;
        self.trial_with(name, move || test(Options::default().release(release)))
    }

    pub(crate) fn trial_with(&self, name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
        let name = format!("{:?}::{name}", self.release);
        trial_needing!(&name, self.release.find().map(drop), test)
    }

    pub(crate) fn release(&self) -> Release {
        self.release
    }

    pub(crate) fn server(&self) -> &Server {
        let options = || {
            Options::default()
                .release(self.release)
                .setting("max_connections=200")
                .setting("max_prepared_transactions=1")
        };
        self.server.get_or_init(|| options().start())
    }
}

/// Opens the space of the test with that name.
pub(crate) fn open(server: &Server, test: &str) -> Client {
    open_with(server, test, "")
}

/// Opens the space of the test with that name, with further options.
pub(crate) fn open_with(server: &Server, test: &str, options: &str) -> Client {
    let url = format!("{}?namespace={test}{options}", server.url());
    Client::open(&url).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn lock(client: &Client, name: &str) -> Lock<Postgres> {
    Lock::from_raw(client.lock(name).expect("opened"))
}

pub(crate) fn rwlock(client: &Client, name: &str) -> RwLock<Postgres> {
    RwLock::from_raw(client.lock(name).expect("opened"))
}

pub(crate) fn semaphore(client: &Client, name: &str, permits: u32) -> Semaphore<Postgres> {
    Semaphore::from_raw(client.semaphore(name, permits).expect("opened"))
}

/// Waits until that many wait for the name.
pub(crate) fn wait_for_waiters(client: &Client, name: &str, number: usize) {
    while waiters(client, name) != number {
        std::thread::yield_now();
    }
}

pub(crate) fn waiters(client: &Client, name: &str) -> usize {
    let entries = client.list(name).expect("listed");
    let entry = entries.iter().find(|entry| entry.name == name);
    entry.map_or(0, |entry| entry.waiters.len())
}
