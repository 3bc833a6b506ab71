//! A ticket: a key in the order of arrival, which is the lock once no other key is in its way.

use std::sync::Arc;
use std::time::Duration;

use lockfast::Holder;
use tokio::time::sleep;

use crate::core::Core;
use crate::failure::{Failure, Reason};
use crate::keys::{self, Keys, Kind};
use crate::proto::{KeyValue, TxnRequest};
use crate::record::Record;
use crate::servers::Attempts;
use crate::session::Granted;
use crate::stop::Stop;
use crate::txn::{self, Outcome};

/// The limit of a deletion that somebody waits for.
const LONGEST_DELETE: Duration = Duration::from_secs(1);
/// The pauses before a request is undone that had no answer: it may still be on its way, for as long as servers keep
/// one.
pub(crate) const LATE_REQUESTS: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(8)];

/// A key of an acquisition.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    pub(crate) keys: Keys,
    pub(crate) kind: Kind,
    /// The number of the acquisition.
    id: u128,
    pub(crate) key: Vec<u8>,
    pub(crate) granted: Arc<Granted>,
    /// The revision at which it was created; 0 as long as that is not known.
    pub(crate) revision: i64,
    /// The term of the lease in which the last request was sent that showed it.
    pub(crate) term: u64,
    /// Whether a request to create it had no answer: it may still be carried out, even after a release.
    pub(crate) may_come_late: bool,
}

/// The part of the queue before a ticket.
#[derive(Debug)]
pub(crate) struct View {
    /// The last key before it that is in its way.
    pub(crate) before: Option<KeyValue>,
    /// The revision at which this was seen.
    pub(crate) revision: i64,
    /// The other keys that were asked for.
    pub(crate) rest: Outcome,
}

/// The reasons why a ticket is not there.
#[derive(Debug)]
pub(crate) enum Absent {
    /// Its lease has ended, or somebody deleted it.
    Gone,
    /// It was never there: the lease had ended before.
    WithoutLease,
    /// The name is used for another primitive.
    OtherUse,
    Failed(Failure),
}

impl From<Failure> for Absent {
    fn from(failure: Failure) -> Self {
        if failure.is_without_lease() {
            Self::Gone
        } else {
            Self::Failed(failure)
        }
    }
}

impl Ticket {
    /// Begins an acquisition: a ticket under the lease of this client, not created yet.
    pub(crate) async fn begin(
        core: &Core,
        keys: &Keys,
        kind: Kind,
        stop: &Stop,
    ) -> Result<Self, Reason> {
        let granted = core.lease(stop).await?;
        let id = keys::random().map_err(Reason::NoThread)?;
        Ok(Self {
            keys: keys.clone(),
            kind,
            id,
            key: keys.ticket(kind, id),
            granted,
            revision: 0,
            term: 0,
            may_come_late: false,
        })
    }

    /// Another ticket of the same acquisition, not created yet.
    pub(crate) fn with_kind(&self, kind: Kind) -> Self {
        Self {
            kind,
            key: self.keys.ticket(kind, self.id),
            revision: 0,
            term: 0,
            may_come_late: false,
            ..self.clone()
        }
    }

    /// Carries out a transaction that creates the key. A server has time to answer, however short the wait is.
    pub(crate) async fn create(
        &mut self,
        core: &Core,
        request: TxnRequest,
        stop: &Stop,
    ) -> Result<Outcome, Absent> {
        let stop = &stop.patient();
        let is_early = match self.granted.answer() {
            Some(answer) => answer.map(|_| false)?,
            None => true,
        };
        self.granted.expect(&self.key);
        self.term = self.granted.lease.term();
        let mut outcome = self.attempt(core, request.clone(), stop).await;
        if is_early {
            // Locks rely on the answer to the grant too, whichever is first.
            let began = self.granted.settled(stop).await?;
            match &outcome {
                // It overtook the grant.
                Err(failure) if failure.is_without_lease() => {
                    self.term = self.granted.lease.term();
                    outcome = self.attempt(core, request, stop).await;
                }
                _ => self.term = began.unwrap_or(self.term),
            }
        }
        if outcome.as_ref().is_err_and(Failure::is_without_lease) {
            // It was granted, so it has ended, before this client heard of that.
            self.granted.lease.end();
            return Err(Absent::WithoutLease);
        }
        Ok(outcome?)
    }

    pub(crate) async fn attempt(
        &mut self,
        core: &Core,
        request: TxnRequest,
        stop: &Stop,
    ) -> Result<Outcome, Failure> {
        let mut attempts = Attempts::default();
        let outcome = core.txn_counting(request, stop, &mut attempts).await;
        self.may_come_late |= attempts.any_unknown;
        outcome
    }

