//! The lease of a client, which its thread keeps alive.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use lockfast::HoldState;
use lockfast_lease::{Clock, Confirmed, Lease};
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::sleep;
use tonic::{Code, Status};

use crate::failure::{Failure, Reason};
use crate::hold::Held;
use crate::keys;
use crate::proto::{LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest};
use crate::servers::Servers;
use crate::stop::Stop;
use crate::ticket::ended;
use crate::transport::Answer;

/// The longest attempt to keep a lease alive.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(1);
/// The pause after a failed attempt, when all servers have failed.
const PAUSE: Duration = Duration::from_millis(100);

/// The lease of a client: got when a lock is taken first, and again when it has ended.
#[derive(Debug)]
pub(crate) struct Session {
    servers: Arc<Servers>,
    clock: Clock,
    ttl: Duration,
    current: Mutex<Option<Arc<Granted>>>,
    /// The id of the cluster that answered last; 0 before.
    epoch: AtomicU64,
}

/// A lease. Its id is of this client, so keys can name it before the servers have granted it.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) id: i64,
    pub(crate) ttl: Duration,
    pub(crate) lease: Arc<Lease>,
    /// The answer to the grant; `None` as long as there is none.
    answer: watch::Sender<Option<Result<Term, Failure>>>,
    /// The keys that the servers may have under it, with the locks that are held.
    keys: Mutex<HashMap<Vec<u8>, Weak<Held>>>,
}

/// The term that the grant began; `None` if its answer came after the deadline.
pub(crate) type Term = Option<u64>;

impl Session {
    pub(crate) fn new(servers: Arc<Servers>, clock: Clock, ttl: Duration) -> Self {
        Self {
            servers,
            clock,
            ttl,
            current: Mutex::new(None),
            epoch: AtomicU64::new(0),
        }
    }

