//! The lease of a client, which its thread keeps alive.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use lockfast::HoldState;
use lockfast_lease::{Clock, Confirmed, Lease};
use tokio::time::sleep;
use tonic::{Code, Status};

use crate::failure::{Failure, Reason};
use crate::hold::Held;
use crate::keys;
use crate::proto::{LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest};
use crate::servers::Servers;
use crate::stop::Stop;
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
    granting: tokio::sync::Mutex<()>,
    /// The id of the cluster that answered last; 0 before.
    epoch: AtomicU64,
}

/// A lease that the servers have granted.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) id: i64,
    pub(crate) ttl: Duration,
    pub(crate) lease: Arc<Lease>,
    /// The locks that are held under it, by key.
    held: Mutex<HashMap<Vec<u8>, Weak<Held>>>,
}

impl Session {
    pub(crate) fn new(servers: Arc<Servers>, clock: Clock, ttl: Duration) -> Self {
        Self {
            servers,
            clock,
            ttl,
            current: Mutex::new(None),
            granting: tokio::sync::Mutex::default(),
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

    /// The lease, after asking for one if there is none.
    pub(crate) async fn granted(&self, stop: &Stop) -> Result<Arc<Granted>, Reason> {
        if let Some(granted) = self.current() {
            return Ok(granted);
        }
        let _one_at_a_time = tokio::select! {
            guard = self.granting.lock() => guard,
            () = stop.over() => return Err(Reason::Unreachable("no lease was granted in time".to_owned())),
        };
        if let Some(granted) = self.current() {
            return Ok(granted);
        }
        let granted = Arc::new(self.grant(stop).await?);
        *self.slot() = Some(Arc::clone(&granted));
        tokio::spawn(keep_alive(Arc::clone(&self.servers), Arc::clone(&granted)));
        tokio::spawn(report_deadlines(Arc::clone(&granted)));
        Ok(granted)
    }

    /// Gives the lease up, and with it all that is left of the client's locks.
    pub(crate) async fn revoke(&self) {
        let granted = self.slot().take();
        if let Some(granted) = granted {
            let request = LeaseRevokeRequest { id: granted.id };
            // What can't be reached frees the lease by itself.
            let _ = self.servers.attempt(request.into(), LONGEST_ATTEMPT).await;
            granted.lease.end();
        }
    }

    fn current(&self) -> Option<Arc<Granted>> {
        let current = self.slot().clone()?;
        (current.lease.state() != HoldState::Lost).then_some(current)
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<Granted>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a lease with an id of our own, so that the request can be repeated.
    async fn grant(&self, stop: &Stop) -> Result<Granted, Reason> {
        let bytes = keys::random().map_err(Reason::NoThread)?.to_ne_bytes();
        let half = bytes.first_chunk().copied().unwrap_or_default();
        // Positive: servers choose an id for 0.
        let id = (i64::from_ne_bytes(half) & i64::MAX).max(1);
        let ttl = i64::try_from(self.ttl.as_secs()).unwrap_or(i64::MAX);
        let lease = Arc::new(Lease::new(self.clock.clone()));
        let sent = self.clock.now();
        let answer = self.servers.ask(LeaseGrantRequest { ttl, id }, stop).await;
        let (granted, cluster) = match answer {
            Ok(answer) => (answer.ttl, answer.header.unwrap_or_default().cluster_id),
            // An attempt whose answer was lost has got it.
            Err(Failure::Refused(status)) if is_there_already(&status) => {
                let answer = self.servers.ask(LeaseKeepAliveRequest { id }, stop).await;
                let answer = answer.map_err(reason)?;
                (answer.ttl, answer.header.unwrap_or_default().cluster_id)
            }
            Err(failure) => return Err(reason(failure)),
        };
        if granted > ttl {
            let request = LeaseRevokeRequest { id };
            let _ = self.servers.attempt(request.into(), LONGEST_ATTEMPT).await;
            return Err(Reason::TtlTooShort {
                wanted: self.ttl,
                least: seconds(granted),
            });
        }
        self.saw_cluster(cluster);
        let granted = seconds(granted);
        // From before the first attempt, which is too early rather than too late.
        lease.confirm(sent, granted);
        Ok(Granted {
            id,
            ttl: granted,
            lease,
            held: Mutex::default(),
        })
    }
}

impl Granted {
    /// Adds a lock that is held, so that it is proved again when the lease was confirmed late.
    pub(crate) fn add(&self, held: &Arc<Held>) {
        self.held_by_key()
            .insert(held.key.clone(), Arc::downgrade(held));
    }

    pub(crate) fn remove(&self, key: &[u8]) {
        self.held_by_key().remove(key);
    }

    fn held_by_key(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Weak<Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> Vec<Arc<Held>> {
        self.held_by_key()
            .values()
            .filter_map(Weak::upgrade)
            .collect()
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
            Err(status) => {
                failed += 1;
                servers.relogin_after(&status);
            }
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

fn reason(failure: Failure) -> Reason {
    match failure {
        Failure::Stopped => Reason::Unreachable("the wait was ended".to_owned()),
        Failure::Unreachable(why) => Reason::Unreachable(why),
        Failure::Refused(status) => Reason::Refused(status),
    }
}
