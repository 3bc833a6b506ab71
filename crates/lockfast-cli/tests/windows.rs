//! What `lockfast run` does on Windows, and what the others say there.
#![cfg(windows)]

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.lock");
    (directory, path)
}

fn lockfast(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockfast"));
    command.args(words);
    command
}

/// The exit code, and what was said on standard error.
fn ended(words: &[&str]) -> (Option<i32>, String) {
    let output = lockfast(words).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn the_command_s_code_is_the_code() {
    let (_directory, path) = place();
    let path = path.to_str().expect("plain");
    for (code, seen) in [("0", 0), ("7", 7), ("300", 255)] {
        let (ended, said) = ended(&["run", path, "--", "cmd", "/c", "exit", code]);
        assert_eq!(ended, Some(seen), "{said}");
    }
    let (code, said) = ended(&["run", path, "--", "no-such-command"]);
    assert_eq!(code, Some(127), "{said}");
}

#[test]
fn a_lock_that_is_held_is_waited_for_as_long_as_was_said() {
    let (_directory, path) = place();
    let held = lockfast::Lock::open(&path).and_then(|lock| lock.lock());
    let held = held.expect("a lock");
    let path = path.to_str().expect("plain");
    for wait in [["--no-wait", "--quiet"], ["--timeout", "50ms"]] {
        let words = [&["run"], &wait[..], &[path, "--", "cmd", "/c", "exit"]].concat();
        let (code, said) = ended(&words);
        assert_eq!(code, Some(75), "{said}");
    }
    drop(held);
    assert_eq!(ended(&["run", path, "--", "cmd", "/c", "exit"]).0, Some(0));
}

#[test]
fn a_command_ends_with_lockfast_and_the_lock_is_free() {
    let (_directory, path) = place();
    let sleeps = "echo started& ping -n 100 127.0.0.1";
    let words = [
        "run",
        path.to_str().expect("plain"),
        "--",
        "cmd",
        "/c",
        sleeps,
    ];
    let mut process = lockfast(&words)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut output = BufReader::new(process.stdout.take().expect("piped"));
    let mut line = String::new();
    output.read_line(&mut line).expect("a line");
    assert_eq!(line.trim(), "started");
    let lock = lockfast::Lock::open(&path).expect("it is there");
    assert!(lock.try_lock().expect_err("held").is_contended());
    process.kill().expect("it runs");
    process.wait().expect("a child");
    let patience = Duration::from_secs(60);
    drop(lock.try_lock_for(patience).expect("it is free"));
    // It ends when the last process is gone that could write, long before a hundred pings are.
    let begun = std::time::Instant::now();
    output.read_to_string(&mut line).expect("text");
    assert!(begun.elapsed() < patience);
}

#[test]
fn what_is_not_there_says_so() {
    let (directory, path) = place();
    let path = path.to_str().expect("plain");
    let directory = directory.path().to_str().expect("plain");
    let calls: [(&[&str], i32); 4] = [
        (&["flock", path, "cmd"], 64),
        (&["doctor", directory], 64),
        (&["run", "--inherit", path, "--", "cmd", "/c", "exit"], 71),
        (&["status", path], 71),
    ];
    std::fs::write(path, "").expect("written");
    for (words, expected) in calls {
        let (code, said) = ended(words);
        assert_eq!(code, Some(expected), "{words:?}: {said}");
        assert!(!said.is_empty());
    }
}
