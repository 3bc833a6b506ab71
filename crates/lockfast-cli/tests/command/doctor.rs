//! `lockfast doctor` on file systems with locks, without locks, and with locks that do not work.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::lockless;
use crate::stage::{Actor, Outcome, Stage, outcome, until};
use crate::terminal::Terminal;

/// The published schema.
const SCHEMA: &str = include_str!("../../../../docs/doctor.schema.json");

const PROMISES: [&str; 8] = [
    "exclusion",
    "exclusion-flock",
    "shared",
    "upgrade",
    "deadline",
    "wake-after-release",
    "wake-after-kill",
    "identity",
];

fn doctor(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockfast"));
    command.arg("doctor").arg(directory);
    command
}

/// Returns the exit code and the JSON, after checking it against the schema.
fn examined(directory: &Path) -> (Option<i32>, Value) {
    let Outcome {
        code,
        output,
        errors,
    } = outcome(doctor(directory).arg("--json"));
    assert_eq!(errors, "");
    let findings: Value = serde_json::from_str(&output.join("\n")).expect("JSON");
    let schema = serde_json::from_str(SCHEMA).expect("JSON");
    assert_conforms(&findings, &schema, "findings");
    (code, findings)
}

/// Checks a value against the part of JSON Schema that the file uses.
fn assert_conforms(value: &Value, schema: &Value, place: &str) {
    let types: Vec<_> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let actual = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    assert!(
        types.contains(&actual),
        "{place} is {actual}, not {types:?}"
    );
    if let Some(known) = schema["enum"].as_array() {
        assert!(known.contains(value), "{place}: {value}");
    }
    if let Some(items) = value.as_array() {
        for item in items {
            assert_conforms(item, &schema["items"], place);
        }
    }
    if let Some(members) = value.as_object() {
        let required = schema["required"].as_array().expect("what it must have");
        for name in required.iter().filter_map(Value::as_str) {
            assert!(members.contains_key(name), "{place} has no {name}");
        }
        for (name, member) in members {
            let described = &schema["properties"][name];
            assert!(!described.is_null(), "{place}.{name} is not described");
            assert_conforms(member, described, &format!("{place}.{name}"));
        }
    }
}

fn verdicts(findings: &Value) -> Vec<(&str, &str)> {
    let promises = findings["promises"].as_array().expect("promises");
    promises
        .iter()
        .map(|promise| {
            let name = promise["promise"].as_str().expect("a name");
            (name, promise["verdict"].as_str().expect("a verdict"))
        })
        .collect()
}

fn all_kept() -> Vec<(&'static str, &'static str)> {
    PROMISES
        .into_iter()
        .map(|promise| (promise, "kept"))
        .collect()
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory)
        .expect("a directory")
        .next()
        .is_none()
}

#[test]
fn a_local_file_system_keeps_every_promise() {
    let stage = Stage::new();
    let memory = tempfile::tempdir_in("/dev/shm").expect("a directory in memory");
    for (directory, kind) in [
        (stage.path(""), None),
        (memory.path().to_path_buf(), Some("tmpfs")),
    ] {
        let (code, findings) = examined(&directory);
        assert_eq!(verdicts(&findings), all_kept(), "{findings}");
        assert_eq!((code, &findings["kept"]), (Some(0), &Value::Bool(true)));
        assert_eq!(findings["flock_and_fcntl"], "apart");
        if let Some(kind) = kind {
            assert_eq!(findings["file_system"]["type"], kind);
            assert_eq!(findings["file_system"]["mounted_on"], "/dev/shm");
        }
        for timed in &findings["promises"].as_array().expect("promises")[5..7] {
            let times = &timed["times"];
            assert!(
                times["median_us"].as_u64() <= times["worst_us"].as_u64(),
                "{times}"
            );
            assert!(times["worst_us"].as_u64() < Some(10_000_000), "{times}");
        }
        assert!(is_empty(&directory), "it leaves nothing");
    }
}

#[test]
fn an_overlay_keeps_them_and_is_warned_of() {
    let stage = Stage::new();
    let script = "mkdir lower upper work merged
        mount -t tmpfs tmpfs upper && mkdir upper/up upper/work || exit 99
        mount -t overlay overlay -o lowerdir=lower,upperdir=upper/up,workdir=upper/work merged || exit 99
        exec \"$0\" doctor --json merged";
    let mut command = Command::new("unshare");
    command
        .args([
            "--mount",
            "sh",
            "-c",
            script,
            env!("CARGO_BIN_EXE_lockfast"),
        ])
        .current_dir(stage.path(""));
    let Outcome {
        code,
        output,
        errors,
    } = outcome(&mut command);
    if code == Some(99) || output.is_empty() {
        lockfast_testing::skip!("no overlay can be mounted here: {errors}");
    }
    let findings: Value = serde_json::from_str(&output.join("\n")).expect("JSON");
    assert_eq!(verdicts(&findings), all_kept(), "{findings}");
    assert_eq!(code, Some(0));
    assert_eq!(findings["file_system"]["type"], "overlay");
    assert_eq!(findings["warnings"][0]["about"], "overlay-lower");
}

