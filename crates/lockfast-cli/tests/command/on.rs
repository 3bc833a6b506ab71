//! `--on`: locks in a space of names, here a directory.

use std::ffi::OsStr;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::stage::{Actor, HOLD, Outcome, Stage, outcome, run, until_waiting};

const LOCKFAST: &str = env!("CARGO_BIN_EXE_lockfast");

fn url(stage: &Stage) -> String {
    format!("file://{}", stage.path("locks").display())
}

fn lockfast<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Outcome {
    outcome(Command::new(LOCKFAST).args(words))
}

/// Starts a holder with these options of `run`, which has the lock when this returns.
fn hold(options: &[&str]) -> Actor {
    let holder = Actor::start(run(options).args(["--", "sh", "-c", HOLD]));
    holder.says("ready");
    holder
}

#[test]
fn the_command_learns_name_token_and_epoch() {
    let stage = Stage::new();
    let on = url(&stage);
    let script = "echo \"$LOCKFAST_NAME $LOCKFAST_TOKEN $LOCKFAST_EPOCH\"; exit 3";
    for token in ["1", "2"] {
        let ran = outcome(run(["--on", &on, "b", "a"]).args(["--", "sh", "-c", script]));
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert_eq!(ran.output, [format!("b {token} 0")]);
    }
    let script = "echo \"[$LOCKFAST_TOKEN]\"";
    let mut shared = run(["--on", &on, "--shared", "a"]);
    let ran = outcome(
        shared
            .env("LOCKFAST_TOKEN", "7")
            .args(["--", "sh", "-c", script]),
    );
    assert_eq!(ran.output, ["[]"], "a reader has none: {ran:?}");
}

#[test]
fn the_variable_names_the_space() {
    let stage = Stage::new();
    let on = url(&stage);
    let _holder = hold(&["--on", &on, "a"]);
    let refused = outcome(run(["-n", "a", "--", "true"]).env("LOCKFAST_SPACE", &on));
    assert_eq!(refused.code, Some(75), "{refused:?}");
    let status = outcome(
        Command::new(LOCKFAST)
            .args(["status", "a", "b"])
            .env("LOCKFAST_SPACE", &on),
    );
    assert_eq!(status.code, Some(75), "{status:?}");
    assert_eq!(status.output[0], "a: held");
    assert_eq!(status.output[2], "b: free");
    assert!(
        status.output[1].starts_with("  holding exclusive: pid "),
        "{status:?}"
    );
    let mut path = run(["-n"]);
    let path = outcome(
        path.arg(stage.path("a"))
            .args(["--", "true"])
            .env("LOCKFAST_SPACE", &on),
    );
    assert_eq!(path.code, Some(64), "{path:?}");
    assert!(path.errors.contains("has no `/`"), "{path:?}");
}

#[test]
fn readers_and_permits_share() {
    let stage = Stage::new();
    let on = url(&stage);
    let _reader = hold(&["--on", &on, "--shared", "a"]);
    let try_it = |options: &[&str]| {
        outcome(run(["--on", &on, "-n"]).args(options).args(["--", "true"])).code
    };
    assert_eq!(try_it(&["--shared", "a"]), Some(0));
    assert_eq!(try_it(&["a"]), Some(75));
    assert_eq!(try_it(&["-E", "9", "a"]), Some(9));
    let _permits = [(); 2].map(|()| hold(&["--on", &on, "--permits", "2", "b"]));
    assert_eq!(try_it(&["--permits", "2", "b"]), Some(75));
    assert_eq!(try_it(&["--permits", "2", "c"]), Some(0));
}

#[test]
fn a_signal_ends_the_wait_and_leaves_nothing() {
    let stage = Stage::new();
    let on = url(&stage);
    let mut holder = hold(&["--on", &on, "a"]);
    let mut waiter = Actor::start(&mut run(["--on", &on, "a", "--", "echo", "in"]));
    until_waiting(waiter.pid());
    waiter.signal(Signal::SIGTERM);
    let status = waiter.end();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(15)
    );
    waiter.falls_silent();
    holder.tell("go");
    assert_eq!(holder.end().code(), Some(0));
    let free = lockfast(["run", "--on", &on, "-n", "a", "--", "true"]);
    assert_eq!(free.code, Some(0), "{free:?}");
}

