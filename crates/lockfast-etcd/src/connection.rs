//! The thread of a client, with what it works on.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, mpsc};

use lockfast::engine::{Cause, Operation};
use lockfast::{Error, Result};
use lockfast_lease::runtime::Runtime;
use lockfast_lease::{Clock, Process, Threads};
use tonic::Status;

use crate::address::Address;
use crate::core::Core;
use crate::failure::{Blame, Reason};
use crate::stop::Done;
use crate::transport::grpc;

/// A connection to a cluster: ended when the last lock, guard and client that use it are gone.
pub(crate) struct Connection {
    runtime: Runtime,
    core: Arc<Core>,
    /// The threads that hold locks, so that a wait for oneself is noticed.
    threads: Threads<Arc<str>>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("cluster", &self.core.address.shown)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Starts the thread. Nothing is connected yet.
    pub(crate) fn start(address: Address, process: &Process) -> Result<Arc<Self>> {
        let blame = Blame {
            resource: lockfast::Resource::named(&*address.shown),
            operation: Operation::UseDirectory,
            cluster: address.shown.as_str().into(),
        };
        let runtime = Runtime::start("lockfast-etcd")
            .map_err(|error| blame.reason(Reason::NoThread(error)))?;
        let core = {
            let _context = runtime.handle().enter();
            let servers = grpc::Servers::new(&address)
                .map_err(|error| blame.reason(Reason::Connect(error)))?;
            Core::new(address, Arc::new(servers), Clock::boot(), process)
        };
        Ok(Arc::new(Self {
            runtime,
            core: Arc::new(core),
            threads: Threads::default(),
        }))
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn threads(&self) -> &Threads<Arc<str>> {
        &self.threads
    }

    /// Fails in a forked child, which has no such thread.
    pub(crate) fn ensure_not_forked(&self, blame: &Blame) -> Result<()> {
        if self.runtime.is_forked_child() {
            return Err(blame.cause(FORKED));
        }
        Ok(())
    }

    /// Has the thread do the work, and blocks until it is done.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        let (sender, answer) = mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            // The caller waits.
            let _ = sender.send(work.await);
        });
        answer.recv().map_err(|_| self.is_gone())
    }

    /// Has the thread do the work of a drop, and blocks for as long as a drop may.
    pub(crate) fn finish(&self, work: impl Future<Output = ()> + Send + 'static) {
        let done = Done::default();
        let is_done = done.clone();
        self.runtime.spawn(async move {
            work.await;
            is_done.set();
        });
        self.wait_for(&done);
    }

    /// Blocks for as long as a drop may, unless this is the thread that has to do the work.
    pub(crate) fn wait_for(&self, done: &Done) {
        if !self.runtime.is_current() {
            done.wait();
        }
    }

    /// The error of work that the thread did not do, because it has ended.
    pub(crate) fn is_gone(&self) -> Error {
        let blame = self.core.blame_cluster(Operation::UseDirectory);
        blame.reason(Reason::Refused(Status::cancelled("its thread has ended")))
    }
}

pub(crate) const FORKED: Cause = Cause::NotHeld(
    "this is a forked child; open the space again there, because the connection is of the parent",
);

impl Drop for Connection {
    fn drop(&mut self) {
        // The thread, the connection and the lease are of the parent.
        if self.runtime.is_forked_child() {
            // Its drop would wake that thread, and may need what it had locked.
            std::mem::forget(Arc::clone(&self.core));
            return;
        }
        let core = Arc::clone(&self.core);
        self.finish(async move { core.session.revoke().await });
    }
}