#[test]
fn a_file_system_without_locks_is_named() {
    let stage = Stage::new();
    let directory = stage.path("mounted");
    fs::create_dir(&directory).expect("a directory");
    let session = lockless::mount(&directory, libc::ENOLCK).expect("a file system");
    let (code, findings) = examined(&directory);
    assert_eq!((code, &findings["kept"]), (Some(1), &Value::Bool(false)));
    let expected = PROMISES.map(|promise| match promise {
        "exclusion" | "exclusion-flock" => (promise, "unsupported"),
        _ => (promise, "untested"),
    });
    assert_eq!(verdicts(&findings), expected, "{findings}");
    assert_eq!(findings["warnings"][0]["about"], "fuse");
    assert_eq!(findings["flock_and_fcntl"], Value::Null);

    // The file that is there now can't be created again.
    drop(session);
    let session = lockless::mount(&directory, libc::ENOLCK).expect("a file system");
    let Outcome { code, output, .. } = outcome(&mut doctor(&directory));
    assert_eq!(code, Some(1));
    let text = output.join("\n");
    assert!(text.contains(": fuse"), "{text}");
    assert!(text.contains("none      one holder at a time"), "{text}");
    assert!(text.contains("\nwarning: "), "{text}");
    drop(session);
}

#[test]
fn a_file_system_that_grants_every_lock_is_caught() {
    let stage = Stage::new();
    let directory = stage.path("mounted");
    fs::create_dir(&directory).expect("a directory");
    // An error must not count as a grant.
    let session = lockless::mount(&directory, 0).expect("a file system");
    let (code, findings) = examined(&directory);
    assert_eq!(code, Some(1));
    let verdicts = verdicts(&findings);
    // A probe at the open of a file notices it, but only for byte locks.
    assert_eq!(verdicts[0], ("exclusion", "unsupported"), "{findings}");
    assert_eq!(verdicts[1], ("exclusion-flock", "broken"), "{findings}");
    let [of_bytes, of_files] = [0, 1].map(|number| &findings["promises"][number]["detail"]);
    let of_bytes = of_bytes.as_str().expect("a text");
    assert!(
        of_bytes.contains("grants a lock that is held already"),
        "{of_bytes}"
    );
    assert_eq!(of_files, "two processes hold it at the same time");
    drop(session);
}

#[test]
fn a_signal_ends_it_and_it_leaves_nothing() {
    let stage = Stage::new();
    let directory = stage.path("");
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let mut command = Command::new("env");
        command.args(["--default-signal", env!("CARGO_BIN_EXE_lockfast"), "doctor"]);
        let mut actor = Actor::start(command.arg(&directory));
        until("a file", || !is_empty(&directory));
        actor.signal(signal);
        assert_eq!(actor.end().signal(), Some(signal as i32));
        assert!(is_empty(&directory), "{signal}");
    }
}

#[test]
fn a_directory_that_cannot_be_written_to_gives_73() {
    for directory in ["/proc", "/nonexistent"] {
        let refused = outcome(&mut doctor(Path::new(directory)));
        assert_eq!(refused.code, Some(73), "{refused:?}");
        assert!(refused.errors.contains(directory), "{refused:?}");
    }
}

#[test]
fn there_are_colors_on_a_terminal_only_and_not_with_no_color() {
    let stage = Stage::new();
    let directory = stage.path("");
    let doctor = |directory: &Path| {
        let mut command = doctor(directory);
        command.env("TERM", "xterm").env("NO_COLOR", "");
        command
    };
    let piped = outcome(&mut doctor(&directory)).output.join("\n");
    assert!(piped.contains("  kept      one holder"), "{piped}");
    assert!(!piped.contains('\u{1b}'), "{piped}");

    let mut terminal = Terminal::run(&doctor(&directory));
    terminal.shows("\u{1b}[32mkept    \u{1b}[0m  one holder");
    assert_eq!(terminal.end(), Some(0));

    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let mut terminal = Terminal::run(doctor(&directory).env(name, value));
        terminal.shows("  kept      one holder");
        assert_eq!(terminal.end(), Some(0));
    }
}
