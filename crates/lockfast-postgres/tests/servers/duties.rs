//! The suite that every engine passes.

use libtest_mimic::Trial;
use lockfast::{Lock, RwLock, Semaphore};
use lockfast_conformance::Place;
use lockfast_postgres::{Client, Postgres};

use crate::releases::{self, Shared};

/// A namespace of its own for each duty.
struct Namespace(Client);

impl Place for Namespace {
    type Engine = Postgres;

    fn lock(&self, name: &str) -> Lock<Postgres> {
        releases::lock(&self.0, name)
    }

    fn rwlock(&self, name: &str) -> RwLock<Postgres> {
        releases::rwlock(&self.0, name)
    }

    fn semaphore(&self, name: &str, permits: u32) -> Semaphore<Postgres> {
        releases::semaphore(&self.0, name, permits)
    }

    fn rounds(&self) -> u32 {
        25
    }

    fn waiters(&self, name: &str) -> Option<usize> {
        Some(releases::waiters(&self.0, name))
    }

    fn take_away(&self, name: &str) -> bool {
        let entries = self.0.list(name).expect("listed");
        let holder = &entries[0].holders[0];
        self.0.break_token(name, holder.token).expect("broken")
    }
}

pub(crate) fn trials(shared: &Shared) -> Vec<Trial> {
    let duties = lockfast_conformance::duties::<Namespace>();
    let trial = |(name, duty): (&'static str, fn(&Namespace))| {
        let server = shared.clone();
        shared.trial_with(name, move || {
            duty(&Namespace(releases::open(server.server(), name)));
        })
    };
    duties.into_iter().map(trial).collect()
}
