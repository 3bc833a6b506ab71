//! A signal to each process of a group reaches the command once.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::stage::{Actor, Stage, children, run, until};

/// Prints a line for each signal until the file exists. It does not block: a shell handles a signal
/// that arrives just before it blocks only after that.
const TELLER: &str = "trap 'echo TERM' TERM; trap 'echo USR1' USR1; echo ready
    until [ -e \"$0\" ]; do :; done";

fn end_file(stage: &Stage) -> PathBuf {
    stage.path("end")
}

/// Starts lockfast as the leader of a process group. On return, the command and the sentinel run.
fn start(stage: &Stage) -> (Actor, Vec<Pid>) {
    let mut command = run([stage.path("job.lock")]);
    command.args(["--", "bash", "-c", TELLER]);
    command.arg(end_file(stage)).process_group(0);
    let actor = Actor::start(&mut command);
    actor.says("ready");
    let started = until_watched(actor.pid());
    (actor, started)
}

/// Returns the command and the sentinel of lockfast, once both are there.
#[track_caller]
fn until_watched(lockfast: Pid) -> Vec<Pid> {
    let mut started = Vec::new();
    until("the command and the sentinel", || {
        started = children(lockfast);
        started.len() == 2
    });
    started
}

/// Returns how often the command got the signal, after lockfast has passed on all signals.
fn told(stage: &Stage, actor: Actor, what: &str) -> usize {
    let lockfast = actor.pid();
    told_by(stage, actor, lockfast, what)
}

fn told_by(stage: &Stage, mut actor: Actor, lockfast: Pid, what: &str) -> usize {
    let mut lines = vec![actor.hear()];
    // A stopped lockfast passes the signal on only now, after the command has handled its own: a
    // shell runs a trap once for two signals that arrive together.
    signal::kill(lockfast, Signal::SIGCONT).expect("it lives");
    // Each signal is sent after the previous one was passed on, so that none are merged.
    for _ in 0..2 {
        signal::kill(lockfast, Signal::SIGUSR1).expect("it lives");
        loop {
            let line = actor.hear();
            if line == "USR1" {
                break;
            }
            lines.push(line);
        }
    }
    fs::write(end_file(stage), "").expect("a file");
    assert_eq!(actor.end().code(), Some(0));
    actor.falls_silent();
    assert!(lines.iter().all(|line| line == what), "{lines:?}");
    lines.len()
}

#[test]
fn a_signal_to_the_group_reaches_the_command_once() {
    for _ in 0..5 {
        let stage = Stage::new();
        let (actor, _) = start(&stage);
        stop(actor.pid());
        signal::killpg(actor.pid(), Signal::SIGTERM).expect("it lives");
        assert_eq!(told(&stage, actor, "TERM"), 1);
    }
}

/// A service manager signals the main process of a unit and then all others.
#[test]
fn a_signal_to_each_process_of_a_unit_reaches_the_command_once() {
    for _ in 0..5 {
        let stage = Stage::new();
        let (actor, started) = start(&stage);
        stop(actor.pid());
        for pid in std::iter::once(actor.pid()).chain(started) {
            signal::kill(pid, Signal::SIGTERM).expect("it lives");
        }
        assert_eq!(told(&stage, actor, "TERM"), 1);
    }
}

#[test]
fn a_signal_to_lockfast_alone_reaches_the_command() {
    let stage = Stage::new();
    let (actor, _) = start(&stage);
    actor.signal(Signal::SIGTERM);
    assert_eq!(told(&stage, actor, "TERM"), 1);
}

#[test]
fn a_signal_to_the_group_reaches_a_command_that_left_it() {
    let stage = Stage::new();
    let mut command = run([stage.path("job.lock")]);
    command
        .args(["--", "setsid", "bash", "-c", TELLER])
        .arg(end_file(&stage))
        .process_group(0);
    let actor = Actor::start(&mut command);
    actor.says("ready");
    signal::killpg(actor.pid(), Signal::SIGTERM).expect("it lives");
    assert_eq!(told(&stage, actor, "TERM"), 1);
}

#[test]
fn the_sentinel_and_the_command_end_with_lockfast() {
    let stage = Stage::new();
    let (mut actor, started) = start(&stage);
    actor.signal(Signal::SIGKILL);
    actor.end();
    for pid in started {
        // It is gone, or a zombie that its new parent does not reap.
        until("its end", || state(pid).is_none_or(|state| state == 'Z'));
    }
}

fn stop(pid: Pid) {
    signal::kill(pid, Signal::SIGSTOP).expect("it lives");
    until_in_state(pid, 'T');
}

#[track_caller]
fn until_in_state(pid: Pid, wanted: char) {
    until(&format!("state {wanted}"), || state(pid) == Some(wanted));
}

/// Returns the state from `/proc`; `None` if the process is gone.
fn state(pid: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// timeout(1) signals its child and then the whole group.
#[test]
fn timeout_around_it_reaches_the_command_once() {
    let stage = Stage::new();
    let mut command = Command::new("timeout");
    command
        .args([
            "--preserve-status",
            "1000",
            env!("CARGO_BIN_EXE_lockfast"),
            "run",
        ])
        .arg(stage.path("job.lock"))
        .args(["--", "bash", "-c", TELLER])
        .arg(end_file(&stage));
    let actor = Actor::start(&mut command);
    actor.says("ready");
    // At its timeout, and if it is signalled before.
    let lockfast = children(actor.pid())[0];
    until_watched(lockfast);
    // Before timeout(1) waits it does not know its child, and exits if it is signalled.
    until_in_state(actor.pid(), 'S');
    stop(lockfast);
    actor.signal(Signal::SIGTERM);
    assert_eq!(told_by(&stage, actor, lockfast, "TERM"), 1);
}
