//! Reports are true, also with many other locks and holders that are hard to see.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::inspect::{file, json, locker, lockfast, number, until};
use crate::stage::{Actor, HOLD, Stage, hold, outcome, run};

/// Locks the first file, with many waiting threads, while other threads lock and unlock other files
/// without end.
const CROWD: &str = r#"
import fcntl, os, sys, threading
path, others = sys.argv[1], sys.argv[2]
held = open(path, "w")
fcntl.flock(held, fcntl.LOCK_EX)
def wait():
    fcntl.flock(open(path, "w"), fcntl.LOCK_EX)
for _ in range(36):
    threading.Thread(target=wait, daemon=True).start()
def come_and_go(number):
    files = [open(f"{others}-{number}-{each}", "w") for each in range(20)]
    while os.getppid() == parent:
        for how in (fcntl.LOCK_EX, fcntl.LOCK_UN):
            for file in files:
                fcntl.flock(file, how)
    os._exit(0)
parent = os.getpid()
sys.stdin.readline()
for number in range(2):
    if os.fork() == 0:
        come_and_go(number)
print("ready", flush=True)
sys.stdin.readline()
"#;

fn python(script: &str) -> Command {
    let python = std::env::var_os("LOCKFAST_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let mut command = Command::new(python);
    command.args(["-c", script]);
    command
}

#[test]
fn a_lock_that_is_held_is_held_and_a_thread_waits_once_while_others_come_and_go() {
    const WAITERS: usize = 36;
    let stage = Stage::new();
    let path = stage.path("held.lock");
    let mut command = python(CROWD);
    let mut crowd = Actor::start(command.arg(&path).arg(stage.path("other")));
    let waiting = || {
        let document = json(lockfast(["status"]).arg(&path));
        let locks = document["status"][0]["locks"].as_array().cloned();
        let locks = locks.unwrap_or_default();
        let is_waiting = |lock: &&serde_json::Value| lock["state"] == "waiting";
        (
            locks.iter().filter(is_waiting).count(),
            locks.len(),
            document,
        )
    };
    until("all wait", || waiting().0 == WAITERS);
    crowd.tell("go on");
    crowd.says("ready");
    for _ in 0..30 {
        let (waiters, all, document) = waiting();
        assert_eq!(document["status"][0]["free"], false, "{document}");
        assert!(waiters <= WAITERS && all == waiters + 1, "{document}");
    }
}

#[test]
fn a_holder_that_is_stopped_is_shown_as_stopped() {
    let stage = Stage::new();
    let path = file(&stage, "job.lock");
    let mut holder = locker();
    holder.tell(&format!("flock {}", path.display()));
    holder.says("locked");
    let is_stopped = || {
        let document = json(lockfast(["status"]).arg(&path));
        let process = &document["status"][0]["locks"][0]["processes"][0];
        process["stopped"].as_bool()
    };
    assert_eq!(is_stopped(), Some(false));
    holder.signal(Signal::SIGSTOP);
    until("it is stopped", || is_stopped() == Some(true));
    let status = outcome(lockfast(["status"]).arg(&path));
    assert!(status.output[1].contains("), stopped of "), "{status:?}");
    let listed = outcome(lockfast(["ls"]).arg(&path));
    assert!(
        listed.output[0].contains("\tholding (stopped)\t"),
        "{listed:?}"
    );
    let error = outcome(
        run(["-n", "--protocol", "flock"])
            .arg(&path)
            .args(["--", "true"]),
    );
    assert!(error.errors.ends_with("), stopped"), "{error:?}");
    holder.signal(Signal::SIGCONT);
    until("it goes on", || is_stopped() == Some(false));
}

/// The descriptors and the command line belong to another thread then.
#[test]
fn a_holder_whose_first_thread_has_ended_is_found() {
    const SCRIPT: &str = r#"
import ctypes, fcntl, os, sys, threading, time
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
def stay():
    while open(f"/proc/{os.getpid()}/stat").read().rsplit(")")[1].split()[0] != "Z":
        time.sleep(0.001)
    print("ready", flush=True)
    sys.stdin.readline()
    os._exit(0)
threading.Thread(target=stay).start()
exit = {"x86_64": 60}.get(os.uname().machine, 93)
ctypes.CDLL(None).syscall(exit, 0)
"#;
    let stage = Stage::new();
    let path = stage.path("job.lock");
    let holder = Actor::start(python(SCRIPT).arg(&path));
    holder.says("ready");
    let status = outcome(lockfast(["status"]).arg(&path));
    assert_eq!(status.code, Some(75), "{status:?}");
    let who = format!("  holding exclusive: pid {} (", holder.pid());
    assert!(status.output[1].starts_with(&who), "{status:?}");
    assert!(status.output[1].contains("import ctypes"), "{status:?}");
    assert_eq!(status.output.len(), 2, "{status:?}");
    let listed = json(lockfast(["ls"]).arg(&path));
    assert_eq!(
        listed["locks"][0]["processes"][0]["pid"],
        number(holder.pid())
    );
}

/// A file created without a name, so that it has its mode from the start.
#[test]
fn a_lock_file_with_a_mode_of_its_own_has_its_name() {
    let stage = Stage::new();
    let path = stage.path("job.lock");
    let mut command = run(["--mode", "0600"]);
    let holder = Actor::start(command.arg(&path).args(["--", "sh", "-c", HOLD]));
    holder.says("ready");
    shows_holder(&path);
}

/// A file named by another program, whose descriptor never shows that name.
#[test]
fn a_file_that_got_its_name_after_it_was_opened_is_found_by_it() {
    const SCRIPT: &str = r#"
import ctypes, fcntl, os, sys
path = sys.argv[1]
file = os.open(os.path.dirname(path), os.O_TMPFILE | os.O_RDWR, 0o600)
here, follow = -100, 0x400
unnamed = f"/proc/self/fd/{file}".encode()
assert ctypes.CDLL(None).linkat(here, unnamed, here, path.encode(), follow) == 0
fcntl.flock(file, fcntl.LOCK_EX)
print("ready", flush=True)
sys.stdin.readline()
"#;
    let stage = Stage::new();
    let path = stage.path("job.lock");
    let holder = Actor::start(python(SCRIPT).arg(&path));
    holder.says("ready");
    shows_holder(&path);
}

#[track_caller]
fn shows_holder(path: &Path) {
    let directory = path.parent().expect("it is in one");
    for place in [path, directory] {
        let listed = outcome(lockfast(["ls"]).arg(place));
        assert_eq!(listed.output.len(), 1, "{listed:?}");
        let line = format!("{}\tholding\t", path.display());
        assert!(listed.output[0].starts_with(&line), "{listed:?}");
    }
}

/// Label and start of a hold, seen from outside and inside a pid namespace.
#[test]
fn a_record_is_shown_across_pid_namespaces() {
    let stage = Stage::new();
    let path = stage.path("job.lock");
    let program = env!("CARGO_BIN_EXE_lockfast");
    let inner = |arguments: &[&OsStr]| {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", program]);
        command.args(arguments);
        command
    };
    let probe = outcome(&mut inner(&["--version".as_ref()]));
    if probe.code != Some(0) {
        lockfast_testing::skip!("a namespace of pids takes root: {probe:?}");
    }
    let held = ["run", "--record", "--label", "nightly backup"].map(OsStr::new);
    let command = ["--", "sh", "-c", HOLD].map(OsStr::new);
    let arguments = [&held[..], &[path.as_os_str()], &command].concat();
    let status = ["status".as_ref(), path.as_os_str()];
    let attempt = ["run", "-n", "--record"].map(OsStr::new);
    let attempt = [&attempt[..], &[path.as_os_str()], &command].concat();

    let mut holder = Actor::start(&mut inner(&arguments));
    holder.says("ready");
    let seen = outcome(&mut lockfast(status));
    assert!(
        seen.output[1].contains(" (nightly backup), for "),
        "{seen:?}"
    );
    let told = outcome(&mut lockfast(&attempt));
    assert!(told.errors.contains("nightly backup"), "{told:?}");
    // Its pid there is 1, which is another process here.
    assert!(!told.errors.contains("pid 1 "), "{told:?}");
    holder.tell("end");
    holder.end();

    let mut holder = Actor::start(&mut lockfast(&arguments));
    holder.says("ready");
    let seen = outcome(&mut inner(&status));
    assert!(
        seen.output[1].contains(" (nightly backup), for "),
        "{seen:?}"
    );
    let told = outcome(&mut inner(&attempt));
    assert!(told.errors.contains("(nightly backup)"), "{told:?}");
    // The record of a dead holder does not describe the next one.
    holder.signal(Signal::SIGKILL);
    holder.end();
    let _next = hold(&path);
    let seen = outcome(&mut inner(&status));
    assert!(!seen.output[1].contains("nightly backup"), "{seen:?}");
}

/// Each processor has a clock of its own in the scheduler's statistics.
#[test]
fn the_beginning_of_a_wait_does_not_depend_on_the_processor() {
    let clock = |processor: &str| {
        let mut command = Command::new("taskset");
        command.args(["-c", processor, "cat", "/proc/self/sched"]);
        let told = outcome(&mut command);
        let lines = told.output.into_iter();
        let mut lines = lines.filter(|line| line.starts_with("se.exec_start"));
        lines.next()?.split(':').nth(1)?.trim().parse::<f64>().ok()
    };
    let (Some(one), Some(other)) = (clock("0"), clock("1")) else {
        lockfast_testing::skip!("it takes two processors and the scheduler's statistics");
    };
    // In milliseconds. The calls in between take time too.
    let apart = (one - other).abs();
    if apart < 40.0 {
        lockfast_testing::skip!("the clocks of the processors are only {apart} ms apart");
    }
    let stage = Stage::new();
    let path = stage.path("job.lock");
    let _holder = hold(&path);
    let on = |processor: &str, words: &[&str]| {
        let mut command = Command::new("taskset");
        command.args(["-c", processor, env!("CARGO_BIN_EXE_lockfast")]);
        command.args(words).arg(&path);
        command
    };
    for (there, here) in [("0", "1"), ("1", "0")] {
        let before = std::time::SystemTime::now();
        let mut command = on(there, &["run", "-q"]);
        let waiter = Actor::start(command.args(["--", "true"]));
        crate::inspect::until_waiting(&path, waiter.pid());
        let after = std::time::SystemTime::now();
        let document = json(&mut on(here, &["ls"]));
        let since = document["locks"][1]["since"].as_str().expect("a beginning");
        let since = humantime::parse_rfc3339(since).expect("a time");
        let slack = std::time::Duration::from_secs_f64(apart / 2000.0);
        assert!(
            since + slack > before && since < after + slack,
            "{document}"
        );
    }
}