#[test]
fn a_wait_has_a_limit_and_an_end() {
    let stage = Stage::new();
    let on = url(&stage);
    let mut holder = hold(&["--on", &on, "a"]);
    let late = lockfast(["run", "--on", &on, "-w", "10ms", "a", "--", "echo", "in"]);
    assert_eq!(late.code, Some(75), "{late:?}");
    assert!(
        late.output.is_empty() && late.errors.contains("gave up"),
        "{late:?}"
    );
    let mut waiter = Actor::start(&mut run(["--on", &on, "a", "--", "echo", "in"]));
    until_waiting(waiter.pid());
    holder.tell("go");
    waiter.says("in");
    assert_eq!(waiter.end().code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn names_are_listed_with_holders_and_waiters() {
    let stage = Stage::new();
    let on = url(&stage);
    let holder = hold(&["--on", &on, "jobs.a"]);
    let waiter = Actor::start(&mut run(["--on", &on, "jobs.a", "--", "true"]));
    until_waiting(waiter.pid());
    let _other = hold(&["--on", &on, "--permits", "3", "other"]);
    let rows = |prefixes: &[&str]| -> Vec<Vec<String>> {
        let listed = outcome(
            Command::new(LOCKFAST)
                .args(["ls", "--on", &on])
                .args(prefixes),
        );
        assert_eq!(listed.code, Some(0), "{listed:?}");
        let row = |line: &String| line.split('\t').map(str::to_owned).collect();
        listed.output.iter().map(row).collect()
    };
    let all = rows(&[]);
    let begins: Vec<_> = all.iter().map(|row| row[..3].join(" ")).collect();
    let expected = [
        "jobs.a holding exclusive",
        "jobs.a waiting exclusive",
        "other holding 1 of 3 permits",
    ];
    assert_eq!(begins, expected);
    assert_eq!(all[0][5], holder.pid().to_string());
    assert_eq!(rows(&["jobs", "job"]).len(), 2);
    let json = lockfast(["ls", "--on", &on, "--json", "other"])
        .output
        .join("\n");
    let json: serde_json::Value = serde_json::from_str(&json).expect("a document");
    assert_eq!(json["schema"], 1);
    assert_eq!(json["space"], on.as_str());
    let name = &json["names"][0];
    assert_eq!(
        (&name["name"], &name["free"]),
        (&"other".into(), &false.into())
    );
    assert_eq!(
        (&name["permits"], &name["holders"][0]["permits"]),
        (&3.into(), &1.into())
    );
}

#[test]
fn what_a_space_does_not_have_is_an_error() {
    let stage = Stage::new();
    let on = url(&stage);
    let cases: [(&[&str], i32, &str); 9] = [
        (
            &["run", "--on", &on, "--record", "a", "--", "true"],
            64,
            "--record is for lock files",
        ),
        (
            &["run", "--on", &on, "--exec", "a", "--", "true"],
            64,
            "--exec is for lock files",
        ),
        (
            &["run", "--on", &on, "--fifo", "a", "--", "true"],
            64,
            "?fifo=yes",
        ),
        (&["run", "--on", &on, "a/b", "--", "true"], 64, "has no `/`"),
        (
            &["run", "--on", "redis://h", "a", "--", "true"],
            64,
            "etcd://host:2379",
        ),
        (
            &["run", "--on", "file:///x?ttl=5s", "a", "--", "true"],
            64,
            "no option `ttl`",
        ),
        (&["ls", "--on", &on, "--all"], 64, "--all"),
        (
            &["break", "--on", &on, "a", "--token", "1"],
            64,
            "until its holder ends",
        ),
        (&["break", "a", "--token", "1"], 64, "LOCKFAST_SPACE"),
    ];
    for (words, code, part) in cases {
        let refused = lockfast(words);
        assert_eq!(refused.code, Some(code), "{refused:?}");
        assert!(refused.errors.contains(part), "{refused:?}");
    }
}

#[test]
fn a_directory_is_diagnosed() {
    let stage = Stage::new();
    let well = lockfast(["doctor", "--on", &url(&stage)]);
    assert_eq!(well.code, Some(0), "{well:?}");
    assert!(well.output[1].starts_with("  ok    locks: "), "{well:?}");
    let ill = lockfast(["doctor", "--on", "file:///dev/null/locks", "--json"]);
    assert_eq!(ill.code, Some(1), "{ill:?}");
    let json: serde_json::Value = serde_json::from_str(&ill.output.join("\n")).expect("a document");
    assert_eq!(json["checks"][0]["verdict"], "fail");
}
