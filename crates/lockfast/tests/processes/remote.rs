//! Waits on file systems whose locks are kept by a server.

use std::fs;
use std::process::Command;

use libtest_mimic::Trial;
use lockfast_testing::trial_needing;

use crate::stage::{Actor, Stage, installed, until};

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial_needing!(
        "remote::a_server_is_asked_again_and_again",
        installed("strace"),
        a_server_is_asked_again_and_again,
    )]
}

const CALLS: &str = if cfg!(target_pointer_width = "64") {
    "trace=fcntl,fstatfs"
} else {
    "trace=fcntl64,fstatfs64"
};

/// The first field of what fstatfs(2) answers, where NFS has 0x6969.
const SAYS_NFS: &str = if cfg!(target_pointer_width = "64") {
    "inject=fstatfs:poke_exit=@arg2=6969000000000000"
} else {
    "inject=fstatfs64:poke_exit=@arg3=69690000"
};

/// strace makes the waiter believe that its file is on NFS, and tells how often it asks.
fn a_server_is_asked_again_and_again() {
    for wait in ["lock a g", "for a g 3600000"] {
        let stage = Stage::new();
        let mut holder = Actor::with_lock(&stage, "");
        holder.ask("lock a g");

        let log = stage.path("calls");
        let own = std::env::current_exe().expect("this program");
        let mut waiter = Actor::start_by(
            Command::new("strace")
                .args(["-f", "-e", CALLS, "-e", SAYS_NFS])
                .arg("-o")
                .arg(&log)
                .arg(&own)
                .arg("actor"),
        );
        waiter.ask(&format!("open a {}", stage.lock().display()));
        let waiting = waiter.begin(wait);
        let calls = || fs::read_to_string(&log).expect("strace's log");
        until("more than one request", || {
            calls().matches("F_OFD_SETLKW").count() > 2
        });
        holder.ask("release g");
        waiter.succeeds(waiting);
    }
}
