//! A client that does one thing at a time, as a test tells it, for faults of a certain process at a certain moment.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, SystemTime};

use lockfast::engine::Engine;
use lockfast::{ErrorKind, Lock, LockGuard};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, alarm, fork};

use lockfast_servers::WallClock;
use lockfast_servers::network::Host;

use crate::place::{Held, OnEtcd, OnPostgres, Place};

/// The name of the lock that steps are about.
pub(crate) const NAME: &str = "stepped";

/// A wait that ends only when something is wrong.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// The reason why there is a guard.
const HOLDER: &str = "a step of a holder";

/// Answers each line of the input with one.
pub(crate) fn answer(arguments: &[String]) {
    let url = &arguments[0];
    if url.starts_with("etcd") {
        take_steps(OnEtcd::open(url));
    } else {
        take_steps(OnPostgres::open(url));
    }
}

fn take_steps<P: Place>(place: P) {
    let lock = place.lock(NAME);
    let mut guard = None;
    for line in io::stdin().lines() {
        let answer = match &*line.expect("a line") {
            "lock" => granted(lock.try_lock_for(LONG), &mut guard),
            "try" => granted(lock.try_lock(), &mut guard),
            "state" => guard.as_ref().map_or("none".to_owned(), shown),
            "lost" => guard.as_ref().expect(HOLDER).lost_within(LONG).to_string(),
            "epoch" => guard.as_ref().expect(HOLDER).epoch().to_string(),
            "release" => released(guard.take()),
            "clock" => wall_clock().to_string(),
            "end" => return,
            step @ ("fork and release" | "fork and drop") => match forked() {
                ForkResult::Parent { child } => ended(child),
                ForkResult::Child => {
                    let guard = guard.take().expect(HOLDER);
                    println!("{}", tried_by_child(&lock, &guard));
                    match step {
                        "fork and release" => println!("{}", released(Some(guard))),
                        _ => drop(guard),
                    }
                    drop((lock, place));
                    leave();
                }
            },
            other => panic!("no step {other}"),
        };
        println!("{answer}");
    }
}

fn granted<E: Engine>(
    answer: lockfast::Result<LockGuard<E>>,
    guard: &mut Option<LockGuard<E>>,
) -> String {
    match answer {
        Ok(held) => {
            let token = held.token().expect("a token");
            *guard = Some(held);
            format!("held {token}")
        }
        Err(error) => format!("failed {:?} {error}", error.kind()),
    }
}

fn wall_clock() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.expect("a time after 1970").as_secs()
}

/// Forks; a child that hangs is killed.
#[allow(unsafe_code, reason = "fork")]
fn forked() -> ForkResult {
    // SAFETY: the child only does what the test is about.
    let forked = unsafe { fork() }.expect("a child");
    if forked.is_child() {
        let seconds = u32::try_from(LONG.as_secs()).expect("a minute");
        alarm::set(seconds);
    }
    forked
}

/// Tries what a forked child must not have, and returns the answers.
fn tried_by_child<E: Engine>(lock: &Lock<E>, guard: &LockGuard<E>) -> String {
    let kind = |answer: lockfast::Result<()>| match answer {
        Ok(()) => "ok".to_owned(),
        Err(error) => format!("{:?}", error.kind()),
    };
    let tried = kind(lock.try_lock().map(drop));
    let waited = kind(lock.lock().map(drop));
    let timed = kind(lock.try_lock_for(LONG).map(drop));
    let checked = kind(guard.check());
    let is_lost = guard.lost_within(LONG);
    format!("try {tried}, wait {waited}, timed {timed}, check {checked}, lost {is_lost}")
}

/// Ends a forked child, without running what belongs to the parent.
#[allow(unsafe_code, reason = "_exit")]
fn leave() -> ! {
    // SAFETY: runs nothing.
    unsafe { nix::libc::_exit(0) }
}

/// Waits for the end of a child.
fn ended(child: Pid) -> String {
    match waitpid(child, None).expect("a child") {
        WaitStatus::Exited(_, 0) => "ended".to_owned(),
        other => format!("{other:?}"),
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

/// Has `setpriv` run a command that is killed when the test program dies.
const ENDS_WITH_TEST: [&str; 3] = ["--pdeathsig", "KILL", "--"];

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
        command.args(ENDS_WITH_TEST);
        Self::run(command, url)
    }

    /// Starts a client with that wall clock.
    pub(crate) fn start_with_clock(url: &str, clock: &WallClock) -> Self {
        let mut command = Command::new("setpriv");
        clock.add_to(command.args(ENDS_WITH_TEST));
        Self::run(command, url)
    }

    /// Runs the client as an argument of the command.
    fn run(mut command: Command, url: &str) -> Self {
        let mut child = command
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

    /// Asks for a number.
    pub(crate) fn number(&mut self, step: &str) -> u64 {
        self.step(step).parse().expect("a number")
    }

    pub(crate) fn pause(&self) {
        self.send(Signal::SIGSTOP);
    }

    pub(crate) fn resume(&self) {
        self.send(Signal::SIGCONT);
    }

    /// Has the client end in order.
    pub(crate) fn end(mut self) {
        self.begin("end");
        let status = self.child.wait().expect("its end");
        assert!(status.success(), "{status}");
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
