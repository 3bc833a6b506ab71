//! A client that does one thing at a time, as a test tells it, for faults of a certain process at a certain moment.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use lockfast::engine::Engine;
use lockfast::{ErrorKind, LockGuard};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use lockfast_servers::network::Host;

use crate::place::{Held, OnEtcd, OnPostgres, Place};

/// The name of the lock that steps are about.
pub(crate) const NAME: &str = "stepped";

/// A wait that ends only when something is wrong.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Answers each line of the input with one.
pub(crate) fn answer(arguments: &[String]) {
    let url = &arguments[0];
    if url.starts_with("etcd") {
        take_steps(&OnEtcd::open(url));
    } else {
        take_steps(&OnPostgres::open(url));
    }
}

fn take_steps<P: Place>(place: &P) {
    let lock = place.lock(NAME);
    let mut guard = None;
    for line in io::stdin().lines() {
        let answer = match &*line.expect("a line") {
            "lock" => match lock.try_lock_for(LONG) {
                Ok(held) => {
                    let token = held.token().expect("a token");
                    guard = Some(held);
                    format!("held {token}")
                }
                Err(error) => format!("failed {:?} {error}", error.kind()),
            },
            "state" => guard.as_ref().map_or("none".to_owned(), shown),
            "release" => released(guard.take()),
            other => panic!("no step {other}"),
        };
        println!("{answer}");
    }
}

fn shown<E: Engine>(guard: &LockGuard<E>) -> String {
    format!("{:?}", Held::state(guard))
}

fn released<E: Engine>(guard: Option<LockGuard<E>>) -> String {
    match guard.map(Held::release) {
        None => "none".to_owned(),
        Some(Ok(())) => "released".to_owned(),
        Some(Err(error)) if error.kind() == ErrorKind::NotHeld => "lost".to_owned(),
        Some(Err(error)) => format!("unknown {error}"),
    }
}

/// The process of such a client.
#[derive(Debug)]
pub(crate) struct Stepper {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Stepper {
    /// Starts a client, on that host or on this one.
    pub(crate) fn start(url: &str, host: Option<&Host>) -> Self {
        let mut command = match host {
            None => Command::new("setpriv"),
            Some(host) => host.command("setpriv"),
        };
        let mut child = command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(env::current_exe().expect("this program"))
            .args(["steps", url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a client");
        let input = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Self {
            child,
            input,
            output,
        }
    }

    /// Has the client take a step, without waiting for the answer.
    pub(crate) fn begin(&mut self, step: &str) {
        writeln!(self.input, "{step}").expect("the client reads");
    }

    pub(crate) fn answer(&mut self) -> String {
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .expect("the client answers");
        line.trim_end().to_owned()
    }

    pub(crate) fn step(&mut self, step: &str) -> String {
        self.begin(step);
        self.answer()
    }

    /// Takes the lock and returns its token.
    pub(crate) fn lock(&mut self) -> u64 {
        self.begin("lock");
        self.granted()
    }

    /// Waits for the answer to `lock`, and returns the token.
    pub(crate) fn granted(&mut self) -> u64 {
        let answer = self.answer();
        let token = answer.strip_prefix("held ");
        let token = token.unwrap_or_else(|| panic!("{answer}"));
        token.parse().expect("a token")
    }

    pub(crate) fn pause(&self) {
        self.send(Signal::SIGSTOP);
    }

    pub(crate) fn resume(&self) {
        self.send(Signal::SIGCONT);
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("its end");
    }

    fn send(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("an id of a process");
        kill(Pid::from_raw(id), signal).expect("sent");
    }
}

impl Drop for Stepper {
    fn drop(&mut self) {
        // Does nothing to a client that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
