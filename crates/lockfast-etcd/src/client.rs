//! The client of a cluster.

use std::sync::Arc;

use lockfast::Result;
use lockfast::engine::{Capabilities, Operation};
use lockfast_lease::Process;
use tokio::time::Instant;

use crate::address::Address;
use crate::connection::Connection;
use crate::core::Core;
use crate::failure::{Blame, Reason};
use crate::lock::{self, EtcdLock};
use crate::proto::{StatusRequest, StatusResponse};
use crate::semaphore::EtcdSemaphore;
use crate::stop::Stop;

/// The oldest version that has all that locks need.
const OLDEST: (u32, u32) = (3, 4);

/// A client of an etcd cluster, with one connection, one lease and one thread for all of its locks. Clones share
/// them.
#[derive(Clone, Debug)]
pub struct Client {
    connection: Arc<Connection>,
}

impl Client {
    /// Connects to the cluster with that URL: `etcd://host:port,host:port/prefix?ttl=15s`.
    ///
    /// With `etcds://` the connection is encrypted. Options are `ttl` (how long a lock stays with a process that
    /// the servers do not hear of), `timeout` (to connect and to release), `user`, `password-file`, `ca`, `cert`
    /// and `key`. A password is read from that file, or from the environment variable `LOCKFAST_PASSWORD`.
    ///
    /// # Blocking
    ///
    /// Blocks until a server has answered, or until the timeout.
    ///
    /// # Errors
    ///
    /// If the URL is not understood, or no server answers, or they are too old or refuse the user.
    pub fn open(url: &str) -> Result<Self> {
        Self::open_as(url, &Process::current())
    }

    /// Connects as [`open`](Self::open) does, for a process that describes itself in that way.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_as(url: &str, process: &Process) -> Result<Self> {
        let address = Address::parse(url)?;
        let connection = Connection::start(address, process)?;
        let client = Self { connection };
        client.ensure_usable()?;
        Ok(client)
    }

    /// Opens the lock with that name.
    ///
    /// # Errors
    ///
    /// If a lock can't have that name.
    pub fn lock(&self, name: &str) -> Result<EtcdLock> {
        EtcdLock::new(&self.connection, name)
    }

    /// Opens the semaphore with that name and number of permits.
    ///
    /// # Errors
    ///
    /// If a semaphore can't have that name, or has no permits.
    pub fn semaphore(&self, name: &str, permits: u32) -> Result<EtcdSemaphore> {
        EtcdSemaphore::new(&self.connection, name, permits)
    }

    /// The features of locks on etcd.
    pub fn capabilities(&self) -> Capabilities {
        lock::capabilities()
    }

    /// The epoch of the tokens: the id of the cluster that answered last. A cluster that is restored from a copy has
    /// another one if it has another `--initial-cluster-token`, or other addresses of its members.
    pub fn epoch(&self) -> u64 {
        self.connection.core().session.epoch()
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    pub(crate) fn core(&self) -> Arc<Core> {
        Arc::clone(self.connection.core())
    }

    /// The maker of the errors about the cluster, unless this is a forked child.
    pub(crate) fn blame(&self, operation: Operation) -> Result<Blame> {
        let blame = self.connection.core().blame_cluster(operation);
        self.connection.ensure_not_forked(&blame)?;
        Ok(blame)
    }

    /// Asks a server whether it is there and new enough.
    fn ensure_usable(&self) -> Result<()> {
        let blame = self.blame(Operation::UseDirectory)?;
        let core = Arc::clone(self.connection.core());
        let status = self.connection.run(async move {
            let stop = Stop::at(Some(Instant::now() + core.address.timeout));
            let answer = core.servers.ask(StatusRequest {}, &stop).await;
            if let Ok(answer) = &answer {
                let header = answer.header.unwrap_or_default();
                core.session.saw_cluster(header.cluster_id);
            }
            answer
        })?;
        let status = status.map_err(|failure| blame.failure(failure))?;
        if is_too_old(&status) {
            return Err(blame.reason(Reason::TooOld(status.version)));
        }
        Ok(())
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
