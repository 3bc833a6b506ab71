//! An opened lock.

use std::fmt;
use std::sync::Arc;

use lockfast::engine::{Capabilities, Cause, Mode, Operation, RawLock, WaitLimit, block_on};
use lockfast::{Error, Resource, Result};

use crate::attempt::Attempt;
use crate::client::Shared;
use crate::flight::{Cancelled, Flight};
use crate::hold::{Grant, PgHold};
use crate::key::Key;

/// An opened lock on PostgreSQL. Clones are the same lock.
#[derive(Clone)]
pub struct PgLock(Arc<Opened>);

struct Opened {
    shared: Arc<Shared>,
    name: String,
    key: Key,
}

impl fmt::Debug for PgLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PgLock").field(&self.0.name).finish()
    }
}

impl PgLock {
    pub(crate) fn new(shared: Arc<Shared>, name: &str, key: Key) -> Self {
        let name = name.to_owned();
        Self(Arc::new(Opened { shared, name, key }))
    }

    /// Checks whether the lock can be taken in this mode.
    fn check(&self, mode: Mode) -> Result<()> {
        self.0.shared.refuse_forked(&self.0.name, Operation::Lock)?;
        if mode == Mode::Upgradable {
            let cause = Cause::Unsupported("PostgreSQL has no upgradable readers", None);
            return Err(Error::new(self.resource(), Operation::Lock, cause));
        }
        Ok(())
    }
}

impl Opened {
    async fn take(
        self: Arc<Self>,
        mode: Mode,
        limit: WaitLimit,
        cancelled: Cancelled,
    ) -> Result<Grant> {
        let (shared, name) = (&self.shared, &self.name);
        let mut attempt = Attempt::new(shared, name, self.key, Operation::Lock, limit, cancelled);
        let taken = attempt.take(mode).await;
        let taken = taken.map_err(|reason| attempt.error(reason))?;
        Ok(Grant::new(shared, name, self.key, mode, taken))
    }
}

impl RawLock for PgLock {
    type Hold = PgHold;

    fn resource(&self) -> Resource {
        Resource::named(&self.0.name)
    }

    fn capabilities(&self) -> Capabilities {
        self.0.shared.capabilities()
    }

    fn acquire(&self, mode: Mode, limit: WaitLimit) -> Result<PgHold> {
        // First: what a forked child sees of the parent's threads is out of date.
        self.check(mode)?;
        let threads = &self.0.shared.threads;
        if limit == WaitLimit::Forever && threads.holds_here(&self.0.key, mode) {
            let cause = Cause::Deadlock("this thread holds it");
            return Err(Error::new(self.resource(), Operation::Lock, cause));
        }
        let opened = Arc::clone(&self.0);
        let flight = Flight::here(&self.0.shared, |cancelled| {
            opened.take(mode, limit, cancelled)
        });
        // The wait ends by itself at its limit.
        let grant = block_on(self.resource(), Operation::Lock, WaitLimit::Forever, flight)?;
        let entered = threads.enter(self.0.key, mode, grant.belief().clone());
        Ok(PgHold::new(grant, Some(entered)))
    }

    async fn acquire_async(&self, mode: Mode, limit: WaitLimit) -> Result<PgHold> {
        self.check(mode)?;
        let opened = Arc::clone(&self.0);
        let flight = Flight::start(&self.0.shared, |cancelled| {
            opened.take(mode, limit, cancelled)
        });
        let grant = flight.await?;
        Ok(PgHold::new(grant, None))
    }
}
