//! Waits end when they should, and signals arrive.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::flock::flock;
use crate::stage::{Actor, HOLD, Stage, outcome};

#[test]
fn a_time_limit_is_never_missed() {
    const ROUNDS: usize = 200;
    let stage = Stage::new();
    let lock = stage.path("f");
    let lock = lock.to_str().expect("a plain name");
    let mut holder = Actor::start(&mut flock(&[lock, "sh", "-c", HOLD]));
    holder.says("ready");
    // So short that the alarm comes before, during and after the entry into the kernel's queue.
    for round in 0..ROUNDS {
        let limit = format!("{}e-6", 1 + round % 50);
        let gave_up = outcome(&mut flock(&["-w", &limit, lock, "true"]));
        assert_eq!(gave_up.code, Some(1), "{gave_up:?}");
    }
    // With any signal setting of the caller.
    for state in ["--block-signal", "--ignore-signal"] {
        let mut command = Command::new("env");
        command.args([state, env!("CARGO_BIN_EXE_lockfast"), "flock"]);
        let gave_up = outcome(command.args(["-w", "0.01", lock, "true"]));
        assert_eq!(gave_up.code, Some(1), "{state} {gave_up:?}");
    }
    holder.tell("end");
    assert_eq!(holder.end().code(), Some(0));
}

#[test]
fn a_wait_with_a_time_limit_is_one_call_of_the_kernel() {
    let stage = Stage::new();
    let (lock, log) = (stage.path("f"), stage.path("log"));
    let lock = lock.to_str().expect("a plain name");
    for kind in [&[][..], &["--fcntl"]] {
        let mut holder = Actor::start(flock(kind).args([lock, "sh", "-c", HOLD]));
        holder.says("ready");
        let mut command = Command::new("strace");
        command
            .args(["-f", "-e", "trace=flock,fcntl", "-o"])
            .arg(&log)
            .args([env!("CARGO_BIN_EXE_lockfast"), "flock", "-w", "0.5"])
            .args(kind)
            .args([lock, "true"]);
        let gave_up = outcome(&mut command);
        assert_eq!(gave_up.code, Some(1), "{gave_up:?}");
        let log = fs::read_to_string(&log).expect("a log");
        let calls = log
            .lines()
            .filter(|line| line.contains("LOCK_EX") || line.contains("F_OFD_SETLK"));
        let calls = calls.count();
        assert!((1..=3).contains(&calls), "{log}");
        holder.tell("end");
        holder.end();
    }
}

#[test]
fn a_waiter_gets_in_when_the_lock_is_released() {
    let stage = Stage::new();
    let lock = stage.path("f");
    let lock = lock.to_str().expect("a plain name");
    for limit in [&[][..], &["-w", "1000"], &["--fcntl", "-w", "1000"]] {
        let mut holder = Actor::start(flock(limit).args([lock, "sh", "-c", HOLD]));
        holder.says("ready");
        let mut waiter = Actor::start(flock(limit).args([lock, "echo", "in"]));
        crate::stage::until_waiting(waiter.pid());
        holder.tell("end");
        waiter.says("in");
        assert_eq!(waiter.end().code(), Some(0));
        holder.end();
    }
}

#[test]
fn signals_reach_the_command_and_its_end_is_waited_for() {
    let stage = Stage::new();
    let lock = stage.path("f");
    let lock = lock.to_str().expect("a plain name");
    let text =
        "trap 'echo told; exit 7' TERM INT HUP USR1; echo ready; while :; do read line; done";
    for close in [&[][..], &["-o"]] {
        for signal in [
            Signal::SIGTERM,
            Signal::SIGINT,
            Signal::SIGHUP,
            Signal::SIGUSR1,
        ] {
            let mut actor = Actor::start(flock(close).args([lock, "sh", "-c", text]));
            actor.says("ready");
            actor.signal(signal);
            actor.says("told");
            assert_eq!(actor.end().code(), Some(7), "{signal}");
        }
    }
}

#[test]
fn signals_end_the_wait() {
    let stage = Stage::new();
    let lock = stage.path("f");
    let lock = lock.to_str().expect("a plain name");
    let holder = Actor::start(&mut flock(&[lock, "sh", "-c", HOLD]));
    holder.says("ready");
    for limit in [&[][..], &["-w", "1000"]] {
        let mut waiter = Actor::start(flock(limit).args([lock, "echo", "in"]));
        crate::stage::until_waiting(waiter.pid());
        waiter.signal(Signal::SIGINT);
        assert_eq!(waiter.end().signal(), Some(Signal::SIGINT as i32));
    }
}
