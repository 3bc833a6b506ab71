//! Signals, and the state after `lockfast` is killed.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::stage::{Actor, Stage, becomes_free, hold, is_free, run, script};
use nix::sys::signal::Signal;

const PASSED_ON: [Signal; 6] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];

/// Continues when its input is closed. Every shell interrupts `wait` for a trap once.
const PAUSE: &str = "exec 3<&0; cat <&3 >/dev/null 2>&1 & echo ready; wait; wait";

#[test]
fn signals_reach_the_command_and_its_end_is_awaited() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    for signal in PASSED_ON {
        let name = signal.as_str().trim_start_matches("SIG");
        let text = format!("trap 'echo {name}' {name}; {PAUSE}; exit 9");
        let mut actor = Actor::start(&mut script(&lock, &text));
        actor.says("ready");
        actor.signal(signal);
        actor.says(name);
        assert!(!is_free(&lock));
        actor.close_input();
        assert_eq!(actor.end().code(), Some(9), "{name}");
        actor.falls_silent();
        assert!(is_free(&lock));
    }
}

/// A signal at any time ends either `lockfast` or the command. It is never lost, which would leave
/// the command waiting for input that does not come.
#[test]
fn a_signal_at_any_moment_of_the_start_is_not_lost() {
    const MOMENTS: u32 = 200;
    const STEP: Duration = Duration::from_micros(15);
    let stage = Stage::new();
    for moment in 0..MOMENTS {
        let mut command = run([stage.path("job.lock")]);
        let mut actor = Actor::start(command.args(["--", "cat"]));
        let then = Instant::now() + STEP * moment;
        while Instant::now() < then {
            std::hint::spin_loop();
        }
        actor.signal(Signal::SIGTERM);
        let status = actor.end();
        assert_ne!(status.code(), Some(0), "{status}");
    }
}

/// strace sends the signal during the first, second, third ... change of a signal action.
#[test]
fn a_signal_is_not_lost_while_handlers_change() {
    let stage = Stage::new();
    let start = |injection: &str| {
        let mut command = Command::new("env");
        command
            .args(["--default-signal", "strace", "-o"])
            .arg(stage.path("calls"))
            .args(["-e", "trace=rt_sigaction", "-e", injection])
            .args([env!("CARGO_BIN_EXE_lockfast"), "run"])
            .arg(stage.path("job.lock"))
            .args(["--", "cat"]);
        Actor::start(&mut command)
    };
    let mut undisturbed = start("signal=none");
    undisturbed.close_input();
    assert_eq!(undisturbed.end().code(), Some(0));
    let calls = fs::read_to_string(stage.path("calls")).expect("strace's list");
    let changes = calls
        .lines()
        .filter(|line| line.starts_with("rt_sigaction"))
        .count();
    assert!(changes > PASSED_ON.len(), "{calls}");
    for change in 1..=changes {
        let mut disturbed = start(&format!("inject=rt_sigaction:signal=TERM:when={change}"));
        let status = disturbed.end();
        assert_ne!(status.code(), Some(0), "at {change} of {calls}");
    }
}

#[test]
fn a_signal_ends_the_wait_for_the_lock() {
    use std::os::unix::process::ExitStatusExt;

    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let holder = hold(&lock);
    for signal in PASSED_ON {
        let mut waiter = Actor::start(&mut script(&lock, "echo in"));
        waiter.complaint();
        waiter.signal(signal);
        assert_eq!(waiter.end().signal(), Some(signal as i32));
        waiter.falls_silent();
    }
    drop(holder);
}

#[test]
fn signals_ignored_at_the_start_stay_ignored() {
    let stage = Stage::new();
    for name in ["HUP", "INT", "TERM", "CHLD"] {
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                "trap '' \"$0\"; exec \"$@\"",
                name,
                env!("CARGO_BIN_EXE_lockfast"),
                "run",
            ])
            .arg(stage.path("job.lock"))
            .args(["--", "sh", "-c", "kill -$0 $$; echo alive; exec cat", name]);
        let mut actor = Actor::start(&mut command);
        actor.says("alive");
        if name != "CHLD" {
            let signal = format!("SIG{name}").parse().expect("a signal");
            actor.signal(signal);
        }
        actor.tell("still alive");
        actor.says("still alive");
        actor.close_input();
        assert_eq!(actor.end().code(), Some(0), "{name}");
    }
}

#[test]
fn the_end_is_noticed_though_its_signal_was_blocked_at_the_start() {
    let stage = Stage::new();
    let mut command = Command::new("env");
    command
        .args(["--block-signal=CHLD", env!("CARGO_BIN_EXE_lockfast"), "run"])
        .arg(stage.path("job.lock"))
        .args(["--", "sh", "-c", "echo ready; read line; exit 5"]);
    let mut actor = Actor::start(&mut command);
    actor.says("ready");
    actor.tell("end");
    assert_eq!(actor.end().code(), Some(5));
}

#[test]
fn killing_lockfast_kills_the_command_and_frees_the_lock() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    for option in ["--kill-with-parent", "--kill-with-parent=true", "-q"] {
        let mut command = run([option]);
        command
            .arg(&lock)
            .args(["--", "sh", "-c", "echo ready; exec cat"]);
        let mut actor = Actor::start(&mut command);
        actor.says("ready");
        actor.signal(Signal::SIGKILL);
        actor.end();
        // Its input is still open: nothing else ends it.
        actor.falls_silent();
        becomes_free(&lock, &[]);
    }
}

#[test]
fn without_kill_with_parent_a_command_that_lives_on_does_not_keep_a_closed_lock() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let mut command = run(["--kill-with-parent=false", "--close"]);
    command
        .arg(&lock)
        .args(["--", "sh", "-c", "echo ready; exec cat"]);
    let mut actor = Actor::start(&mut command);
    actor.says("ready");
    actor.signal(Signal::SIGKILL);
    actor.end();
    // The sentinel may still be about to close its copy.
    becomes_free(&lock, &[]);
    actor.tell("alive");
    actor.says("alive");
    actor.close_input();
    actor.falls_silent();
}
