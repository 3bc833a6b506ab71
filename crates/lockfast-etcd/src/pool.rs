//! Taking permits.
//!
//! Waiters for permits pass a gate, one at a time and in the order of arrival. The one in the gate waits
//! until enough permits are free, takes them and leaves the gate, in one transaction. So nobody overtakes, and a
//! release wakes one waiter.

use std::sync::Arc;

use tokio::time::sleep;

use crate::core::Core;
use crate::failure::{Failure, Reason};
use crate::hold::Held;
use crate::keys::{Keys, Kind};
use crate::proto::KeyValue;
use crate::queue::{Denied, LONGEST_SILENCE, REFUSED_WATCH, believe, give_up, pass};
use crate::record::Record;
use crate::stop::Stop;
use crate::ticket::{Absent, Ticket, View};
use crate::txn;
use crate::watches::News;

/// The permits that an acquisition wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// The number of permits of the semaphore.
    pub(crate) limit: u32,
    pub(crate) count: u32,
}

impl Wanted {
    /// Whether that many are free beside those that are held.
    fn is_free(self, held: &[KeyValue]) -> Result<bool, Denied> {
        let mut taken = 0_u32;
        for key in held {
            let record = Record::read(key);
            self.ensure_same_limit(&record)?;
            taken = taken.saturating_add(record.count);
        }
        Ok(taken.saturating_add(self.count) <= self.limit)
    }

    fn ensure_same_limit(self, record: &Record) -> Result<(), Denied> {
        // A record without a limit is not one of ours, and nothing is known of it.
        if record.limit == 0 || record.limit == self.limit {
            return Ok(());
        }
        Err(Denied::OtherPermits {
            wanted: self.limit,
            theirs: record.limit,
        })
    }
}

/// Reads the permits that are held.
pub(crate) async fn taken(core: &Core, keys: &Keys, stop: &Stop) -> Result<u32, Failure> {
    let read = vec![txn::oldest(&keys.permits(), 0)];
    let mut outcome = core.txn(txn::when(vec![], read, vec![]), stop).await?;
    let counts = outcome.keys();
    let counts = counts.iter().map(|key| Record::read(key).count);
    Ok(counts.fold(0, u32::saturating_add))
}

/// Takes permits, if enough are free and nobody waits.
pub(crate) async fn attempt(
    core: &Arc<Core>,
    keys: &Keys,
    wanted: Wanted,
    stop: &Stop,
) -> Result<Arc<Held>, Denied> {
    let mut ticket = Ticket::begin(core, keys, Kind::Permits, stop).await?;
    match take_free(core, keys, wanted, &mut ticket, stop).await {
        Ok(Ok(())) => believe(core, &ticket, stop).await,
        Ok(Err(denied)) => {
            ticket.is_gone(core);
            Err(denied)
        }
        Err(absent) => Err(give_up(core, &ticket, absent).await),
    }
}

/// Has the ticket take permits, if enough are free and nobody waits; else says why not.
async fn take_free(
    core: &Core,
    keys: &Keys,
    wanted: Wanted,
    ticket: &mut Ticket,
    stop: &Stop,
) -> Result<Result<(), Denied>, Absent> {
    let value = core.record.now(wanted.limit, wanted.count);
    let gate = keys.in_the_way_of(Kind::Gate);
    loop {
        ticket.term = ticket.granted.lease.term();
        let read = vec![
            txn::get(&ticket.key),
            txn::oldest(&gate, 1),
            txn::oldest(&keys.permits(), 0),
            txn::oldest(&keys.queue(), 1),
        ];
        let mut seen = core.txn(txn::when(vec![], read, vec![]), stop).await?;
        if let Some(own) = seen.key() {
            // An attempt whose answer was lost has taken them.
            ticket.revision = own.create_revision;
            return Ok(Ok(()));
        }
        let (waiting, held, lock) = (seen.key(), seen.keys(), seen.key());
        if lock.is_some() {
            return Ok(Err(Reason::UsedAsLock.into()));
        }
        let same = waiting.as_ref().map_or(Ok(()), |waiting| {
            wanted.ensure_same_limit(&Record::read(waiting))
        });
        match same.and_then(|()| wanted.is_free(&held)) {
            Ok(true) if waiting.is_none() => {}
            Ok(_) => {
                let first = held.first().or(waiting.as_ref());
                return Ok(Err(Denied::Held(first.and_then(Record::holder))));
            }
            Err(other) => return Ok(Err(other)),
        }
        let request = txn::when(
            vec![
                txn::created(&ticket.key, 0),
                txn::none_in(&gate),
                txn::none_in(&keys.queue()),
                txn::not_written_since(&keys.permits(), seen.revision),
            ],
            vec![txn::put(&ticket.key, &value, ticket.granted.id)],
            vec![],
        );
        let outcome = ticket.create(core, request, stop).await?;
        if outcome.succeeded {
            ticket.revision = outcome.revision;
            return Ok(Ok(()));
        }
        // Somebody else took permits in between, or this did, and its answer was lost.
        if stop.is_over() {
            return Err(Failure::Stopped.into());
        }
    }
}

