//! A lock that is held.

use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::Duration;

use lockfast::engine::{Cause, Mode, Operation, RawHold};
use lockfast::{Error, ErrorKind, HoldState, Resource, Result};
use lockfast_lease::{Belief, Entered};

use crate::attempt::Taken;
use crate::client::Shared;
use crate::failure;
use crate::flight::Granted;
use crate::kept::{Freed, Kept};
use crate::key::Key;
use crate::sql;

/// The longest time for which a dropped guard blocks.
pub(crate) const DROPPING: Duration = Duration::from_millis(250);

/// A lock that was granted.
pub(crate) struct Grant {
    kept: Kept,
    name: String,
    key: Key,
    mode: Mode,
    token: Option<u64>,
}

impl Grant {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        name: &str,
        key: Key,
        mode: Mode,
        taken: Taken,
    ) -> Self {
        Self {
            kept: Kept::new(shared, taken.session, taken.sent),
            name: name.to_owned(),
            key,
            mode,
            token: taken.token,
        }
    }

    pub(crate) fn belief(&self) -> &Belief {
        self.kept.belief()
    }

    async fn free(&self) -> Freed {
        let freed = self
            .kept
            .free(async |session| {
                let row = session
                    .query(sql::free(self.mode), &[&self.key.number()])
                    .await?;
                session.check_backend(row.get(1))?;
                Ok(row.get(0))
            })
            .await;
        self.kept.dismiss(freed);
        freed
    }
}

impl Granted for Grant {
    async fn give_back(self) {
        self.free().await;
    }
}

/// A lock on PostgreSQL while it is held.
pub struct PgHold {
    /// Nothing after the release.
    grant: ManuallyDrop<Option<Grant>>,
    name: String,
    key: Key,
    token: Option<u64>,
    epoch: u64,
    entered: Option<Entered<Key>>,
    shared: Arc<Shared>,
}

impl fmt::Debug for PgHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgHold")
            .field("name", &self.name)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

impl PgHold {
    pub(crate) fn new(grant: Grant, entered: Option<Entered<Key>>) -> Self {
        Self {
            name: grant.name.clone(),
            key: grant.key,
            token: grant.token,
            epoch: grant.kept.session().epoch,
            shared: Arc::clone(grant.kept.shared()),
            grant: ManuallyDrop::new(Some(grant)),
            entered,
        }
    }

    pub(crate) fn key(&self) -> Key {
        self.key
    }
}

/// Returns the error of a release that did not end well.
pub(crate) fn not_released(shared: &Shared, name: &str, freed: Freed) -> Result<()> {
    let resource = Resource::named(name);
    match freed {
        Freed::Released => Ok(()),
        Freed::WasLost => {
            let cause = Cause::NotHeld("it was lost before: its session with the server had ended");
            Err(Error::new(resource, Operation::Release, cause))
        }
        Freed::Unknown => {
            let text = "the server did not answer, so it is unknown whether the lock is released; \
                        it is at the end of the lease";
            let (url, kind) = (&shared.address.shown, ErrorKind::Unreachable);
            Err(failure::refused(
                url,
                resource,
                Operation::Release,
                kind,
                text,
            ))
        }
    }
}

impl RawHold for PgHold {
    fn resource(&self) -> Resource {
        Resource::named(&self.name)
    }

    fn release(&mut self) -> Result<()> {
        self.shared.refuse_forked(&self.name, Operation::Release)?;
        self.forget_thread();
        match self.grant.take() {
            None => Ok(()),
            Some(grant) => {
                let freed = self.shared.block_on(grant.free());
                not_released(&self.shared, &self.name, freed)
            }
        }
    }

    fn forget_thread(&mut self) {
        if let Some(entered) = self.entered.take() {
            self.shared.threads.leave(&entered);
        }
    }

    fn token(&self) -> Option<u64> {
        self.token
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn state(&self) -> HoldState {
        self.grant
            .as_ref()
            .map_or(HoldState::Lost, |grant| grant.kept.state())
    }

    fn lease_left(&self) -> Option<Duration> {
        self.grant
            .as_ref()
            .and_then(|grant| grant.kept.lease_left())
    }

    fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        let lost = self.grant.as_ref().map(|grant| grant.kept.lost());
        async {
            if let Some(lost) = lost {
                lost.await;
            }
        }
    }
}

impl Drop for PgHold {
    fn drop(&mut self) {
        // A forked child must not touch the session: it belongs to the parent.
        if self.shared.runtime.is_forked_child() {
            return;
        }
        self.forget_thread();
        if let Some(grant) = self.grant.take() {
            self.shared.release_within(DROPPING, grant);
        }
    }
}
