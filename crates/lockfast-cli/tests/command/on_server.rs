//! `--on` with a server: locks that are lost while the command runs.

use std::process::Command;

use lockfast_servers::etcd::{Release, Server};
use lockfast_testing::skip;

use crate::stage::{Actor, outcome, run};

const LOCKFAST: &str = env!("CARGO_BIN_EXE_lockfast");

/// Says its token; says so on SIGTERM, and goes on.
const STUBBORN: &str =
    "trap 'echo TERM' TERM; echo \"$LOCKFAST_TOKEN\"; while :; do sleep 300 & wait $!; done";

fn url(server: &Server) -> String {
    format!("etcd://{}/cli?ttl=3s", server.endpoint())
}

/// Starts a holder with this script; returns it with its token.
fn hold(on: &str, options: &[&str], script: &str) -> (Actor, String) {
    let mut command = run(["--on", on]);
    let holder = Actor::start(command.args(options).args(["a", "--", "sh", "-c", script]));
    let token = holder.hear();
    assert!(token.parse::<u64>().is_ok_and(|token| token > 0), "{token}");
    (holder, token)
}

fn break_lock(on: &str, token: &str) -> Option<i32> {
    let mut command = Command::new(LOCKFAST);
    outcome(command.args(["break", "--on", on, "a", "--token", token])).code
}

/// The server of a test, or the end of the test if there is none.
macro_rules! server {
    () => {{
        if let Err(reason) = Release::Debian.find() {
            skip!("{reason}");
        }
        Server::start()
    }};
}

#[test]
fn a_command_whose_lock_is_broken_is_killed_with_its_descendants() {
    let server = server!();
    let on = url(&server);
    for options in [&[][..], &["--on-lost", "kill"]] {
        let (mut holder, token) = hold(&on, options, STUBBORN);
        assert_eq!(break_lock(&on, "1"), Some(75), "nobody has that token");
        assert_eq!(break_lock(&on, &token), Some(0));
        assert_eq!(holder.end().code(), Some(76));
        assert!(holder.complaints().contains("lock a is lost"));
        // Its descendants have the pipe too.
        let last = if options.is_empty() {
            vec!["TERM"]
        } else {
            vec![]
        };
        let heard: Vec<_> = std::iter::from_fn(|| holder.heard()).collect();
        assert!(heard.is_empty() || heard == last, "{heard:?}");
        assert_eq!(break_lock(&on, &token), Some(75), "nobody has it any more");
    }
}

#[test]
fn a_command_that_is_cut_off_ends_before_others_can_hold_the_lock() {
    let server = server!();
    let on = url(&server);
    let (mut holder, _) = hold(&on, &[], STUBBORN);
    server.process().pause();
    assert_eq!(holder.end().code(), Some(76));
    let complaints = holder.complaints();
    assert!(
        complaints.contains("was not confirmed by its server in time"),
        "{complaints}"
    );
    assert!(complaints.contains("sending SIGKILL"), "{complaints}");
    // It hears SIGTERM, unless the machine is so busy that it has not begun to run.
    assert!(matches!(holder.heard().as_deref(), None | Some("TERM")));
    holder.falls_silent();
    server.process().resume();
}

#[test]
fn a_command_that_was_stopped_with_lockfast_ends_when_it_goes_on() {
    let server = server!();
    let on = url(&server);
    let (mut holder, _) = hold(&on, &[], STUBBORN);
    holder.signal(nix::sys::signal::Signal::SIGSTOP);
    let next = outcome(run(["--on", &on, "-w", "60", "a", "--", "echo", "in"]).env_clear());
    assert_eq!(next.output, ["in"], "{next:?}");
    holder.signal(nix::sys::signal::Signal::SIGCONT);
    assert_eq!(holder.end().code(), Some(76));
}

#[test]
fn a_warning_leaves_the_command_alone() {
    let server = server!();
    let on = url(&server);
    let (mut holder, token) = hold(
        &on,
        &["--on-lost", "warn"],
        "echo $LOCKFAST_TOKEN; read line; exit 5",
    );
    assert_eq!(break_lock(&on, &token), Some(0));
    assert!(holder.complaint().contains("lock a is lost"));
    holder.tell("go");
    assert_eq!(holder.end().code(), Some(5));
}

#[test]
fn a_waiter_that_is_ended_leaves_the_line() {
    let server = server!();
    let on = url(&server);
    let (_holder, _) = hold(&on, &[], STUBBORN);
    let mut waiter = Actor::start(&mut run(["--on", &on, "a", "--", "echo", "in"]));
    let waiting = || {
        let status = outcome(Command::new(LOCKFAST).args(["status", "--on", &on, "a"]));
        status
            .output
            .iter()
            .filter(|line| line.starts_with("  waiting"))
            .count()
    };
    while waiting() == 0 {
        std::thread::yield_now();
    }
    waiter.signal(nix::sys::signal::Signal::SIGTERM);
    waiter.end();
    assert_eq!(waiting(), 0, "without waiting for the end of its lease");
}

#[test]
fn a_server_that_is_not_there_is_an_error_of_its_own() {
    let mut command = run(["--on", "etcd://127.0.0.1:1/x?timeout=1s", "a"]);
    let refused = outcome(command.args(["--", "echo", "in"]));
    assert_eq!(refused.code, Some(69), "{refused:?}");
    assert!(
        refused.errors.contains("etcd://127.0.0.1:1/x"),
        "{refused:?}"
    );
    assert!(refused.output.is_empty(), "{refused:?}");
}
