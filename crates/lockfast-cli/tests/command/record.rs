//! `--record`, `--label` and `--trace`.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::stage::{Actor, HOLD, Stage, hold, outcome, run};

fn events(trace: &Path) -> Vec<Value> {
    let text = fs::read_to_string(trace).expect("the trace");
    let trace: Value = serde_json::from_str(&text).expect("JSON");
    trace["traceEvents"].as_array().expect("events").clone()
}

/// Returns the names of the slices, each of which has a duration.
fn slices(trace: &Path) -> Vec<String> {
    let slices = events(trace).into_iter().filter(|event| event["ph"] == "X");
    slices
        .map(|slice| {
            assert!(slice["ts"].as_f64().expect("a time") > 1e15);
            assert!(slice["dur"].as_f64().expect("a time") >= 0.0);
            slice["name"].as_str().expect("a name").to_owned()
        })
        .collect()
}

/// A hold costs two small writes and no sync; without a record it costs none.
#[test]
#[cfg(target_os = "linux")]
fn a_record_costs_two_writes() {
    let stage = Stage::new();
    let (lock, log) = (stage.path("job.lock"), stage.path("log"));
    for (options, expected) in [(&["-q"][..], 0), (&["-q", "--record"], 2)] {
        // The first run creates the file.
        for _ in 0..2 {
            let mut command = Command::new("strace");
            command
                .args(["-f", "-y", "-o"])
                .arg(&log)
                .args([
                    "-e",
                    "trace=write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync",
                ])
                .args([env!("CARGO_BIN_EXE_lockfast"), "run"])
                .args(options)
                .arg(&lock)
                .args(["--", "true"]);
            let done = outcome(&mut command);
            assert_eq!(done.code, Some(0), "{done:?}");
            let calls = fs::read_to_string(&log).expect("a log");
            let of_lock = calls.lines().filter(|line| line.contains("/job.lock>"));
            assert_eq!(of_lock.count(), expected, "{calls}");
        }
    }
}

#[test]
fn each_command_gets_a_greater_token() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    for token in ["1", "2", "3"] {
        let mut command = run(["--record"]);
        command
            .arg(&lock)
            .args(["--", "sh", "-c", "echo $LOCKFAST_TOKEN"]);
        let done = outcome(&mut command);
        assert_eq!(
            (done.output, done.errors),
            (vec![token.to_owned()], String::new())
        );
    }
    let text = fs::read_to_string(&lock).expect("the record");
    assert!(text.contains("token=3 state=released"), "{text}");
}

#[test]
fn the_next_holder_learns_of_a_death_and_waiters_of_the_holder() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let record = || {
        let mut command = run(["--record", "--label", "nightly backup"]);
        command.arg(&lock);
        command
    };
    let mut holder = Actor::start(record().args(["--", "sh", "-c", HOLD]));
    holder.says("ready");
    let mut attempt = run(["-n", "--record"]);
    let refused = outcome(attempt.arg(&lock).args(["--", "true"]));
    let who = format!("held by pid {} (", holder.pid());
    assert!(refused.errors.contains(&who), "{}", refused.errors);
    let since = ") (nightly backup), for ";
    assert!(refused.errors.contains(since), "{}", refused.errors);

    holder.signal(Signal::SIGKILL);
    holder.end();
    let next = outcome(record().args(["--", "true"]));
    let who = format!(
        "the last holder of lock {}, pid {} (nightly backup), died while holding it",
        lock.display(),
        holder.pid()
    );
    assert!(next.errors.contains(&who), "{}", next.errors);
    assert_eq!(next.code, Some(0));
}

#[test]
fn a_record_is_refused_where_it_makes_no_sense() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    for options in [
        ["--record", "--shared"],
        ["--record", "--remove"],
        ["--quiet", "--label=x"],
    ] {
        let refused = outcome(run(options).arg(&lock).args(["--", "true"]));
        assert_eq!(refused.code, Some(64), "{options:?}: {}", refused.errors);
    }
    fs::write(&lock, "mine\n").expect("written");
    let refused = outcome(run(["--record"]).arg(&lock).args(["--", "true"]));
    assert_eq!(refused.code, Some(73));
    assert!(
        refused.errors.contains("other content"),
        "{}",
        refused.errors
    );
    assert_eq!(fs::read_to_string(&lock).expect("readable"), "mine\n");
}

#[test]
fn a_trace_has_the_wait_and_the_hold() {
    let stage = Stage::new();
    let (lock, trace) = (stage.path("job.lock"), stage.path("job.json"));
    let mut holder = hold(&lock);
    let mut command = run(["--trace".as_ref(), trace.as_os_str()]);
    let mut waiter = Actor::start(command.arg(&lock).args(["--", "echo", "done"]));
    // It reports the wait only after it has begun.
    assert!(
        waiter.complaint().contains("waiting"),
        "told on the error stream"
    );
    holder.tell("end");
    waiter.says("done");
    assert_eq!(waiter.end().code(), Some(0));
    assert_eq!(slices(&trace), ["wait job.lock", "hold job.lock"]);
    let all = events(&trace);
    let wait = all
        .iter()
        .find(|event| event["name"] == "wait job.lock")
        .expect("it");
    let holder = wait["args"]["holder"].as_str().expect("a holder");
    assert!(holder.contains("pid "), "{holder}");

    let mut command = run(["-n", "--trace"]);
    let second = stage.path("second.json");
    outcome(command.arg(&second).arg(&lock).args(["--", "true"]));
    assert_eq!(slices(&second), ["hold job.lock"]);
    let pid = |events: Vec<Value>| events[0]["pid"].as_u64();
    assert_ne!(pid(events(&trace)), pid(events(&second)));
}

#[test]
fn a_trace_that_cannot_be_written_is_an_error() {
    let stage = Stage::new();
    let (lock, missing) = (stage.path("job.lock"), stage.path("missing/job.json"));
    let mut command = run(["--trace".as_ref(), missing.as_os_str()]);
    let refused = outcome(command.arg(&lock).args(["--", "echo", "ran"]));
    assert_eq!(refused.code, Some(73));
    assert!(refused.output.is_empty(), "nothing runs without its trace");
    assert!(
        refused.errors.contains("missing/job.json"),
        "{}",
        refused.errors
    );
}
