//! The command on Windows, and its missing parts.
#![cfg(windows)]
#![allow(unsafe_code, reason = "events of the console can't be sent without")]

use std::io::{BufRead, BufReader, Read};
use std::os::windows::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use windows_sys::Win32::Foundation::ERROR_INVALID_ACCESS;
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, GenerateConsoleCtrlEvent};
use windows_sys::Win32::System::Threading::CREATE_NEW_PROCESS_GROUP;

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

/// Returns the exit code and standard error.
fn ended(words: &[&str]) -> (Option<i32>, String) {
    let output = lockfast(words).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

/// Starts it as the first of a group, which can receive console events.
fn as_group(command: &mut Command) {
    command.creation_flags(CREATE_NEW_PROCESS_GROUP);
}

/// Sends an event of the console to the group of that process; fails if there is no console.
fn interrupt(process: &Child) -> std::io::Result<()> {
    // SAFETY: takes numbers.
    let answer = unsafe { GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, process.id()) };
    let error = std::io::Error::last_os_error();
    let has_none = error.raw_os_error() == Some(ERROR_INVALID_ACCESS.cast_signed());
    if answer == 0 && has_none {
        return Err(error);
    }
    assert_ne!(answer, 0, "{error}");
    Ok(())
}

/// Returns the exit code and standard output.
fn printed(words: &[&str]) -> (Option<i32>, String) {
    let output = lockfast(words).output().expect("it starts");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), printed)
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

