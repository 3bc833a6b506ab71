//! `lockfast` as the first process of a pid namespace, as in a container.

use std::process::Command;

use nix::sys::signal::{self, Signal};

use crate::stage::{Actor, HOLD, Stage, children, hold, outcome, until, until_waiting};

/// Returns the beginning of a command that becomes such a process, or the reason why none can.
fn unshared(subcommand: &str) -> Result<Command, String> {
    let words = ["--pid", "--fork", "--kill-child"];
    let attempt = outcome(Command::new("unshare").args(words).arg("true"));
    if attempt.code != Some(0) {
        return Err(format!(
            "a pid namespace is not permitted: {}",
            attempt.errors
        ));
    }
    let mut command = Command::new("unshare");
    command.args(words).args([
        "env",
        "--default-signal",
        env!("CARGO_BIN_EXE_lockfast"),
        subcommand,
    ]);
    Ok(command)
}

#[test]
fn a_signal_ends_its_wait() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let holder = hold(&lock);
    for (signal, code) in [
        (Signal::SIGTERM, 143),
        (Signal::SIGINT, 130),
        (Signal::SIGHUP, 129),
        (Signal::SIGQUIT, 131),
    ] {
        let mut command = match unshared("run") {
            Ok(command) => command,
            Err(reason) => lockfast_testing::skip!("{reason}"),
        };
        let mut waiter = Actor::start(command.arg(&lock).args(["--", "true"]));
        assert!(waiter.complaint().contains("waiting for lock"));
        let [first] = children(waiter.pid())[..] else {
            panic!("unshare has one child");
        };
        signal::kill(first, signal).expect("it lives");
        assert_eq!(waiter.end().code(), Some(code));
    }
    drop(holder);
}

#[test]
fn a_signal_ends_the_wait_of_flock() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let mut command = Command::new("flock");
    let holder = Actor::start(command.arg(&lock).args(["sh", "-c", HOLD]));
    holder.says("ready");
    let mut command = match unshared("flock") {
        Ok(command) => command,
        Err(reason) => lockfast_testing::skip!("{reason}"),
    };
    let waiter = &mut Actor::start(command.arg(&lock).arg("true"));
    let mut processes = Vec::new();
    until("the child of unshare", || {
        processes = children(waiter.pid());
        processes.len() == 1
    });
    let first = processes[0];
    until_waiting(first);
    signal::kill(first, Signal::SIGTERM).expect("it lives");
    assert_eq!(waiter.end().code(), Some(143));
}

#[test]
fn a_signal_reaches_its_command() {
    let stage = Stage::new();
    let mut command = match unshared("run") {
        Ok(command) => command,
        Err(reason) => lockfast_testing::skip!("{reason}"),
    };
    let text = "trap 'echo heard; exit 7' TERM; echo ready; while :; do read line; done";
    let mut actor = Actor::start(
        command
            .arg(stage.path("l"))
            .args(["--", "bash", "-c", text]),
    );
    actor.says("ready");
    let first = children(actor.pid())[0];
    signal::kill(first, Signal::SIGTERM).expect("it lives");
    actor.says("heard");
    assert_eq!(actor.end().code(), Some(7));
}

/// The first process of a namespace can't die of a signal.
#[test]
fn a_command_that_a_signal_killed_gives_128_and_its_number() {
    let stage = Stage::new();
    let mut command = match unshared("run") {
        Ok(command) => command,
        Err(reason) => lockfast_testing::skip!("{reason}"),
    };
    let ended = outcome(
        command
            .arg(stage.path("l"))
            .args(["--", "sh", "-c", "kill $$"]),
    );
    assert_eq!(ended.code, Some(143), "{ended:?}");
}

#[test]
fn orphans_are_reaped() {
    let stage = Stage::new();
    let mut command = match unshared("run") {
        Ok(command) => command,
        Err(reason) => lockfast_testing::skip!("{reason}"),
    };
    // A process exists for `kill -0` until it is reaped.
    let text = "exec 3<&0; orphan=$(sh -c 'cat <&3 >/dev/null & echo $!'); echo ready
        while kill -0 $orphan 2>/dev/null; do :; done; echo reaped";
    let mut actor = Actor::start(command.arg(stage.path("l")).args(["--", "sh", "-c", text]));
    actor.says("ready");
    actor.close_input();
    actor.says("reaped");
}
