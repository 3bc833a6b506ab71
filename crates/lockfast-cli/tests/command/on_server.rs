//! `--on` with a server: locks that are lost while the command runs.

use std::process::Command;

use lockfast_servers::proxy::{Proxy, Way};
use lockfast_servers::{etcd, postgres};

use crate::stage::{Actor, outcome, run};

const LOCKFAST: &str = env!("CARGO_BIN_EXE_lockfast");

/// Says its token; says so on SIGTERM, and goes on.
const STUBBORN: &str =
    "trap 'echo TERM' TERM; echo \"$LOCKFAST_TOKEN\"; while :; do sleep 300 & wait $!; done";

/// A server of an engine.
enum Server {
    Etcd(etcd::Server),
    Postgres(postgres::Server),
}

impl Server {
    fn etcd() -> Result<Self, String> {
        etcd::Release::Debian.find()?;
        Ok(Self::Etcd(etcd::Server::start()))
    }

    fn postgres() -> Result<Self, String> {
        postgres::Release::Debian.find()?;
        Ok(Self::Postgres(postgres::Server::start()))
    }

    fn endpoint(&self) -> String {
        match self {
            Self::Etcd(server) => server.endpoint(),
            Self::Postgres(server) => server.endpoint(),
        }
    }

    fn url(&self) -> String {
        self.url_at(&self.endpoint())
    }

    fn url_at(&self, endpoint: &str) -> String {
        match self {
            Self::Etcd(_) => format!("etcd://{endpoint}/cli?ttl=3s"),
            Self::Postgres(_) => format!("postgres://postgres@{endpoint}/postgres?ttl=3s"),
        }
    }
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

/// Makes a test of each function on each engine.
macro_rules! on_each_engine {
    ($($test:ident),* $(,)?) => {
        on_each_engine!(on_etcd, etcd: $($test)*);
        on_each_engine!(on_postgres, postgres: $($test)*);
    };
    ($module:ident, $engine:ident: $($test:ident)*) => {
        mod $module {
            $(#[test]
            fn $test() {
                match super::Server::$engine() {
                    Ok(server) => super::$test(&server),
                    Err(reason) => lockfast_testing::skip!("{reason}"),
                }
            })*
        }
    };
}

on_each_engine! {
    a_command_whose_lock_is_broken_is_killed_with_its_descendants,
    a_command_that_is_cut_off_ends_before_others_can_hold_the_lock,
    a_command_that_was_stopped_with_lockfast_ends_when_it_goes_on,
    a_warning_leaves_the_command_alone,
    a_lock_that_is_warned_of_and_then_lost_is_reported_twice,
    a_waiter_that_is_ended_leaves_the_line,
}

fn a_command_whose_lock_is_broken_is_killed_with_its_descendants(server: &Server) {
    let on = server.url();
    for options in [&[][..], &["--on-lost", "kill"]] {
        let (mut holder, token) = hold(&on, options, STUBBORN);
        let other = token.parse::<u64>().expect("a number") + 1;
        let broken = break_lock(&on, &other.to_string());
        assert_eq!(broken, Some(75), "nobody has that token");
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

fn a_command_that_is_cut_off_ends_before_others_can_hold_the_lock(server: &Server) {
    let proxy = Proxy::start(server.endpoint().parse().expect("an address"));
    let on = server.url_at(&proxy.endpoint());
    let (mut holder, _) = hold(&on, &[], STUBBORN);
    proxy.stall(Way::Requests);
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
}

fn a_command_that_was_stopped_with_lockfast_ends_when_it_goes_on(server: &Server) {
    let on = server.url();
    let (mut holder, _) = hold(&on, &[], STUBBORN);
    holder.signal(nix::sys::signal::Signal::SIGSTOP);
    let next = outcome(run(["--on", &on, "-w", "60", "a", "--", "echo", "in"]).env_clear());
    assert_eq!(next.output, ["in"], "{next:?}");
    holder.signal(nix::sys::signal::Signal::SIGCONT);
    assert_eq!(holder.end().code(), Some(76));
}

fn a_warning_leaves_the_command_alone(server: &Server) {
    let on = server.url();
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

fn a_lock_that_is_warned_of_and_then_lost_is_reported_twice(server: &Server) {
    let proxy = Proxy::start(server.endpoint().parse().expect("an address"));
    let on = server.url_at(&proxy.endpoint());
    let script = "echo $LOCKFAST_TOKEN; read line; exit 5";
    let (mut holder, _) = hold(&on, &["--on-lost", "warn"], script);
    proxy.stall(Way::Requests);
    assert!(holder.complaint().contains("was not confirmed"));
    let next =
        outcome(run(["--on", &server.url(), "-w", "60", "a", "--", "echo", "in"]).env_clear());
    assert_eq!(next.output, ["in"], "{next:?}");
    proxy.heal();
    assert!(holder.complaint().contains("lock a is lost"));
    holder.tell("go");
    assert_eq!(holder.end().code(), Some(5));
}

fn a_waiter_that_is_ended_leaves_the_line(server: &Server) {
    let on = server.url();
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
