//! State that the tasks of a client share.

use std::sync::Arc;

use lockfast::Resource;
use lockfast::engine::Operation;
use lockfast_lease::{Clock, Process};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::Instant;

use crate::address::Address;
use crate::failure::{Blame, Failure, Reason};
use crate::proto::{StatusRequest, StatusResponse, TxnRequest};
use crate::record::Record;
use crate::servers::{Attempts, Servers};
use crate::session::{Granted, Session};
use crate::stop::Stop;
use crate::transport::Transport;
use crate::txn::Outcome;
use crate::watches::Watches;

/// The oldest version that has all that locks need.
const OLDEST: (u32, u32) = (3, 4);
const MOST_DELETIONS: usize = 8;

/// The parts of a client that its tasks work with.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) address: Address,
    pub(crate) servers: Arc<Servers>,
    pub(crate) session: Session,
    pub(crate) watches: Watches,
    pub(crate) record: Record,
    cluster: Arc<str>,
    /// Set when a server has answered that it is new enough.
    usable: OnceCell<()>,
    /// Turns of deletions that nobody waits for, so that they do not pile up while no server answers.
    pub(crate) deletions: Semaphore,
}

impl Core {
    /// Returns the parts, whose tasks run on the runtime of the caller.
    pub(crate) fn new(
        address: Address,
        transport: Arc<dyn Transport>,
        clock: Clock,
        process: &Process,
    ) -> Self {
        let servers = Arc::new(Servers::new(transport, address.login.clone()));
        Self {
            session: Session::new(Arc::clone(&servers), clock, address.ttl),
            watches: Watches::start(Arc::clone(&servers)),
            record: Record::of(process),
            cluster: address.shown.as_str().into(),
            usable: OnceCell::new(),
            deletions: Semaphore::new(MOST_DELETIONS),
            servers,
            address,
        }
    }

    /// Asks a server whether it is there and new enough, unless one has answered.
    pub(crate) async fn ensure_usable(&self, stop: &Stop) -> Result<(), Reason> {
        let ask = async || {
            let stop = stop.no_later_than(Instant::now() + self.address.timeout);
            let status = self.servers.ask(StatusRequest {}, &stop).await?;
            let header = status.header.unwrap_or_default();
            self.session.saw_cluster(header.cluster_id);
            if is_too_old(&status) {
                return Err(Reason::TooOld(status.version));
            }
            Ok(())
        };
        self.usable.get_or_try_init(ask).await.copied()
    }

    /// The lease for a new key, on servers that are usable.
    pub(crate) async fn lease(&self, stop: &Stop) -> Result<Arc<Granted>, Reason> {
        let granted = self.session.lease().await?;
        let stop = &stop.patient();
        tokio::select! {
            biased;
            usable = self.ensure_usable(stop) => usable?,
            () = stop.over() => return Err(Reason::Unreachable("no answer in time".to_owned())),
        }
        Ok(granted)
    }

    /// The maker of the errors of an operation on that name.
    pub(crate) fn blame(&self, name: &str, operation: Operation) -> Blame {
        Blame {
            resource: Resource::named(name),
            operation,
            cluster: self.cluster.clone(),
        }
    }

    /// The maker of the errors about the cluster.
    pub(crate) fn blame_cluster(&self, operation: Operation) -> Blame {
        let cluster = self.cluster.clone();
        self.blame(&cluster, operation)
    }

    /// Carries out a transaction.
    pub(crate) async fn txn(&self, request: TxnRequest, stop: &Stop) -> Result<Outcome, Failure> {
        self.txn_counting(request, stop, &mut Attempts::default())
            .await
    }

    pub(crate) async fn txn_counting(
        &self,
        request: TxnRequest,
        stop: &Stop,
        attempts: &mut Attempts,
    ) -> Result<Outcome, Failure> {
        let response = self.servers.ask_counting(request, stop, attempts).await?;
        let outcome = Outcome::of(response);
        self.session.saw_cluster(outcome.cluster);
        Ok(outcome)
    }
}

/// Whether the server lacks what locks need. A version that is not understood is taken to be new.
pub(crate) fn is_too_old(status: &StatusResponse) -> bool {
    let mut parts = status.version.split('.').map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < OLDEST,
        _ => false,
    }
}