/// A command that holds the lock until told to end.
struct Holder {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Holder {
    /// Starts it with these options, and waits until it has the lock.
    fn start(path: &str, change: impl FnOnce(&mut Command)) -> Self {
        let sleeps = "echo started& ping -n 100 127.0.0.1";
        let mut command = lockfast(&["run", path, "--", "cmd", "/c", sleeps]);
        change(&mut command);
        let mut process = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut output = BufReader::new(process.stdout.take().expect("piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("a line");
        assert_eq!(line.trim(), "started");
        Self { process, output }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_command_ends_with_lockfast_and_the_lock_is_free() {
    let (_directory, path) = place();
    let mut holder = Holder::start(path.to_str().expect("plain"), |_| ());
    let lock = lockfast::Lock::open(&path).expect("it is there");
    assert!(lock.try_lock().expect_err("held").is_contended());
    holder.process.kill().expect("it runs");
    holder.process.wait().expect("a child");
    let patience = Duration::from_secs(60);
    drop(lock.try_lock_for(patience).expect("it is free"));
    // It ends when all writers are gone, long before a hundred pings.
    let begun = std::time::Instant::now();
    let mut rest = String::new();
    holder.output.read_to_string(&mut rest).expect("text");
    assert!(begun.elapsed() < patience);
}

#[test]
fn an_event_of_the_console_ends_the_command_and_then_lockfast() {
    const BEFORE_EVERY_OTHER: u32 = 0xC000_013A;
    let (_directory, path) = place();
    let mut holder = Holder::start(path.to_str().expect("plain"), as_group);
    if let Err(error) = interrupt(&holder.process) {
        lockfast_testing::skip!("there is no console that could send an event: {error}");
    }
    let status = holder.process.wait().expect("a child");
    // The command's code is too large for ours. If the event ended lockfast, this would be its
    // code.
    assert_ne!(status.code(), Some(BEFORE_EVERY_OTHER.cast_signed()));
    assert_eq!(status.code(), Some(255));
    let lock = lockfast::Lock::open(&path).expect("it is there");
    drop(lock.try_lock().expect("it was released before the end"));
}

#[test]
fn status_and_ls_show_certain_and_possible_holders() {
    let (directory, path) = place();
    let text = path.to_str().expect("plain");
    let status = |flags: &[&str]| printed(&[&["status", text], flags].concat());
    let missing = format!("{text}: free (no such file)\n");
    assert_eq!(status(&[]), (Some(0), missing));
    let holder = Holder::start(text, |_| ());
    let pid = holder.process.id();
    let (code, said) = status(&[]);
    assert_eq!(code, Some(75), "{said}");
    assert!(said.starts_with(&format!("{text}: held\n")), "{said}");
    assert!(
        said.contains(&format!("  holding exclusive: pid {pid} (")),
        "{said}"
    );
    let (code, said) = printed(&["ls", directory.path().to_str().expect("plain")]);
    assert_eq!(code, Some(0), "{said}");
    let row = said.lines().next().expect("a row");
    let begins = format!("{text}\tholding\texclusive\tlockfile\t{pid}\t");
    assert!(row.starts_with(&begins), "{said}");
    drop(holder);

    let rw = lockfast::RwLock::open(&path).expect("it is there");
    let reader = rw.read().expect("nobody writes");
    let own = std::process::id();
    let (code, said) = status(&[]);
    assert_eq!(code, Some(75), "{said}");
    assert!(said.starts_with(&format!("{text}: unknown\n")), "{said}");
    assert!(
        said.contains(&format!("  has it open: pid {own} (")),
        "{said}"
    );
    let (_, said) = status(&["--json"]);
    let document: Value = serde_json::from_str(&said).expect("JSON");
    let found = &document["status"][0];
    assert_eq!(found["free"], Value::Null);
    assert_eq!(found["openers"][0]["process"]["pid"], own);
    assert_eq!(found["incomplete"]["shared_unseen"], true);
    let (_, said) = printed(&["ls", text]);
    assert!(
        said.starts_with(&format!("{text}\topen\t?\t?\t{own}\t")),
        "{said}"
    );
    drop((reader, rw));
    assert_eq!(status(&[]).0, Some(0));
}

#[test]
fn a_conflict_names_the_only_other_process_with_the_file_open() {
    let (_directory, path) = place();
    let text = path.to_str().expect("plain");
    let holder = Holder::start(text, |_| ());
    let (code, said) = ended(&["run", "--no-wait", text, "--", "cmd", "/c", "exit"]);
    assert_eq!(code, Some(75), "{said}");
    let pid = holder.process.id();
    assert!(
        said.contains(&format!("it is held by pid {pid} (")),
        "{said}"
    );
}

#[test]
fn the_doctor_tries_every_promise() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("plain");
    let (code, said) = printed(&["doctor", path, "--json"]);
    let document: Value = serde_json::from_str(&said).expect("JSON");
    let is_wine = std::env::var_os("LOCKFAST_TEST_WINE").is_some();
    for promise in document["promises"].as_array().expect("an array") {
        if promise["promise"] == "identity" && is_wine {
            continue;
        }
        assert_eq!(promise["verdict"], "kept", "{promise}");
    }
    assert_eq!(document["directory"], path);
    assert_eq!(document["flock_and_fcntl"], "one");
    assert_ne!(document["file_system"]["type"], "");
    let is_kept = document["kept"] == true;
    assert_eq!(code, Some(i32::from(!is_kept)));
    let left = std::fs::read_dir(path).expect("readable").count();
    assert_eq!(left, 0, "it removes what it made");
    let (code, said) = ended(&["doctor", "no-such-directory"]);
    assert_eq!(code, Some(73), "{said}");
    if is_wine {
        lockfast_testing::skip!("Wine deletes a file only when all have closed it: no identity");
    }
}

#[test]
fn an_event_of_the_console_ends_the_doctor_and_nothing_is_left() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("plain");
    let mut command = lockfast(&["doctor", path]);
    as_group(&mut command);
    let mut process = command.stdout(Stdio::null()).spawn().expect("it starts");
    let count = || std::fs::read_dir(path).expect("readable").count();
    while count() == 0 {
        assert!(process.try_wait().expect("a child").is_none(), "it is over");
        std::thread::yield_now();
    }
    if let Err(error) = interrupt(&process) {
        process.kill().expect("it runs");
        process.wait().expect("a child");
        lockfast_testing::skip!("there is no console that could send an event: {error}");
    }
    assert_ne!(process.wait().expect("a child").code(), Some(0));
    assert_eq!(count(), 0);
}

#[test]
fn completions_and_man_pages_are_there() {
    for shell in ["powershell", "bash"] {
        let (code, said) = printed(&["completions", shell]);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("lockfast"));
    }
    let directory = tempfile::tempdir().expect("a directory");
    let (code, said) = ended(&["man", directory.path().to_str().expect("plain")]);
    assert_eq!(code, Some(0), "{said}");
    for page in ["lockfast.1", "lockfast-run.1", "lockfast-status.1"] {
        assert!(directory.path().join(page).exists(), "{page}");
    }
}

#[test]
fn missing_features_report_it() {
    let (_directory, path) = place();
    let path = path.to_str().expect("plain");
    let calls: [(&[&str], i32, &str); 6] = [
        (&["flock", path, "cmd"], 64, "lockfast run"),
        (&["top"], 64, "lockfast ls"),
        (
            &["run", "--inherit", path, "--", "cmd", "/c", "exit"],
            64,
            "--inherit",
        ),
        (
            &["run", "--time-limit", "1", path, "--", "cmd", "/c", "exit"],
            64,
            "--time-limit",
        ),
        (&["ls", "--all"], 71, "name the lock files"),
        (&["ls", "--deadlocks"], 71, "name the lock files"),
    ];
    std::fs::write(path, "").expect("written");
    for (words, expected, advice) in calls {
        let (code, said) = ended(words);
        assert_eq!(code, Some(expected), "{words:?}: {said}");
        assert!(said.contains(advice), "{words:?}: {said}");
    }
}
