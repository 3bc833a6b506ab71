//! A session that holds locks, and the task that keeps it alive.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use lockfast::HoldState;
use lockfast_lease::{Belief, BootTime, Confirmed, Lease};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::client::Shared;
use crate::failure::Failure;
use crate::session::{Session, lock};

/// A session that holds locks. Its keeper sends heartbeats until this is taken apart or dropped.
pub(crate) struct Kept {
    shared: Arc<Shared>,
    session: Arc<Session>,
    belief: Belief,
}

/// The task that sends the heartbeats of a session. It begins with the first hold and ends with the session, so that
/// a hold costs no wake-up of the client's thread.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    keeps: Mutex<Keeps>,
    /// A hold has ended, and with it the heartbeat that is on its way: its answer may be behind a long wait.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Keeps {
    /// The belief of the hold; nothing while the session holds nothing.
    belief: Option<Belief>,
    /// Whether the task was started.
    is_started: bool,
}

impl Keeper {
    fn belief(&self) -> Option<Belief> {
        lock(&self.keeps).belief.clone()
    }

    /// Keeps this hold. Returns whether the task is to be started.
    fn begin(&self, belief: Belief) -> bool {
        let mut keeps = lock(&self.keeps);
        keeps.belief = Some(belief);
        !std::mem::replace(&mut keeps.is_started, true)
    }

    fn end(&self) {
        lock(&self.keeps).belief = None;
        self.ended.notify_waiters();
    }

    fn lose(&self) {
        if let Some(belief) = self.belief() {
            belief.lose();
        }
    }
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
        if session.keeper.begin(belief.clone()) {
            tokio::spawn(keep(Arc::downgrade(&session), session.over(), ttl));
        }
        // The keeper may have ended before.
        if session.is_over() {
            belief.lose();
        }
        Self {
            shared: Arc::clone(shared),
            session,
            belief,
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

    /// The time until the server may free the lock; `None` on a server without leases.
    pub(crate) fn lease_left(&self) -> Option<Duration> {
        let has_lease = self.shared.capabilities().lease;
        has_lease.then(|| match self.state() {
            HoldState::Lost => Duration::ZERO,
            _ => self.belief.left(),
        })
    }

    pub(crate) fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        self.shared.runtime.lost(&self.belief)
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
        self.session.keeper.end();
        if freed == Freed::Released {
            self.shared.pool.put(Arc::clone(&self.session));
        } else {
            // Whatever it may hold ends with it.
            self.session.close();
        }
    }
}

/// Sends heartbeats while the session holds something, until it has ended.
async fn keep(session: Weak<Session>, over: impl Future<Output = ()>, ttl: Duration) {
    let mut over = std::pin::pin!(over);
    loop {
        let is_over = tokio::select! {
            () = &mut over => true,
            () = sleep(ttl / 5) => false,
        };
        // Without a session there is no hold.
        let Some(session) = session.upgrade() else {
            return;
        };
        if is_over || keep_once(&session, ttl).await.is_none() {
            session.keeper.lose();
            return;
        }
    }
}

/// Sends a heartbeat if the session holds something. Nothing if the session is lost.
async fn keep_once(session: &Session, ttl: Duration) -> Option<()> {
    // A confirmation after the deadline begins a term, in which the next answer is the proof.
    loop {
        let mut ended = std::pin::pin!(session.keeper.ended.notified());
        // Before the belief is read, so that no end in between is missed.
        ended.as_mut().enable();
        let Some(belief) = session.keeper.belief() else {
            return Some(());
        };
        let lease = belief.lease();
        let term = lease.term();
        let sent = tokio::select! {
            biased;
            () = ended => return Some(()),
            sent = beat(session, lease, ttl) => sent,
        };
        let Some(sent) = sent else {
            session.close();
            return None;
        };
        if lease.confirm(sent, ttl) == Confirmed::InTime {
            belief.prove(term);
            return Some(());
        }
    }
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
