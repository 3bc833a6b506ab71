//! Semaphores on etcd.

use std::sync::Arc;
use std::time::Instant;

use lockfast::engine::{Cause, Operation, RawSemaphore, WaitLimit, block_on};
use lockfast::{Resource, Result};

use crate::connection::Connection;
use crate::failure::Blame;
use crate::keys::Keys;
use crate::lock::{error, stop_at};
use crate::permits::{EtcdPermits, Taken};
use crate::pool::{self, Wanted};
use crate::queue::with_lease;
use crate::waiting::Waiting;

/// A semaphore on etcd. Clones are the same semaphore.
#[derive(Clone, Debug)]
pub struct EtcdSemaphore {
    connection: Arc<Connection>,
    name: Arc<str>,
    keys: Keys,
    permits: u32,
}

impl EtcdSemaphore {
    pub(crate) fn new(connection: &Arc<Connection>, name: &str, permits: u32) -> Result<Self> {
        let core = connection.core();
        if permits == 0 {
            let why = "a semaphore has at least one permit";
            let blame = core.blame(name, Operation::Open);
            return Err(blame.cause(Cause::InvalidOption(why)));
        }
        Ok(Self {
            connection: Arc::clone(connection),
            name: name.into(),
            keys: Keys::of(&core.address.prefix, name)?,
            permits,
        })
    }

    fn blame(&self) -> Blame {
        let core = self.connection.core();
        core.blame(&self.name, Operation::Acquire)
    }

    fn begin(&self, count: u32, limit: WaitLimit) -> Result<Waiting<Arc<Taken>>> {
        let blame = self.blame();
        self.connection.ensure_not_forked(&blame)?;
        let (core, keys) = (Arc::clone(self.connection.core()), self.keys.clone());
        let stop = stop_at(limit, core.address.timeout);
        let is_over = stop.clone();
        let wanted = Wanted {
            limit: self.permits,
            count,
        };
        let work = async move {
            let begin = Instant::now();
            let take = || async {
                match limit {
                    WaitLimit::None => pool::attempt(&core, &keys, wanted, &is_over).await,
                    _ => pool::wait(&core, &keys, wanted, &is_over).await,
                }
            };
            let granted = with_lease(take).await;
            let held = granted.map_err(|denied| error(denied, &blame, limit, begin))?;
            Ok(Taken::new(held, wanted.limit, count))
        };
        Ok(Waiting::begin(&self.connection, stop, work))
    }

    fn hold(&self, taken: Arc<Taken>, count: u32) -> EtcdPermits {
        EtcdPermits::new(&self.connection, &self.name, taken, count)
    }
}

impl RawSemaphore for EtcdSemaphore {
    type Permits = EtcdPermits;

    fn resource(&self) -> Resource {
        Resource::named(&*self.name)
    }

    fn permits(&self) -> u32 {
        self.permits
    }

    fn available_permits(&self) -> Result<u32> {
        let blame = self.blame();
        self.connection.ensure_not_forked(&blame)?;
        let (core, keys) = (Arc::clone(self.connection.core()), self.keys.clone());
        let stop = stop_at(WaitLimit::None, core.address.timeout);
        let work = async move { pool::taken(&core, &keys, &stop).await };
        let taken = self.connection.run(work)?;
        let taken = taken.map_err(|failure| blame.failure(failure))?;
        Ok(self.permits.saturating_sub(taken))
    }

    fn acquire(&self, count: u32, limit: WaitLimit) -> Result<EtcdPermits> {
        let waiting = self.begin(count, limit)?;
        // The work ends by itself at the limit, and then names a holder.
        let resource = self.resource();
        let taken = block_on(resource, Operation::Acquire, WaitLimit::Forever, waiting)?;
        Ok(self.hold(taken, count))
    }

    async fn acquire_async(&self, count: u32, limit: WaitLimit) -> Result<EtcdPermits> {
        Ok(self.hold(self.begin(count, limit)?.await?, count))
    }
}
