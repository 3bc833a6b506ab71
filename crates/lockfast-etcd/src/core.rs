//! State that the tasks of a client share.

use std::sync::Arc;

use lockfast::Resource;
use lockfast::engine::Operation;
use lockfast_lease::{Clock, Process};

use crate::address::Address;
use crate::failure::{Blame, Failure};
use crate::proto::TxnRequest;
use crate::record::Record;
use crate::servers::{Attempts, Servers};
use crate::session::Session;
use crate::stop::Stop;
use crate::transport::Transport;
use crate::txn::Outcome;
use crate::watches::Watches;

/// The parts of a client that its tasks work with.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) address: Address,
    pub(crate) servers: Arc<Servers>,
    pub(crate) session: Session,
    pub(crate) watches: Watches,
    pub(crate) record: Record,
    cluster: Arc<str>,
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
            servers,
            address,
        }
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
