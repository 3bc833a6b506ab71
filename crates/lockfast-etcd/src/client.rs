//! The client of a cluster.

use std::sync::Arc;

use lockfast::Result;
use lockfast::engine::{Capabilities, Operation};
use lockfast_lease::Process;

use crate::address::Address;
use crate::connection::Connection;
use crate::core::Core;
use crate::failure::Blame;
use crate::lock::{self, EtcdLock};
use crate::semaphore::EtcdSemaphore;
use crate::stop::Stop;

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
        let client = Self::connect_as(url, process)?;
        let blame = client.blame(Operation::UseDirectory)?;
        let core = client.core();
        let usable = client
            .connection
            .run(async move { core.ensure_usable(&Stop::default()).await })?;
        usable.map_err(|reason| blame.reason(reason))?;
        Ok(client)
    }

    /// Returns a client at once, which connects when it takes its first lock. The errors of [`open`](Self::open)
    /// about the servers are then those of that lock. So a program that takes one lock waits once.
    ///
    /// # Errors
    ///
    /// If the URL is not understood.
    pub fn connect(url: &str) -> Result<Self> {
        Self::connect_as(url, &Process::current())
    }

    fn connect_as(url: &str, process: &Process) -> Result<Self> {
        let address = Address::parse(url)?;
        let connection = Connection::start(address, process)?;
        Ok(Self { connection })
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
}