/// Takes permits in the order of arrival.
pub(crate) async fn wait(
    core: &Arc<Core>,
    keys: &Keys,
    wanted: Wanted,
    stop: &Stop,
) -> Result<Arc<Held>, Denied> {
    let mut gate = Ticket::begin(core, keys, Kind::Gate, stop).await?;
    let mut permits = gate.with_kind(Kind::Permits);
    let value = core.record.now(wanted.limit, wanted.count);
    let view = gate.enter(core, &value, stop).await;
    let view = match view {
        Ok(view) => match same_limit(&view, wanted) {
            Ok(()) => pass(core, &mut gate, Ok(view), stop).await,
            Err(other) => {
                gate.withdraw(core).await;
                return Err(other);
            }
        },
        Err(absent) => Err(absent),
    };
    let mut view = match view {
        Ok(view) => view,
        Err(absent) => return Err(give_up(core, &gate, absent).await),
    };
    loop {
        match wanted.is_free(&view.rest.keys()) {
            Ok(true) => break,
            Ok(false) => {}
            Err(other) => {
                gate.withdraw(core).await;
                return Err(other);
            }
        }
        let mut watch = core.watches.range(&keys.permits(), view.revision + 1);
        tokio::select! {
            news = watch.news() => if news == News::Unknown {
                sleep(REFUSED_WATCH).await;
            },
            () = sleep(LONGEST_SILENCE) => {}
            () = gate.granted.lease.changed() => {}
            () = stop.over() => {
                return Err(give_up(core, &gate, Failure::Stopped.into()).await);
            }
        }
        drop(watch);
        view = match gate.look(core, stop).await {
            Ok(view) => view,
            Err(absent) => return Err(give_up(core, &gate, absent).await),
        };
    }
    permits.term = gate.granted.lease.term();
    let taken = leave_gate(core, &gate, &mut permits, &value, stop).await;
    match taken {
        Ok(()) => {
            gate.is_gone(core);
            believe(core, &permits, stop).await
        }
        Err(absent) => {
            // Both, because nobody knows which of them is there.
            permits.withdraw(core).await;
            Err(give_up(core, &gate, absent).await)
        }
    }
}

/// Takes the permits and leaves the gate. The one in the gate is the only one that adds permits, so those that were
/// free still are.
async fn leave_gate(
    core: &Core,
    gate: &Ticket,
    permits: &mut Ticket,
    value: &[u8],
    stop: &Stop,
) -> Result<(), Absent> {
    let request = txn::when(
        vec![txn::created(&gate.key, gate.revision)],
        vec![
            txn::put(&permits.key, value, permits.granted.id),
            txn::delete(&gate.key),
        ],
        vec![txn::get(&permits.key)],
    );
    permits.granted.expect(&permits.key);
    let mut outcome = permits.attempt(core, request, stop).await?;
    permits.revision = if outcome.succeeded {
        outcome.revision
    } else {
        // An attempt whose answer was lost has taken them.
        outcome.key().ok_or(Absent::Gone)?.create_revision
    };
    Ok(())
}

/// Fails if the one before has the semaphore open with another number of permits.
fn same_limit(view: &View, wanted: Wanted) -> Result<(), Denied> {
    match &view.before {
        Some(before) => wanted.ensure_same_limit(&Record::read(before)),
        None => Ok(()),
    }
}
