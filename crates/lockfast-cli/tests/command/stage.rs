//! A stage with lock files, and actors that print lines. The lines order the tests.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;

use lockfast_testing::Lines;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

pub(crate) use lockfast_testing::{DEADLINE, Stage, until};

/// Prints that it runs, and ends on a line of input or at its end.
pub(crate) const HOLD: &str = "echo ready; read line; exit 0";

/// Returns a copy of the program that every user may run, and makes the stage accessible.
pub(crate) fn program_for_everybody(stage: &Stage) -> PathBuf {
    let program = stage.path("lockfast");
    lockfast_testing::copy_program(env!("CARGO_BIN_EXE_lockfast"), &program);
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(stage.directory(), open).expect("its mode");
    program
}

/// Returns a prefix that runs a command of root as a user without rights.
pub(crate) const AS_NOBODY: [&str; 6] = [
    "setpriv",
    "--reuid",
    "65534",
    "--regid",
    "65534",
    "--clear-groups",
];

/// Returns `lockfast run` with these arguments, and with no signal ignored.
pub(crate) fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new("env");
    command
        .args(["--default-signal", env!("CARGO_BIN_EXE_lockfast"), "run"])
        .args(arguments);
    command
}

/// Returns `lockfast run LOCK -- sh -c SCRIPT`.
pub(crate) fn script(lock: impl AsRef<OsStr>, script: &str) -> Command {
    let mut command = run([lock]);
    command.args(["--", "sh", "-c", script]);
    command
}

/// Starts a holder, which has the lock when this returns.
pub(crate) fn hold(lock: impl AsRef<OsStr>) -> Actor {
    let holder = Actor::start(&mut script(lock, HOLD));
    holder.says("ready");
    holder
}

/// Starts two processes that each hold one lock and wait for the other, with a `lockfast run` with
/// these options, which does not inherit the first lock.
pub(crate) fn deadlocked([one, other]: [&Path; 2], options: &[&str]) -> [Actor; 2] {
    let mut actors = [(one, other), (other, one)].map(|(outer, inner)| {
        let text = "echo ready; read line; exec \"$0\" run \"$@\" -- true";
        let mut command = run([OsStr::new("--close"), outer.as_ref()]);
        command.args(["--", "sh", "-c", text]);
        command.arg(env!("CARGO_BIN_EXE_lockfast")).args(options);
        let actor = Actor::start(command.arg(inner));
        actor.says("ready");
        actor
    });
    for actor in &mut actors {
        actor.tell("go");
    }
    actors
}

/// Whether the lock can be had at once.
///
/// A process that was killed closes its output before its locks: see [`becomes_free`].
pub(crate) fn is_free(lock: impl AsRef<OsStr>) -> bool {
    let mut attempt = run([OsStr::new("-n"), lock.as_ref()]);
    match Actor::start(attempt.args(["--", "true"])).end().code() {
        Some(0) => true,
        Some(75) => false,
        other => panic!("the attempt ended with {other:?}"),
    }
}

/// Waits until the lock can be had. A process that was killed, or that inherited the lock, may still be
/// about to close it.
#[track_caller]
pub(crate) fn becomes_free(lock: impl AsRef<OsStr>, options: &[&str]) {
    let mut next = run(["-w", &DEADLINE.as_secs().to_string()]);
    let next = outcome(next.args(options).arg(lock).args(["--", "true"]));
    assert_eq!(next.code, Some(0), "{options:?}: {next:?}");
}

/// How a command ended and what it said.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) output: Vec<String>,
    pub(crate) errors: String,
}

/// Runs a command to its end, without input.
pub(crate) fn outcome(command: &mut Command) -> Outcome {
    let mut actor = Actor::start(command);
    actor.close_input();
    let code = actor.end().code();
    Outcome {
        code,
        output: actor.output.rest(),
        errors: actor.errors.rest().join("\n"),
    }
}

/// Returns the children of a process.
pub(crate) fn children(pid: Pid) -> Vec<Pid> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let list = fs::read_to_string(path).unwrap_or_default();
    let numbers = list.split_whitespace();
    numbers
        .map(|number| Pid::from_raw(number.parse().expect("a number")))
        .collect()
}

/// A process that is killed on drop.
#[derive(Debug)]
pub(crate) struct Actor {
    pid: Pid,
    child: Option<Child>,
    input: Option<ChildStdin>,
    output: Lines,
    errors: Lines,
}

impl Actor {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        Self {
            pid: Pid::from_raw(child.id().try_into().expect("a pid")),
            input: child.stdin.take(),
            output: Lines::of(child.stdout.take().expect("a pipe")),
            errors: Lines::of(child.stderr.take().expect("a pipe")),
            child: Some(child),
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Returns its next line.
    #[track_caller]
    pub(crate) fn hear(&self) -> String {
        self.output.next()
    }

    /// Waits for this line.
    #[track_caller]
    pub(crate) fn says(&self, line: &str) {
        assert_eq!(self.hear(), line);
    }

    /// Returns its next line on standard error.
    #[track_caller]
    pub(crate) fn complaint(&self) -> String {
        self.errors.next()
    }

    /// Returns its next line; `None` when its output is closed.
    #[cfg_attr(
        not(all(feature = "etcd", feature = "postgres")),
        allow(dead_code, reason = "only tests with servers do not know the line")
    )]
    #[track_caller]
    pub(crate) fn heard(&self) -> Option<String> {
        self.output.next_or_end()
    }

    /// Waits until its output is closed, and expects no further line.
    #[track_caller]
    pub(crate) fn falls_silent(&self) {
        assert_eq!(self.output.next_or_end(), None);
    }

    pub(crate) fn tell(&mut self, line: &str) {
        let input = self.input.as_mut().expect("its input is open");
        writeln!(input, "{line}").expect("it reads");
    }

    pub(crate) fn close_input(&mut self) {
        self.input = None;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        signal::kill(self.pid, signal).expect("it lives");
    }

    /// Waits for its end; its descendants may continue.
    #[track_caller]
    pub(crate) fn end(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it ends once");
        let (tell, told) = mpsc::channel();
        thread::spawn(move || tell.send(child.wait()));
        let Ok(status) = told.recv_timeout(DEADLINE) else {
            let _ = signal::kill(self.pid, Signal::SIGKILL);
            panic!("it did not end");
        };
        status.expect("its status")
    }

    /// Returns the rest of its standard error.
    pub(crate) fn complaints(&self) -> String {
        self.errors.rest().join("\n")
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits until the kernel has queued the process for a lock.
#[track_caller]
pub(crate) fn until_waiting(pid: Pid) {
    let queued = |locks: &str| {
        locks.lines().any(|line| {
            let mut words = line.split_whitespace();
            // "12: -> FLOCK ADVISORY WRITE 4711 ..."; locks of a description have no pid.
            words.nth(1) == Some("->")
                && words
                    .nth(3)
                    .is_some_and(|owner| owner == pid.to_string() || owner == "-1")
        })
    };
    until("a waiter in the kernel's queue", || {
        let locks = fs::read_to_string("/proc/locks").expect("the kernel's locks");
        queued(&locks) && is_asleep(pid)
    });
}

fn is_asleep(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    stat.rsplit(") ")
        .next()
        .is_some_and(|rest| rest.starts_with('S'))
}
