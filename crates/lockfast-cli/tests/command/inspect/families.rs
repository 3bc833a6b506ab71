//! Processes that wait for the lock of an ancestor, which waits for them.

use std::path::Path;
use std::process::Command;

use crate::inspect::{file, json, lockfast, until};
use crate::stage::{Actor, Outcome, Stage, deadlocked, outcome};

/// Locks the first file and runs a program in the named way.
const ANCESTOR: &str = r#"
import fcntl, subprocess, sys
path, how, words = sys.argv[1], sys.argv[2], sys.argv[3:]
file = open(path, "r+")
fcntl.flock(file, fcntl.LOCK_EX)
print("ready", flush=True)
if how == "run":
    subprocess.run(words)
elif how == "check_output":
    subprocess.check_output(words)
else:
    subprocess.run(words, capture_output=True)
"#;

fn look(path: &Path) -> Outcome {
    outcome(lockfast(["ls", "--deadlocks"]).arg(path))
}

/// Repeats the look until the deadlock is found, or the time of a test is over.
fn found(path: &Path) -> Outcome {
    let mut last = None;
    until("it is found", || {
        let told = look(path);
        let is_found = told
            .output
            .first()
            .is_none_or(|line| line != "no deadlocks");
        last = Some(told);
        is_found
    });
    last.expect("it was looked for")
}

#[test]
fn a_descendant_that_waits_for_its_ancestors_lock_is_found() {
    let stage = Stage::new();
    let program = env!("CARGO_BIN_EXE_lockfast");
    let other = file(&stage, "other.lock");
    let other = other.to_str().expect("plain");
    let substitution = "x=$(flock \"$0\" true); echo \"$x\"";
    // The way to run it, and whether the ancestor's wait is certain.
    let ways: [(&str, &str, &[&str], bool); 8] = [
        ("run", "wait4", &["flock", "FILE", "true"], true),
        ("check_output", "pipe", &["flock", "FILE", "true"], true),
        ("capture_output", "poll", &["flock", "FILE", "true"], false),
        ("run", "shell", &["sh", "-c", substitution, "FILE"], true),
        (
            "run",
            "timeout",
            &["timeout", "1000", "flock", "FILE", "true"],
            false,
        ),
        (
            "run",
            "limit",
            &["flock", "-w", "1000", "FILE", "true"],
            false,
        ),
        ("run", "stand-in", &[program, "flock", "FILE", "true"], true),
        (
            "run",
            "between",
            &[program, "flock", other, "flock", "FILE", "true"],
            true,
        ),
    ];
    for (how, name, words, is_certain) in ways {
        let path = file(&stage, name);
        let python = std::env::var_os("LOCKFAST_TEST_PYTHON").unwrap_or_else(|| "python3".into());
        let mut command = Command::new(python);
        command.args(["-c", ANCESTOR]).arg(&path).arg(how);
        for &word in words {
            if word == "FILE" {
                command.arg(&path);
            } else {
                command.arg(word);
            }
        }
        // They all end with it.
        let ancestor = Actor::start(&mut command);
        ancestor.says("ready");
        let told = found(&path);
        let code = if is_certain { 75 } else { 0 };
        assert_eq!(told.code, Some(code), "{name}: {told:?}");
        let start = if is_certain {
            "deadlock: "
        } else {
            "possible deadlock: "
        };
        assert!(told.output[0].starts_with(start), "{name}: {told:?}");
        let who = format!("  pid {} (", ancestor.pid());
        let is_named = told.output.iter().any(|line| line.starts_with(&who));
        assert!(is_named, "{name}: {told:?}");
        let document = json(lockfast(["ls", "--deadlocks"]).arg(&path));
        assert_eq!(document["deadlocks"][0]["certain"], is_certain, "{name}");
    }
}

/// Both waits have a timeout.
#[test]
fn waits_with_a_limit_are_no_certain_deadlock() {
    let stage = Stage::new();
    let (a, b) = (stage.path("a.lock"), stage.path("b.lock"));
    let _actors = deadlocked([&a, &b], &["-w", "1000s"]);
    let told = found(&a);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(
        told.output[0].starts_with("possible deadlock: "),
        "{told:?}"
    );
}
