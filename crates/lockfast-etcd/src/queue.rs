//! Waiting in the order of arrival.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use lockfast::{HoldState, Holder};
use lockfast_lease::Belief;
use tokio::time::sleep;

use crate::core::Core;
use crate::failure::{Failure, Reason};
use crate::hold::Held;
use crate::keys::{Keys, Kind};
use crate::record::Record;
use crate::stop::Stop;
use crate::ticket::{Absent, Ticket, View};
use crate::txn;
use crate::watches::News;

/// A waiter reads the keys again after that long, whatever its watch says: a stream can be silent for ever.
pub(crate) const LONGEST_SILENCE: Duration = Duration::from_secs(5);
/// The pause after a watch that a server did not keep.
pub(crate) const REFUSED_WATCH: Duration = Duration::from_millis(200);
const UNCONFIRMED: Duration = Duration::from_millis(100);

/// Reason why nothing was granted.
#[derive(Debug)]
pub(crate) enum Denied {
    /// It is held, and there was no wait or its time is over.
    Held(Option<Holder>),
    OtherPermits {
        wanted: u32,
        theirs: u32,
    },
    /// The lease had ended before there was a ticket.
    WithoutLease,
    Reason(Reason),
}

impl From<Reason> for Denied {
    fn from(reason: Reason) -> Self {
        Self::Reason(reason)
    }
}

/// Takes a lock or permits with one more lease if the first has ended unnoticed: nobody's place is lost by that.
pub(crate) async fn with_lease<T, W>(take: impl Fn() -> W) -> Result<T, Denied>
where
    W: Future<Output = Result<T, Denied>>,
{
    match take().await {
        Err(Denied::WithoutLease) => take().await,
        taken => taken,
    }
}

/// Takes the lock, if it is free and nobody waits: one transaction, and no ticket when it fails.
pub(crate) async fn attempt(
    core: &Arc<Core>,
    keys: &Keys,
    kind: Kind,
    stop: &Stop,
) -> Result<Arc<Held>, Denied> {
    let mut ticket = Ticket::begin(core, keys, kind, stop).await?;
    let value = core.record.now(0, 0);
    let request = txn::when(
        vec![
            // A second time would change nothing but the revision that is reported.
            txn::created(&ticket.key, 0),
            txn::none_in(&keys.in_the_way_of(kind)),
            txn::none_in(&keys.semaphore()),
        ],
        vec![txn::put(&ticket.key, &value, ticket.granted.id)],
        vec![
            txn::get(&ticket.key),
            txn::oldest(&keys.queue(), 1),
            txn::oldest(&keys.semaphore(), 1),
        ],
    );
    let mut outcome = match ticket.create(core, request, stop).await {
        Ok(outcome) => outcome,
        Err(absent) => return Err(give_up(core, &ticket, absent).await),
    };
    if outcome.succeeded {
        ticket.revision = outcome.revision;
    } else if let Some(own) = outcome.key() {
        // An attempt whose answer was lost has taken it.
        ticket.revision = own.create_revision;
    } else {
        ticket.is_gone(core);
        let (first, semaphore) = (outcome.key(), outcome.key());
        return Err(match (first, semaphore) {
            (None, Some(_)) => Reason::UsedAsSemaphore.into(),
            (first, _) => Denied::Held(first.as_ref().and_then(Record::holder)),
        });
    }
    believe(core, &ticket, stop).await
}

/// Takes the lock in the order of arrival.
pub(crate) async fn wait(
    core: &Arc<Core>,
    keys: &Keys,
    kind: Kind,
    stop: &Stop,
) -> Result<Arc<Held>, Denied> {
    let mut ticket = Ticket::begin(core, keys, kind, stop).await?;
    let value = core.record.now(0, 0);
    let view = ticket.enter(core, &value, stop).await;
    let first = pass(core, &mut ticket, view, stop).await;
    match first {
        Ok(_) => believe(core, &ticket, stop).await,
        Err(absent) => Err(give_up(core, &ticket, absent).await),
    }
}

/// Waits until nothing stands before the ticket.
pub(crate) async fn pass(
    core: &Core,
    ticket: &mut Ticket,
    view: Result<View, Absent>,
    stop: &Stop,
) -> Result<View, Absent> {
    let mut view = view?;
    while let Some(before) = view.before {
        // Only the last key before this ticket is watched, so that each release wakes one waiter.
        let mut watch = core.watches.deletion(&before.key, view.revision + 1);
        tokio::select! {
            news = watch.news() => if news == News::Unknown {
                sleep(REFUSED_WATCH).await;
            },
            () = sleep(LONGEST_SILENCE) => {}
            () = ticket.granted.lease.changed() => {}
            () = stop.over() => return Err(Absent::Failed(Failure::Stopped)),
        }
        drop(watch);
        ticket.term = ticket.granted.lease.term();
        view = ticket.look(core, stop).await?;
    }
    Ok(view)
}

/// Ends a wait without a result: the ticket goes, and the answer names a holder.
pub(crate) async fn give_up(core: &Arc<Core>, ticket: &Ticket, absent: Absent) -> Denied {
    match absent {
        Absent::Failed(Failure::Stopped) => Denied::Held(ticket.withdraw(core).await),
        Absent::Failed(failure) => {
            ticket.withdraw(core).await;
            Reason::from(failure).into()
        }
        absent => {
            // A request that found the lease gone may follow one that did not.
            ticket.is_gone(core);
            match (absent, ticket.kind) {
                (Absent::WithoutLease, _) => Denied::WithoutLease,
                (Absent::OtherUse, Kind::Writer | Kind::Reader) => Reason::UsedAsSemaphore.into(),
                (Absent::OtherUse, _) => Reason::UsedAsLock.into(),
                _ => Reason::PlaceLost.into(),
            }
        }
    }
}

/// Turns a ticket with nothing before it into a lock that is held, once the lease is confirmed: a grant that came
/// after the deadline may be of a lease that has ended since.
pub(crate) async fn believe(
    core: &Arc<Core>,
    ticket: &Ticket,
    stop: &Stop,
) -> Result<Arc<Held>, Denied> {
    let lease = &ticket.granted.lease;
    let belief = Belief::new(Arc::clone(lease), ticket.term);
    loop {
        match belief.state() {
            HoldState::Valid => return Ok(Held::begin(core, ticket, belief)),
            HoldState::Lost => return Err(give_up(core, ticket, Absent::Gone).await),
            _ => {}
        }
        tokio::select! {
            () = lease.changed() => {}
            () = sleep(UNCONFIRMED) => {}
            () = stop.over() => {
                let failure = Failure::Unreachable("the lease was not confirmed in time".to_owned());
                return Err(give_up(core, ticket, Absent::Failed(failure)).await);
            }
        }
        if belief.needs_proof() {
            let term = lease.term();
            match ticket.look(core, stop).await {
                Ok(_) => belief.prove(term),
                Err(absent) => return Err(give_up(core, ticket, absent).await),
            }
        }
    }
}
