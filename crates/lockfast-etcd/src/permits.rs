//! Permits that are held.
//!
//! Permits that were taken together are one key, whose value has their number. Splitting them is a matter of this
//! process; giving a part back writes a smaller number, and giving the last back deletes the key.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use lockfast::engine::{Operation, RawPermits};
use lockfast::{HoldState, Resource, Result};
use tokio::time::sleep;

use crate::connection::Connection;
use crate::failure::Reason;
use crate::hold::Held;
use crate::servers::Attempts;
use crate::stop::Stop;
use crate::ticket::LATE_REQUESTS;
use crate::txn;
use crate::waiting::GiveBack;

/// Permits on etcd while they are held.
#[derive(Debug)]
pub struct EtcdPermits {
    connection: Arc<Connection>,
    name: Arc<str>,
    /// Parts of acquisitions; none when they were given back.
    parts: Vec<Part>,
}

/// Permits of one acquisition.
#[derive(Debug)]
struct Part {
    taken: Arc<Taken>,
    count: u32,
}

/// The permits of one acquisition, of which several holders in this process may have a part.
#[derive(Debug)]
pub(crate) struct Taken {
    held: Arc<Held>,
    /// The number of permits of the semaphore, which each value has.
    limit: u32,
    /// The permits that were not given back; one holder at a time writes a smaller number.
    left: tokio::sync::Mutex<u32>,
}

impl Taken {
    pub(crate) fn new(held: Arc<Held>, limit: u32, count: u32) -> Arc<Self> {
        Arc::new(Self {
            held,
            limit,
            left: tokio::sync::Mutex::new(count),
        })
    }

    /// Gives back that many. What no server confirms is tried again behind the scenes.
    pub(crate) async fn reduce(self: &Arc<Self>, count: u32) -> std::result::Result<(), Reason> {
        let core = self.held.core();
        let mut left = self.left.lock().await;
        *left = left.saturating_sub(count);
        if *left == 0 {
            return self.held.release(core.address.timeout).await;
        }
        let mut attempts = Attempts::default();
        let written = self.write(*left, &mut attempts).await;
        if attempts.any_unknown {
            let this = Arc::clone(self);
            tokio::spawn(async move { this.write_later().await });
        }
        written
    }

    /// Writes the number until a server confirms it, and once more: a request without an answer may be carried out
    /// after a later one.
    async fn write_later(&self) {
        for pause in LATE_REQUESTS {
            loop {
                sleep(pause).await;
                let left = self.left.lock().await;
                if *left == 0 || self.held.belief.lease().state() == HoldState::Lost {
                    return;
                }
                let written = self.write(*left, &mut Attempts::default()).await;
                if !matches!(written, Err(Reason::ReleaseUnknown(..))) {
                    break;
                }
            }
        }
    }

    /// Writes the number of permits that are left.
    async fn write(&self, left: u32, attempts: &mut Attempts) -> std::result::Result<(), Reason> {
        let core = self.held.core();
        let ticket = self.held.ticket();
        let value = core.record.now(self.limit, left);
        let request = txn::when(
            vec![txn::created(&ticket.key, ticket.revision)],
            vec![txn::put(&ticket.key, &value, ticket.granted.id)],
            vec![],
        );
        let limit = tokio::time::Instant::now() + core.address.timeout;
        let stop = Stop::at(Some(limit));
        let outcome = core.txn_counting(request, &stop, attempts).await;
        match outcome {
            Ok(outcome) if outcome.succeeded => Ok(()),
            Ok(_) => {
                self.held.belief.lose();
                Err(Reason::WasLost)
            }
            Err(failure) => Err(Reason::of_release(failure, ticket.granted.ttl)),
        }
    }
}

impl EtcdPermits {
    pub(crate) fn new(
        connection: &Arc<Connection>,
        name: &Arc<str>,
        taken: Arc<Taken>,
        count: u32,
    ) -> Self {
        Self {
            connection: Arc::clone(connection),
            name: Arc::clone(name),
            parts: vec![Part { taken, count }],
        }
    }
}

