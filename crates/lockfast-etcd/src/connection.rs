//! The thread of a client, with what it works on.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, ThreadId};

use lockfast::engine::{Cause, Mode, Operation};
use lockfast::{Error, HoldState, Result};
use lockfast_lease::runtime::Runtime;
use lockfast_lease::{Belief, Clock, Process};
use tonic::Status;

use crate::address::Address;
use crate::core::Core;
use crate::failure::{Blame, Reason};
use crate::hold::Held;
use crate::stop::Done;
use crate::transport::grpc;

/// A connection to a cluster: ended when the last lock, guard and client that use it are gone.
pub(crate) struct Connection {
    runtime: Runtime,
    core: Arc<Core>,
    /// The locks that threads hold, so that a wait for oneself is noticed.
    held_by_threads: Mutex<Vec<HeldBy>>,
}

/// A lock that was taken by a thread, and is held.
#[derive(Debug)]
struct HeldBy {
    thread: ThreadId,
    name: Arc<str>,
    mode: Mode,
    token: u64,
    belief: Belief,
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
            held_by_threads: Mutex::default(),
        }))
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
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

    /// Whether this thread would wait for itself.
    pub(crate) fn is_held_here(&self, name: &str, mode: Mode) -> bool {
        let here = thread::current().id();
        let both_read = |held: &HeldBy| (held.mode, mode) == (Mode::Read, Mode::Read);
        // Not by one that has lost it, and has kept its guard.
        let is_lost = |held: &HeldBy| held.belief.state() == HoldState::Lost;
        self.by_threads().iter().any(|held| {
            held.thread == here && &*held.name == name && !both_read(held) && !is_lost(held)
        })
    }

    pub(crate) fn holds_here(&self, name: &Arc<str>, mode: Mode, held: &Held) {
        self.by_threads().push(HeldBy {
            thread: thread::current().id(),
            name: Arc::clone(name),
            mode,
            token: held.token(),
            belief: held.belief.clone(),
        });
    }

    pub(crate) fn no_thread_holds(&self, token: u64) {
        self.by_threads().retain(|held| held.token != token);
    }

    fn by_threads(&self) -> MutexGuard<'_, Vec<HeldBy>> {
        self.held_by_threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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
