//! Locks on etcd.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lockfast::engine::{
    Capabilities, Cause, Mode, Operation, RawHold, RawLock, WaitLimit, block_on,
};
use lockfast::{HoldState, Resource, Result};
use lockfast_lease::Entered;

use crate::connection::Connection;
use crate::failure::{Blame, Reason};
use crate::hold::Held;
use crate::keys::{Keys, Kind};
use crate::lock_key::LockKey;
use crate::queue::{self, Denied};
use crate::stop::Stop;
use crate::waiting::{GiveBack, Waiting};

/// A lock on etcd: exclusive, or shared by readers. Clones are the same lock.
#[derive(Clone, Debug)]
pub struct EtcdLock {
    connection: Arc<Connection>,
    name: Arc<str>,
    keys: Keys,
}

/// A lock on etcd while it is held.
#[derive(Debug)]
pub struct EtcdHold {
    connection: Arc<Connection>,
    name: Arc<str>,
    held: Arc<Held>,
    /// Nothing if a task took it, which may go from thread to thread.
    entered: Option<Entered<Arc<str>>>,
}

impl EtcdLock {
    pub(crate) fn new(connection: &Arc<Connection>, name: &str) -> Result<Self> {
        Ok(Self {
            connection: Arc::clone(connection),
            name: name.into(),
            keys: Keys::of(&connection.core().address.prefix, name)?,
        })
    }

    fn blame(&self) -> Blame {
        self.connection.core().blame(&self.name, Operation::Lock)
    }

    fn begin(&self, mode: Mode, limit: WaitLimit) -> Result<Waiting<Arc<Held>>> {
        let blame = self.blame();
        self.connection.ensure_not_forked(&blame)?;
        let Some(kind) = Kind::of(mode) else {
            let why = "etcd has no upgradable locks";
            return Err(blame.cause(Cause::Unsupported(why, None)));
        };
        let (core, keys) = (Arc::clone(self.connection.core()), self.keys.clone());
        let stop = stop_at(limit, core.address.timeout);
        let is_over = stop.clone();
        let work = async move {
            let begin = Instant::now();
            let take = || async {
                match limit {
                    WaitLimit::None => queue::attempt(&core, &keys, kind, &is_over).await,
                    _ => queue::wait(&core, &keys, kind, &is_over).await,
                }
            };
            let granted = queue::with_lease(take).await;
            granted.map_err(|denied| error(denied, &blame, limit, begin))
        };
        Ok(Waiting::begin(&self.connection, stop, work))
    }

    fn hold(&self, held: Arc<Held>, entered: Option<Entered<Arc<str>>>) -> EtcdHold {
        EtcdHold {
            connection: Arc::clone(&self.connection),
            name: Arc::clone(&self.name),
            held,
            entered,
        }
    }
}

impl RawLock for EtcdLock {
    type Hold = EtcdHold;

    fn resource(&self) -> Resource {
        Resource::named(&*self.name)
    }

    fn capabilities(&self) -> Capabilities {
        capabilities()
    }

    fn acquire(&self, mode: Mode, limit: WaitLimit) -> Result<EtcdHold> {
        let blame = self.blame();
        // First: a child has what another thread of the parent has locked.
        self.connection.ensure_not_forked(&blame)?;
        let threads = self.connection.threads();
        if limit == WaitLimit::Forever && threads.holds_here(&self.name, mode) {
            let why = "this thread holds it";
            return Err(blame.cause(Cause::Deadlock(why)));
        }
        let waiting = self.begin(mode, limit)?;
        // The work ends by itself at the limit, and then names a holder.
        let resource = self.resource();
        let held = block_on(resource, Operation::Lock, WaitLimit::Forever, waiting)?;
        let entered = threads.enter(Arc::clone(&self.name), mode, held.belief.clone());
        Ok(self.hold(held, Some(entered)))
    }

    async fn acquire_async(&self, mode: Mode, limit: WaitLimit) -> Result<EtcdHold> {
        Ok(self.hold(self.begin(mode, limit)?.await?, None))
    }
}

impl EtcdHold {
    pub(crate) fn lock_key(&self) -> LockKey {
        LockKey {
            key: self.held.key.clone(),
            create_revision: self.held.ticket().revision,
        }
    }
}

impl RawHold for EtcdHold {
    fn resource(&self) -> Resource {
        Resource::named(&*self.name)
    }

    fn release(&mut self) -> Result<()> {
        let core = self.connection.core();
        let blame = core.blame(&self.name, Operation::Release);
        self.connection.ensure_not_forked(&blame)?;
        let (held, limit) = (Arc::clone(&self.held), core.address.timeout);
        self.forget_thread();
        let released = self
            .connection
            .run(async move { held.release(limit).await })?;
        released.map_err(|reason| blame.reason(reason))
    }

    fn forget_thread(&mut self) {
        if let Some(entered) = self.entered.take() {
            self.connection.threads().leave(&entered);
        }
    }

    fn token(&self) -> Option<u64> {
        Some(self.held.token())
    }

    /// The id of the cluster.
    fn epoch(&self) -> u64 {
        self.held.epoch
    }

    fn state(&self) -> HoldState {
        if self.connection.runtime().is_forked_child() {
            return HoldState::Lost;
        }
        self.held.belief.state()
    }

    fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        self.connection.runtime().lost(&self.held.belief)
    }

    fn lease_left(&self) -> Option<Duration> {
        Some(self.held.belief.left())
    }
}

impl Drop for EtcdHold {
    fn drop(&mut self) {
        // The lock is of the parent.
        if self.connection.runtime().is_forked_child() {
            return;
        }
        self.forget_thread();
        if !self.held.is_released() {
            self.connection.finish(Arc::clone(&self.held).give_back());
        }
    }
}

impl GiveBack for Arc<Held> {
    async fn give_back(self) {
        let limit = self.core().address.timeout;
        // A drop has nobody to tell that the lock was lost before; `state` and `lost` did.
        let _ = self.release(limit).await;
    }
}

/// The features of locks on etcd.
pub(crate) fn capabilities() -> Capabilities {
    let mut capabilities = Capabilities::default();
    capabilities.shared = true;
    capabilities.fifo = true;
    capabilities.token = true;
    capabilities.lease = true;
    capabilities
}

/// The end of a wait with that limit. A single attempt ends when no server has answered in time.
pub(crate) fn stop_at(limit: WaitLimit, timeout: Duration) -> Stop {
    Stop::at(match limit {
        WaitLimit::Forever => None,
        WaitLimit::Until(deadline) => Some(deadline.into()),
        WaitLimit::None => Some(tokio::time::Instant::now() + timeout),
    })
}

/// The error of a wait that began then.
pub(crate) fn error(
    denied: Denied,
    blame: &Blame,
    limit: WaitLimit,
    begin: Instant,
) -> lockfast::Error {
    match denied {
        Denied::Held(holder) if limit == WaitLimit::None => blame.cause(Cause::Contended(holder)),
        Denied::Held(holder) => blame.cause(Cause::TimedOut(begin.elapsed(), holder)),
        Denied::OtherPermits { wanted, theirs } => {
            blame.cause(Cause::OtherPermits { wanted, theirs })
        }
        Denied::WithoutLease => blame.reason(Reason::PlaceLost),
        Denied::Reason(reason) => blame.reason(reason),
    }
}
