//! Permits that are held.

use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::Duration;

use lockfast::engine::{Operation, RawPermits};
use lockfast::{HoldState, Resource, Result};

use crate::flight::Granted;
use crate::hold::{DROPPING, not_released};
use crate::kept::{Freed, Kept};
use crate::semaphore::{Got, Slots};
use crate::session::{Session, lock};
use crate::sql;

/// Slots of a session.
pub(crate) struct Issued {
    session: Arc<Held>,
    slots: Vec<i64>,
    token: u64,
}

/// A session that holds slots, for all the parts into which its permits were split.
struct Held {
    kept: Kept,
    semaphore: Arc<Slots>,
    /// The number of slots that are held. The session is free when there is none.
    left: std::sync::Mutex<usize>,
}

impl Issued {
    /// Keeps the session, which holds these slots. Must be called in the context of the runtime.
    pub(crate) fn new(semaphore: &Arc<Slots>, session: Arc<Session>, got: Got) -> Self {
        let Got { slots, token, sent } = got;
        let held = Held {
            kept: Kept::new(&semaphore.shared, session, sent),
            semaphore: Arc::clone(semaphore),
            left: slots.len().into(),
        };
        let session = Arc::new(held);
        Self {
            session,
            slots,
            token,
        }
    }

    async fn free(&mut self) -> Freed {
        let slots = std::mem::take(&mut self.slots);
        let Held {
            kept,
            semaphore,
            left,
        } = &*self.session;
        let freed = kept
            .free(async |session| {
                let (bell, channel) = (semaphore.bell().number(), semaphore.channel());
                let row = session
                    .query(&sql::free_slots(), &[&bell, &channel, &slots])
                    .await?;
                session.check_backend(row.get(1))?;
                Ok(row.get(0))
            })
            .await;
        let is_last = {
            let mut left = lock(left);
            *left -= slots.len();
            *left == 0
        };
        // A session that fails one of the parts fails the others.
        if is_last || freed != Freed::Released {
            kept.dismiss(freed);
        }
        freed
    }
}

impl Granted for Issued {
    async fn give_back(mut self) {
        self.free().await;
    }
}

/// Permits on PostgreSQL while they are held.
pub struct PgPermits {
    /// Nothing after the release. A forked child leaves it to its parent.
    issued: ManuallyDrop<Option<Issued>>,
    semaphore: Arc<Slots>,
    token: u64,
    epoch: u64,
}

impl fmt::Debug for PgPermits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgPermits")
            .field("name", &self.semaphore.name)
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}

impl PgPermits {
    pub(crate) fn new(issued: Issued) -> Self {
        Self {
            semaphore: Arc::clone(&issued.session.semaphore),
            token: issued.token,
            epoch: issued.session.kept.session().epoch,
            issued: ManuallyDrop::new(Some(issued)),
        }
    }

    fn kept(&self) -> Option<&Kept> {
        self.issued.as_ref().map(|issued| &issued.session.kept)
    }
}

impl RawPermits for PgPermits {
    fn resource(&self) -> Resource {
        Resource::named(&self.semaphore.name)
    }

    fn count(&self) -> u32 {
        let count = self.issued.as_ref().map_or(0, |issued| issued.slots.len());
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    fn release(&mut self) -> Result<()> {
        let (shared, name) = (&self.semaphore.shared, &self.semaphore.name);
        shared.refuse_forked(name, Operation::Release)?;
        match self.issued.take() {
            None => Ok(()),
            Some(mut issued) => {
                let freed = shared.block_on(issued.free());
                not_released(shared, name, freed)
            }
        }
    }

    fn split(&mut self, count: u32) -> Self {
        let split = self.issued.as_mut().map(|issued| {
            let rest = issued.slots.len().saturating_sub(count as usize);
            Issued {
                session: Arc::clone(&issued.session),
                slots: issued.slots.split_off(rest),
                token: issued.token,
            }
        });
        Self {
            issued: ManuallyDrop::new(split),
            semaphore: Arc::clone(&self.semaphore),
            token: self.token,
            epoch: self.epoch,
        }
    }

    fn merge(&mut self, mut other: Self) -> std::result::Result<(), Self> {
        match (self.issued.as_mut(), other.issued.as_mut()) {
            (Some(own), Some(others)) if Arc::ptr_eq(&own.session, &others.session) => {
                own.slots.append(&mut others.slots);
                // Nothing is left to give back.
                drop(other.issued.take());
                Ok(())
            }
            _ => Err(other),
        }
    }

    fn token(&self) -> Option<u64> {
        self.semaphore
            .shared
            .address
            .has_fence
            .then_some(self.token)
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn state(&self) -> HoldState {
        self.kept().map_or(HoldState::Lost, Kept::state)
    }

    fn lease_left(&self) -> Option<Duration> {
        self.kept().and_then(Kept::lease_left)
    }

    fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        let lost = self.kept().map(Kept::lost);
        async {
            if let Some(lost) = lost {
                lost.await;
            }
        }
    }
}

impl Drop for PgPermits {
    fn drop(&mut self) {
        if self.semaphore.shared.runtime.is_forked_child() {
            return;
        }
        if let Some(issued) = self.issued.take() {
            self.semaphore.shared.release_within(DROPPING, issued);
        }
    }
}
