//! A key that is held, until it is released or lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use lockfast::HoldState;
use lockfast_lease::Belief;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::core::Core;
use crate::failure::Reason;
use crate::queue::REFUSED_WATCH;
use crate::servers::Attempts;
use crate::session::Granted;
use crate::stop::Stop;
use crate::ticket::{Absent, Ticket, ended};
use crate::txn;
use crate::watches::News;

/// A lock that is held for less than that needs no watch of its key: the watch begins later, at the revision of the
/// key, so that nothing is missed.
const WATCH_AFTER: Duration = Duration::from_millis(10);

/// A key that is held.
#[derive(Debug)]
pub(crate) struct Held {
    core: Arc<Core>,
    ticket: Ticket,
    pub(crate) key: Vec<u8>,
    pub(crate) belief: Belief,
    /// The epoch of the token, whatever cluster has answered since.
    pub(crate) epoch: u64,
    is_released: AtomicBool,
    released: Notify,
}

impl Held {
    /// Begins to hold a ticket, and to watch it.
    pub(crate) fn begin(core: &Arc<Core>, ticket: &Ticket, belief: Belief) -> Arc<Self> {
        let held = Arc::new(Self {
            core: Arc::clone(core),
            key: ticket.key.clone(),
            ticket: ticket.clone(),
            belief,
            epoch: core.session.epoch(),
            is_released: AtomicBool::new(false),
            released: Notify::new(),
        });
        held.granted().hold(&held);
        tokio::spawn(watch(Arc::downgrade(&held)));
        held
    }

    /// The fencing token: the revision at which the key was created.
    pub(crate) fn token(&self) -> u64 {
        u64::try_from(self.ticket.revision).unwrap_or_default()
    }

    pub(crate) fn granted(&self) -> &Arc<Granted> {
        &self.ticket.granted
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// Whether the key was released, and says so from now on.
    pub(crate) fn set_released(&self) -> bool {
        let was_released = self.is_released.swap(true, Ordering::SeqCst);
        self.released.notify_waiters();
        was_released
    }

    pub(crate) fn is_released(&self) -> bool {
        self.is_released.load(Ordering::SeqCst)
    }

    /// Asks whether the key is still there, and returns the revision at which it was.
    pub(crate) async fn prove(&self) -> Option<i64> {
        // Before the request is sent.
        let term = self.belief.lease().term();
        let stop = Stop::default();
        tokio::select! {
            seen = self.ticket.look(&self.core, &stop) => match seen {
                Ok(view) => {
                    self.belief.prove(term);
                    return Some(view.revision);
                }
                Err(Absent::Gone) if !self.is_released() => self.belief.lose(),
                // What the server refuses to show stays unconfirmed.
                Err(_) => {}
            },
            () = ended(self.granted()) => {}
        }
        None
    }

    /// Deletes the key, and tells whether it was there. What no server confirms is tried again behind the scenes.
    pub(crate) async fn release(self: &Arc<Self>, limit: Duration) -> Result<(), Reason> {
        if self.set_released() {
            return Ok(());
        }
        let granted = self.granted();
        let request = txn::when(
            vec![txn::created(&self.key, self.ticket.revision)],
            vec![txn::delete(&self.key)],
            vec![],
        );
        let stop = Stop::at(Some(Instant::now() + limit));
        let mut attempts = Attempts::default();
        let outcome = tokio::select! {
            outcome = self.core.txn_counting(request, &stop, &mut attempts) => outcome,
            // There is nothing to release any more.
            () = ended(granted) => return Err(Reason::WasLost),
        };
        if outcome.is_ok() {
            self.ticket.is_gone(&self.core);
        }
        match outcome {
            Ok(outcome) if outcome.succeeded => Ok(()),
            // An attempt without an answer may have deleted it. The lease held, so nobody else did.
            Ok(_) if attempts.any_unknown && self.belief.state() == HoldState::Valid => Ok(()),
            Ok(_) => {
                self.belief.lose();
                Err(Reason::WasLost)
            }
            Err(failure) => {
                self.ticket.withdraw(&self.core).await;
                Err(Reason::of_release(failure, granted.ttl))
            }
        }
    }
}

/// Watches the key for as long as it is held: a confirmed lease does not prove that the key is there.
async fn watch(held: Weak<Held>) {
    sleep(WATCH_AFTER).await;
    let Some(this) = held.upgrade() else { return };
    if this.is_released() {
        return;
    }
    let mut seen = this.ticket.revision;
    loop {
        let mut watch = this.core.watches.held(&this.key, seen + 1);
        let news = tokio::select! {
            news = watch.news() => news,
            () = this.released.notified() => return,
            () = ended(this.granted()) => return,
        };
        if this.is_released() {
            return;
        }
        if news == News::Deleted {
            return this.belief.lose();
        }
        // At once: where the key is not, others get in.
        if let Some(revision) = this.prove().await {
            // The server may have forgotten what was before that.
            seen = revision;
        }
        sleep(REFUSED_WATCH).await;
        if this.belief.state() == HoldState::Lost || this.is_released() {
            return;
        }
    }
}
