//! A session that holds locks, and the task that keeps it alive.

use std::sync::Arc;
use std::time::Duration;

use lockfast::HoldState;
use lockfast_lease::{Belief, BootTime, Confirmed, Lease};
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::client::Shared;
use crate::failure::Failure;
use crate::session::Session;

/// A session that holds locks. A task sends heartbeats until this is taken apart or dropped.
pub(crate) struct Kept {
    shared: Arc<Shared>,
    session: Arc<Session>,
    belief: Belief,
    keeper: AbortHandle,
}

/// The way in which a release ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freed {
    /// The server had the lock, and freed it.
    Released,
    /// The session had ended before, and the lock with it.
    WasLost,
    /// The server did not answer. It frees the lock at the end of the lease.
    Unknown,
}

impl Kept {
    /// Keeps the session, which the server showed to hold its locks in the answer to a request of that time. Must
    /// be called in the context of the runtime.
    pub(crate) fn new(shared: &Arc<Shared>, session: Arc<Session>, sent: BootTime) -> Self {
        let ttl = shared.address.ttl;
        let lease = Arc::new(Lease::new(shared.clock.clone()));
        lease.confirm(sent, ttl);
        let belief = Belief::new(Arc::clone(&lease), lease.term());
        let keeper = tokio::spawn(keep(Arc::clone(&session), belief.clone(), ttl));
        Self {
            shared: Arc::clone(shared),
            session,
            belief,
            keeper: keeper.abort_handle(),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) fn belief(&self) -> &Belief {
        &self.belief
    }

    pub(crate) fn state(&self) -> HoldState {
        // The end of the connection may be known before the keeper has run. A forked child has no keeper.
        if self.session.is_over() || self.shared.runtime.is_forked_child() {
            HoldState::Lost
        } else {
            self.belief.state()
        }
    }

    /// The time until the deadline; `None` on a server without leases.
    pub(crate) fn lease_left(&self) -> Option<Duration> {
        let has_lease = self.shared.capabilities().lease;
        has_lease.then(|| self.belief.lease().remaining())
    }

    pub(crate) fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        self.belief.lost()
    }

    /// Runs the statement that frees something.
    pub(crate) async fn free(
        &self,
        statement: impl AsyncFnOnce(&Session) -> Result<bool, Failure>,
    ) -> Freed {
        if self.session.is_over() {
            return Freed::WasLost;
        }
        match self.session.within(statement(&self.session)).await {
            Ok(true) => Freed::Released,
            Ok(false) => Freed::WasLost,
            Err(Failure::NoAnswer) => Freed::Unknown,
            // The server closes a session whose lease has ended before it reads what was sent.
            Err(failure) if failure.is_closed() => Freed::WasLost,
            Err(_) => Freed::Unknown,
        }
    }

    /// Ends the heartbeats, and keeps the session for others if it holds nothing any more.
    pub(crate) fn dismiss(&self, freed: Freed) {
        self.keeper.abort();
        if freed == Freed::Released {
            self.shared.pool.put(Arc::clone(&self.session));
        } else {
            // Whatever it may hold ends with it.
            self.session.close();
        }
    }
}

/// Without `dismiss`, the session may hold locks still: they end with it.
impl Drop for Kept {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Sends heartbeats until the session has ended.
async fn keep(session: Arc<Session>, belief: Belief, ttl: Duration) {
    let lease = Arc::clone(belief.lease());
    loop {
        tokio::select! {
            () = session.over() => break,
            () = sleep(ttl / 5) => {}
        }
        // A confirmation after the deadline begins a term, in which the next answer is the proof.
        loop {
            let term = lease.term();
            let Some(sent) = beat(&session, &lease, ttl).await else {
                session.close();
                belief.lose();
                return;
            };
            if lease.confirm(sent, ttl) == Confirmed::InTime {
                belief.prove(term);
                break;
            }
        }
    }
    belief.lose();
}

/// Sends a heartbeat and waits for its answer, also past the deadline: as long as the session lives, so does the
/// lock. Gives up a lease after the deadline.
async fn beat(session: &Session, lease: &Lease, ttl: Duration) -> Option<BootTime> {
    let mut answer = std::pin::pin!(session.beat());
    tokio::select! {
        sent = &mut answer => return sent.ok(),
        () = sleep(lease.remaining()) => lease.deadline_passed(),
    }
    tokio::time::timeout(ttl, answer).await.ok()?.ok()
}
