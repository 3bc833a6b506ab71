//! The thread of an engine.

use std::future::Future;
use std::io;
use std::process;
use std::thread::{self, ThreadId};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::Belief;

/// A thread of its own that runs the tasks of a client: it keeps leases alive whatever the program does, and is
/// neither in the runtime of the program nor under the lock of an interpreter.
///
/// Dropping it ends the thread; tasks that are not over are dropped. A forked child has no such thread.
#[derive(Debug)]
pub struct Runtime {
    handle: Handle,
    thread: ThreadId,
    /// The process that has the thread. Others are forked children.
    process: u32,
    /// Dropping it ends the thread.
    end: Option<oneshot::Sender<()>>,
}

impl Runtime {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// If the system has no thread or no file descriptor left.
    pub fn start(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                // Either way the sender is gone.
                let _ = runtime.block_on(ended);
            })?;
        Ok(Self {
            handle,
            thread: thread.thread().id(),
            process: process::id(),
            end: Some(end),
        })
    }

    /// Runs the task on the thread.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // What it returns is for those who want the result, and all answers go through channels.
        drop(self.handle.spawn(task));
    }

    /// The handle of the runtime, to spawn from its tasks.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Whether the calling thread is the one of the runtime, which must never block.
    pub fn is_current(&self) -> bool {
        thread::current().id() == self.thread
    }

    /// Whether this process is a forked child of the one that has the thread.
    pub fn is_forked_child(&self) -> bool {
        process::id() != self.process
    }

    /// Completes when the lock is lost, or not confirmed in time; at once in a forked child, which has no thread that
    /// would report it.
    pub fn lost(&self, belief: &Belief) -> impl Future<Output = ()> + Send + 'static {
        let lost = (!self.is_forked_child()).then(|| belief.lost());
        async move {
            if let Some(lost) = lost {
                lost.await;
            }
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let end = self.end.take();
        // Its drop would wake the thread of the parent, whose file descriptors a child shares.
        if self.is_forked_child() {
            std::mem::forget(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn runs_tasks_on_its_own_thread_until_it_is_dropped() {
        let runtime = Runtime::start("lease-test").expect("started");
        let (sender, receiver) = mpsc::channel();
        let end = sender.clone();
        runtime.spawn(async move {
            sender
                .send(thread::current().name().map(str::to_owned))
                .expect("awaited");
        });
        assert_eq!(receiver.recv(), Ok(Some("lease-test".to_owned())));
        runtime.spawn(async move {
            let _end = end;
            std::future::pending::<()>().await;
        });
        assert!(!runtime.is_current() && !runtime.is_forked_child());
        drop(runtime);
        assert!(receiver.recv().is_err(), "the task is dropped");
    }
}