impl RawPermits for EtcdPermits {
    fn resource(&self) -> Resource {
        Resource::named(&*self.name)
    }

    fn count(&self) -> u32 {
        self.parts.iter().map(|part| part.count).sum()
    }

    fn release(&mut self) -> Result<()> {
        let core = self.connection.core();
        let blame = core.blame(&self.name, Operation::Release);
        self.connection.ensure_not_forked(&blame)?;
        let parts = std::mem::take(&mut self.parts);
        let released = self.connection.run(give_back(parts))?;
        released.map_err(|reason| blame.reason(reason))
    }

    fn split(&mut self, count: u32) -> Self {
        let mut missing = count;
        let mut split = Vec::new();
        self.parts.retain_mut(|part| {
            let moved = part.count.min(missing);
            missing -= moved;
            part.count -= moved;
            if moved != 0 {
                let taken = Arc::clone(&part.taken);
                split.push(Part {
                    taken,
                    count: moved,
                });
            }
            part.count != 0
        });
        Self {
            connection: Arc::clone(&self.connection),
            name: Arc::clone(&self.name),
            parts: split,
        }
    }

    fn merge(&mut self, mut other: Self) -> std::result::Result<(), Self> {
        let is_same = Arc::ptr_eq(&self.connection, &other.connection) && self.name == other.name;
        if !is_same {
            return Err(other);
        }
        self.parts.append(&mut other.parts);
        Ok(())
    }

    fn token(&self) -> Option<u64> {
        self.parts.iter().map(|part| part.taken.held.token()).min()
    }

    fn epoch(&self) -> u64 {
        let oldest = self.parts.iter().min_by_key(|part| part.taken.held.token());
        oldest.map_or_else(
            || self.connection.core().session.epoch(),
            |part| part.taken.held.epoch,
        )
    }

    fn state(&self) -> HoldState {
        if self.connection.runtime().is_forked_child() {
            return HoldState::Lost;
        }
        let states = self.parts.iter().map(|part| part.taken.held.belief.state());
        states.fold(HoldState::Valid, |worst, state| match (worst, state) {
            (HoldState::Lost, _) | (_, HoldState::Lost) => HoldState::Lost,
            (HoldState::Valid, state) => state,
            (worst, _) => worst,
        })
    }

    fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        let runtime = self.connection.runtime();
        let parts = self.parts.iter();
        let mut lost: Vec<_> = parts
            .map(|part| Box::pin(runtime.lost(&part.taken.held.belief)))
            .collect();
        poll_fn(move |context| {
            // Each is polled, so that each wakes this.
            let lost = lost.iter_mut().map(|lost| lost.as_mut().poll(context));
            match lost.filter(Poll::is_ready).count() {
                0 => Poll::Pending,
                _ => Poll::Ready(()),
            }
        })
    }

    fn lease_left(&self) -> Option<Duration> {
        let parts = self.parts.iter();
        let left = parts.map(|part| part.taken.held.belief.left());
        Some(left.min().unwrap_or_default())
    }
}

impl Drop for EtcdPermits {
    fn drop(&mut self) {
        // The permits are of the parent.
        if self.connection.runtime().is_forked_child() || self.parts.is_empty() {
            return;
        }
        let parts = std::mem::take(&mut self.parts);
        self.connection.finish(async move {
            // A drop has nobody to tell.
            let _ = give_back(parts).await;
        });
    }
}

impl GiveBack for Arc<Taken> {
    async fn give_back(self) {
        let all = u32::MAX;
        let _ = self.reduce(all).await;
    }
}

/// Gives all back, and returns the first failure.
async fn give_back(parts: Vec<Part>) -> std::result::Result<(), Reason> {
    let mut result = Ok(());
    for part in parts {
        let given = part.taken.reduce(part.count).await;
        result = result.and(given);
    }
    result
}
