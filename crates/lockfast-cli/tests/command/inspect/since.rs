//! Duration and label of a hold.

use std::path::Path;

use crate::inspect::{json, lockfast, until_waiting};
use crate::stage::{Actor, HOLD, Stage, hold, outcome, run, script};

#[test]
fn a_wait_has_a_beginning() {
    let stage = Stage::new();
    let path = stage.path("job.lock");
    let _holder = hold(&path);
    let waiter = Actor::start(script(&path, "true").arg("-q"));
    until_waiting(&path, waiter.pid());
    if !Path::new("/proc/self/sched").exists() {
        lockfast_testing::skip!("this kernel has no /proc/self/sched");
    }
    let document = json(lockfast(["ls"]).arg(&path));
    let since = |number: usize| {
        document["locks"][number]["since"]
            .as_str()
            .map(str::to_owned)
    };
    let since = since(1).expect("a beginning");
    let since = humantime::parse_rfc3339(&since).expect("a time");
    let started = document["locks"][1]["processes"][0]["started"].as_str();
    let started = humantime::parse_rfc3339(started.expect("a start")).expect("a time");
    // The clocks of scheduler and processes tick a hundred times a second.
    let slack = std::time::Duration::from_secs(1);
    assert!(since + slack > started, "{document}");
    assert!(since < std::time::SystemTime::now() + slack, "{document}");
}

/// An owner record shows the duration and the label.
#[test]
fn a_hold_with_a_record_has_a_beginning_and_a_label() {
    let stage = Stage::new();
    let path = stage.path("job.lock");
    for protocol in ["fcntl", "flock"] {
        let mut command = run([
            "--record",
            "--label",
            "nightly backup",
            "--protocol",
            protocol,
        ]);
        let before = std::time::SystemTime::now();
        let mut holder = Actor::start(command.arg(&path).args(["--", "sh", "-c", HOLD]));
        holder.says("ready");
        let after = std::time::SystemTime::now();
        let document = json(lockfast(["status"]).arg(&path));
        let lock = &document["status"][0]["locks"][0];
        assert_eq!(lock["label"], "nightly backup", "{document}");
        let since = lock["since"].as_str().expect("a beginning");
        let since = humantime::parse_rfc3339(since).expect("a time");
        // Printed in milliseconds.
        let tick = std::time::Duration::from_millis(1);
        assert!(since + tick >= before && since <= after, "{document}");
        let told = outcome(lockfast(["status"]).arg(&path)).output;
        assert!(told[1].contains(" (nightly backup), for "), "{told:?}");
        holder.tell("end");
        holder.end();
    }
    // The record of a dead holder does not describe the next holder, which writes none.
    let mut command = run(["--record", "--label", "nightly backup"]);
    let mut dead = Actor::start(command.arg(&path).args(["--", "sh", "-c", HOLD]));
    dead.says("ready");
    dead.signal(nix::sys::signal::Signal::SIGKILL);
    dead.end();
    let _holder = hold(&path);
    let document = json(lockfast(["status"]).arg(&path));
    let lock = &document["status"][0]["locks"][0];
    assert!(
        lock["since"].is_null() && lock["label"].is_null(),
        "{document}"
    );
}