    /// Creates the key, and returns what stands before it. The request can be repeated, because the key is of this
    /// acquisition alone.
    pub(crate) async fn enter(
        &mut self,
        core: &Core,
        value: &[u8],
        stop: &Stop,
    ) -> Result<View, Absent> {
        let range = self.keys.in_the_way_of(self.kind);
        let (other_use, permits) = match self.kind {
            Kind::Writer | Kind::Reader => (self.keys.semaphore(), None),
            Kind::Gate | Kind::Permits => (self.keys.queue(), Some(self.keys.permits())),
        };
        let mut success = vec![
            txn::put(&self.key, value, self.granted.id),
            // Itself and the one before.
            txn::latest(&range, 2),
        ];
        success.extend(permits.iter().map(|range| txn::oldest(range, 0)));
        let request = txn::when(
            vec![txn::created(&self.key, 0), txn::none_in(&other_use)],
            success,
            vec![txn::get(&self.key)],
        );
        let mut outcome = self.create(core, request, stop).await?;
        if outcome.succeeded {
            self.revision = outcome.revision;
            let before = outcome.keys();
            return Ok(View {
                before: before.into_iter().find(|key| key.key != self.key),
                revision: outcome.revision,
                rest: outcome,
            });
        }
        match outcome.key() {
            // An attempt whose answer was lost has created it.
            Some(own) => {
                self.revision = own.create_revision;
                self.look(core, stop).await
            }
            None => Err(Absent::OtherUse),
        }
    }

    /// Returns what stands before the ticket now.
    pub(crate) async fn look(&self, core: &Core, stop: &Stop) -> Result<View, Absent> {
        let range = self.keys.in_the_way_of(self.kind);
        let mut success = vec![
            txn::get(&self.key),
            txn::latest_before(&range, self.revision, 1),
        ];
        if self.kind == Kind::Gate {
            success.push(txn::oldest(&self.keys.permits(), 0));
        }
        let mut outcome = core.txn(txn::when(vec![], success, vec![]), stop).await?;
        let own = outcome.key();
        if own.is_none_or(|own| own.create_revision != self.revision) {
            return Err(Absent::Gone);
        }
        Ok(View {
            before: outcome.key(),
            revision: outcome.revision,
            rest: outcome,
        })
    }

    /// Deletes the ticket of a wait that is over, and returns a holder. What fails is tried again behind the
    /// scenes: the lease is kept alive, so the key would stay in the way of others.
    pub(crate) async fn withdraw(&self, core: &Arc<Core>) -> Option<Holder> {
        let stop = Stop::at(Some(tokio::time::Instant::now() + LONGEST_DELETE));
        let others = match self.kind {
            Kind::Writer | Kind::Reader => self.keys.queue(),
            Kind::Gate | Kind::Permits => self.keys.permits(),
        };
        let request = txn::when(
            vec![],
            vec![txn::delete(&self.key), txn::oldest(&others, 1)],
            vec![],
        );
        let outcome = core.txn(request, &stop).await;
        if outcome.is_err() {
            let (core, ticket) = (Arc::clone(core), self.clone());
            tokio::spawn(async move {
                ticket.delete(&core).await;
                ticket.delete_late(&core).await;
            });
        } else {
            self.is_gone(core);
        }
        Record::holder(&outcome.ok()?.key()?)
    }

    /// Records that the key is not there, and sees to it that it does not come back by a request that is carried out
    /// late.
    pub(crate) fn is_gone(&self, core: &Arc<Core>) {
        if self.may_come_late {
            let (core, ticket) = (Arc::clone(core), self.clone());
            tokio::spawn(async move { ticket.delete_late(&core).await });
        } else {
            self.granted.forget(&self.key);
        }
    }

    async fn delete_late(&self, core: &Core) {
        if self.may_come_late {
            for pause in LATE_REQUESTS {
                sleep(pause).await;
                self.delete(core).await;
            }
        }
        self.granted.forget(&self.key);
    }

    /// Deletes the key, however often that has to be tried.
    async fn delete(&self, core: &Core) {
        let request = txn::when(vec![], vec![txn::delete(&self.key)], vec![]);
        // Without an end but that of the lease, which frees the key too.
        let stop = Stop::default();
        let deleted = async {
            // Nobody closes it.
            let _turn = core.deletions.acquire().await;
            core.txn(request, &stop).await
        };
        tokio::select! {
            _ = deleted => {}
            () = ended(&self.granted) => {}
        }
    }
}

/// Completes when the lease has ended.
pub(crate) async fn ended(granted: &Granted) {
    while granted.lease.state() != lockfast::HoldState::Lost {
        granted.lease.changed().await;
    }
}
