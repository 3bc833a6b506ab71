//! A place on a server.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lockfast::{Lock, RwLock, Semaphore};
use lockfast_conformance::Place;
use lockfast_etcd::{Client, Etcd};
use lockfast_lease::Entry;

static PLACES: AtomicU32 = AtomicU32::new(0);

/// A prefix that no other test has.
pub(crate) struct Prefix {
    pub(crate) client: Client,
}

impl Prefix {
    /// Returns a prefix on these servers, with these options of the URL.
    pub(crate) fn at(endpoint: &str, options: &str) -> Self {
        let number = PLACES.fetch_add(1, Ordering::Relaxed);
        let url = format!("etcd://{endpoint}/place{number}{options}");
        let client = Client::open(&url).expect("a server");
        Self { client }
    }

    pub(crate) fn entry(&self, name: &str) -> Option<Entry> {
        let entries = self.client.list("").expect("listed");
        entries.into_iter().find(|entry| entry.name == name)
    }
}

impl Place for Prefix {
    type Engine = Etcd;

    fn lock(&self, name: &str) -> Lock<Etcd> {
        Lock::from_raw(self.client.lock(name).expect("opened"))
    }

    fn rwlock(&self, name: &str) -> RwLock<Etcd> {
        RwLock::from_raw(self.client.lock(name).expect("opened"))
    }

    fn semaphore(&self, name: &str, permits: u32) -> Semaphore<Etcd> {
        Semaphore::from_raw(self.client.semaphore(name, permits).expect("opened"))
    }

    fn rounds(&self) -> u32 {
        50
    }

    fn short(&self) -> Duration {
        Duration::from_millis(20)
    }

    fn waiters(&self, name: &str) -> Option<usize> {
        Some(self.entry(name).map_or(0, |entry| entry.waiters.len()))
    }

    fn take_away(&self, name: &str) -> bool {
        let entry = self.entry(name).expect("somebody holds it");
        let token = entry.holders[0].token;
        self.client.break_token(name, token).expect("broken")
    }
}
