//! The processes of the clients.

use std::env;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use lockfast_servers::network::Host;

use crate::client::Orders;

/// A client that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Client {
    child: Child,
    /// The client stops when this is closed.
    input: Option<ChildStdin>,
}

impl Client {
    /// Starts a client, on that host or on this one.
    pub(crate) fn start(orders: &Orders, host: Option<&Host>) -> Self {
        let mut command = match host {
            None => Command::new("setpriv"),
            Some(host) => host.command("setpriv"),
        };
        let own = env::current_exe().expect("this program");
        let mut child = command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(own)
            .args(orders.to_arguments())
            .stdin(Stdio::piped())
            .spawn()
            .expect("a client");
        let input = child.stdin.take();
        Self { child, input }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("its end");
    }

    pub(crate) fn pause(&self) {
        self.send(Signal::SIGSTOP);
    }

    pub(crate) fn resume(&self) {
        self.send(Signal::SIGCONT);
    }

    /// Has the client end what it does, and waits for it.
    pub(crate) fn stop(mut self, limit: Duration) {
        drop(self.input.take());
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("its state") {
                assert!(status.success(), "a client failed: {status}");
                return;
            }
            assert!(begin.elapsed() < limit, "a client does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn send(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("an id of a process");
        kill(Pid::from_raw(id), signal).expect("sent");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Does nothing to a client that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