    /// The id of the cluster, which is the epoch of its tokens.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    pub(crate) fn saw_cluster(&self, id: u64) {
        self.epoch.store(id, Ordering::Relaxed);
    }

    /// The lease. If there is none, one is asked for, and nobody waits for the answer: requests that follow the grant
    /// are carried out after it, as a rule. [`Granted::settled`] waits.
    pub(crate) async fn lease(&self) -> Result<Arc<Granted>, Reason> {
        let granted = {
            let mut slot = self.slot();
            let current = slot.as_ref();
            if let Some(current) = current.filter(|is| is.lease.state() != HoldState::Lost) {
                return Ok(Arc::clone(current));
            }
            let granted = Arc::new(Granted::new(&self.clock, self.ttl)?);
            tokio::spawn(grant(Arc::clone(&self.servers), Arc::clone(&granted)));
            *slot = Some(Arc::clone(&granted));
            granted
        };
        // Sends the request, before those that follow.
        yield_now().await;
        Ok(granted)
    }

    /// Gives the lease up, and with it all that is left of the client's locks.
    pub(crate) async fn revoke(&self) {
        let Some(granted) = self.slot().take() else {
            return;
        };
        let request = LeaseRevokeRequest { id: granted.id };
        let revoked = self.servers.attempt(request.into(), LONGEST_ATTEMPT);
        if granted.has_keys() {
            // What can't be reached frees the lease by itself.
            let _ = revoked.await;
        } else {
            // Nobody waits for a lease without keys: it is enough to send the request.
            tokio::select! {
                biased;
                _ = revoked => {}
                () = sent() => {}
            }
        }
        granted.lease.end();
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<Granted>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Granted {
    fn new(clock: &Clock, ttl: Duration) -> Result<Self, Reason> {
        let bytes = keys::random().map_err(Reason::NoThread)?.to_ne_bytes();
        let half = bytes.first_chunk().copied().unwrap_or_default();
        Ok(Self {
            // Positive: servers choose an id for 0.
            id: (i64::from_ne_bytes(half) & i64::MAX).max(1),
            ttl: Duration::from_secs(ttl.as_secs()),
            lease: Arc::new(Lease::new(clock.clone())),
            answer: watch::Sender::new(None),
            keys: Mutex::default(),
        })
    }

    /// The answer to the grant; `None` as long as there is none.
    pub(crate) fn answer(&self) -> Option<Result<Term, Failure>> {
        self.answer.borrow().clone()
    }

    /// Waits for the answer to the grant. A key that was created under the lease is a proof in the term that the
    /// grant began: the lease of the server began after the request was sent.
    pub(crate) async fn settled(&self, stop: &Stop) -> Result<Term, Failure> {
        let mut answer = self.answer.subscribe();
        let unanswered = || Failure::Unreachable("no lease was granted in time".to_owned());
        tokio::select! {
            // The sender is in `self`.
            answer = answer.wait_for(Option::is_some) => {
                answer.ok().and_then(|answer| answer.clone()).unwrap_or_else(|| Err(unanswered()))
            }
            () = stop.over() => Err(unanswered()),
        }
    }

    /// Records a key that the servers may have from now on.
    pub(crate) fn expect(&self, key: &[u8]) {
        self.keys().entry(key.to_vec()).or_default();
    }

    /// Records that the key is a lock that is held, which is proved again when the lease was confirmed late.
    pub(crate) fn hold(&self, held: &Arc<Held>) {
        self.keys().insert(held.key.clone(), Arc::downgrade(held));
    }

    /// Records that the servers do not have the key, and will not.
    pub(crate) fn forget(&self, key: &[u8]) {
        self.keys().remove(key);
    }

    fn has_keys(&self) -> bool {
        !self.keys().is_empty()
    }

    fn held(&self) -> Vec<Arc<Held>> {
        self.keys().values().filter_map(Weak::upgrade).collect()
    }

    fn keys(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Weak<Held>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for the lease. The request can be repeated, because the id is of this client.
    async fn ask(&self, servers: &Servers) -> Result<Term, Failure> {
        let (id, stop) = (self.id, Stop::default());
        let ttl = i64::try_from(self.ttl.as_secs()).unwrap_or(i64::MAX);
        // Before the first attempt, which is too early rather than too late.
        let sent = self.lease.clock().now();
        let granted = match servers.ask(LeaseGrantRequest { ttl, id }, &stop).await {
            Ok(answer) => answer.ttl,
            // An attempt whose answer was lost has got it.
            Err(Failure::Refused(status)) if is_there_already(&status) => {
                let request = LeaseKeepAliveRequest { id };
                servers.ask(request, &stop).await?.ttl
            }
            Err(failure) => return Err(failure),
        };
        if granted > ttl {
            let request = LeaseRevokeRequest { id };
            let _ = servers.attempt(request.into(), LONGEST_ATTEMPT).await;
            return Err(Failure::TtlTooShort {
                wanted: self.ttl,
                least: seconds(granted),
            });
        }
        let confirmed = self.lease.confirm(sent, seconds(granted));
        Ok((confirmed != Confirmed::TooLate).then(|| self.lease.term()))
    }
}

/// Gets the lease, and keeps it alive.
async fn grant(servers: Arc<Servers>, granted: Arc<Granted>) {
    let answer = tokio::select! {
        answer = granted.ask(&servers) => answer,
        // The client ends.
        () = ended(&granted) => return,
    };
    let is_granted = answer.is_ok();
    granted.answer.send_replace(Some(answer));
    if is_granted {
        tokio::spawn(report_deadlines(Arc::clone(&granted)));
        keep_alive(servers, granted).await;
    } else {
        granted.lease.end();
    }
}

/// Completes when the tasks of the connection have sent what they had: a task that yields goes on when no other can.
async fn sent() {
    for _ in 0..3 {
        yield_now().await;
    }
}

/// Confirms the lease five times in its life, until it has ended.
async fn keep_alive(servers: Arc<Servers>, granted: Arc<Granted>) {
    let limit = (granted.ttl / 10).min(LONGEST_ATTEMPT);
    let clock = granted.lease.clock().clone();
    let mut failed = 0;
    loop {
        let pause = match failed {
            // The answer to the grant came too late.
            0 if granted.lease.state() == HoldState::Unconfirmed => Duration::ZERO,
            0 => granted.ttl / 5,
            failed if failed % servers.count() == 0 => PAUSE,
            _ => Duration::ZERO,
        };
        sleep(pause).await;
        if granted.lease.state() == HoldState::Lost {
            return;
        }
        // Before it is sent: the lease of the server begins anew after that.
        let sent = clock.now();
        let request = LeaseKeepAliveRequest { id: granted.id };
        match servers.attempt(request.into(), limit).await {
            Ok(Answer::KeepAlive(answer)) if answer.ttl > 0 => {
                failed = 0;
                if granted.lease.confirm(sent, seconds(answer.ttl)) == Confirmed::Late {
                    for held in granted.held() {
                        tokio::spawn(async move { held.prove().await });
                    }
                }
            }
            // The server does not know the lease.
            Ok(_) => return granted.lease.end(),
            Err(status) if is_unknown(&status) => return granted.lease.end(),
            Err(_) => failed += 1,
        }
    }
}

/// Wakes those who wait for the loss of their lock whenever the deadline passes.
async fn report_deadlines(granted: Arc<Granted>) {
    let lease = &granted.lease;
    loop {
        match lease.state() {
            HoldState::Lost => return,
            // Not longer, because a sleep stops while the machine is suspended.
            HoldState::Valid => sleep(lease.remaining().min(granted.ttl / 5)).await,
            _ => {
                lease.deadline_passed();
                lease.changed().await;
            }
        }
    }
}

fn seconds(ttl: i64) -> Duration {
    Duration::from_secs(u64::try_from(ttl).unwrap_or_default())
}

fn is_there_already(status: &Status) -> bool {
    status.code() == Code::FailedPrecondition && status.message().contains("lease already exists")
}

fn is_unknown(status: &Status) -> bool {
    status.code() == Code::NotFound
}
