//! `lockfast status` and `lockfast ls`: real holders and waiters of every kind.

mod circles;
mod documented;
mod errors;
mod families;
mod hidden;
mod in_order;
mod neighbours;
mod places;
mod silent;
mod since;
mod truth;

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::stage::{Actor, HOLD, Stage, hold, outcome, run, until};

/// Locks files one after the other, each on request: `flock FILE`, `classic FILE` or `ofd FILE`,
/// shared with an `s` appended.
const LOCKER: &str = r#"
import fcntl, os, struct, sys
print("ready", flush=True)
files = []
for line in sys.stdin:
    how, name = line.rstrip("\n").split(" ", 1)
    file = open(name, "r+")
    files.append(file)
    shared = how.endswith("s")
    mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    kind = fcntl.F_RDLCK if shared else fcntl.F_WRLCK
    if how.startswith("flock"):
        fcntl.flock(file, mode)
    elif how.startswith("classic"):
        fcntl.lockf(file, mode)
    else:
        fcntl.fcntl(file, 38, struct.pack("hhqqi4x", kind, 0, 0, 0, 0))
    print("locked", flush=True)
"#;

fn locker() -> Actor {
    let python = std::env::var_os("LOCKFAST_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let mut command = Command::new(python);
    let actor = Actor::start(command.args(["-c", LOCKER]));
    actor.says("ready");
    actor
}

fn lockfast<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockfast"));
    command.args(arguments);
    command
}

fn json(command: &mut Command) -> Value {
    let told = outcome(command.arg("--json"));
    assert_eq!(told.errors, "");
    serde_json::from_str(&told.output.join("\n")).expect("it is JSON")
}

/// An entry for a lock: its state, kind, mode and role.
fn entries(path: &Path) -> Vec<(String, String, String, String, Option<u64>)> {
    let document = json(lockfast(["ls"]).arg(path));
    let locks = document["locks"].as_array().expect("locks").clone();
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let entry = |lock: &Value| {
        assert_eq!(word(&lock["path"]), path.to_str().expect("a plain path"));
        let pid = lock["processes"][0]["pid"].as_u64();
        let (state, kind) = (word(&lock["state"]), word(&lock["kind"]));
        (state, kind, word(&lock["mode"]), word(&lock["role"]), pid)
    };
    locks.iter().map(entry).collect()
}

#[track_caller]
fn until_waiting(path: &Path, pid: nix::unistd::Pid) {
    until("it waits", || {
        let waits = |entry: &(String, _, _, _, Option<u64>)| {
            entry.0 == "waiting" && entry.4 == Some(number(pid))
        };
        entries(path).iter().any(waits)
    });
}

fn number(pid: nix::unistd::Pid) -> u64 {
    pid.as_raw().try_into().expect("pids are positive")
}

fn file(stage: &Stage, name: impl AsRef<OsStr>) -> std::path::PathBuf {
    let path = stage.path(name);
    fs::write(&path, "").expect("a file");
    path
}

#[test]
fn status_distinguishes_free_from_held_and_takes_nothing() {
    let stage = Stage::new();
    let (lock, other) = (stage.path("job.lock"), stage.path("other.lock"));
    let status = |paths: &[&Path]| outcome(lockfast(["status"]).args(paths));
    let free = status(&[&lock]);
    assert_eq!((free.code, free.errors.as_str()), (Some(0), ""));
    let free_and_missing = |path: &Path| format!("{}: free (no such file)", path.display());
    assert_eq!(free.output, [free_and_missing(&lock)]);
    assert!(!lock.exists(), "it was created");

    let mut holder = hold(&lock);
    let held = status(&[&lock, &other]);
    assert_eq!(held.code, Some(75));
    assert_eq!(held.output[0], format!("{}: held", lock.display()));
    let who = format!("  holding exclusive writer: pid {} (", holder.pid());
    assert!(held.output[1].starts_with(&who), "{held:?}");
    assert_eq!(held.output[2], free_and_missing(&other));
    let document = json(lockfast(["status"]).args([&lock, &other]));
    assert_eq!(document["schema"], 1);
    assert_eq!(document["status"][0]["free"], false);
    assert_eq!(document["status"][1]["free"], true);
    let process = &document["status"][0]["locks"][0]["processes"][0];
    assert_eq!(process["pid"], number(holder.pid()));
    assert_eq!(process["uid"], nix::unistd::geteuid().as_raw());
    holder.tell("end");
    holder.end();
    assert_eq!(status(&[&lock]).code, Some(0));
}

#[test]
fn every_kind_of_holder_and_waiter_is_shown() {
    let stage = Stage::new();
    for (kind, other) in [("flock", "flock"), ("classic", "ofd"), ("ofd", "classic")] {
        let path = file(&stage, kind);
        let (mut holder, mut waiter) = (locker(), locker());
        holder.tell(&format!("{kind} {}", path.display()));
        holder.says("locked");
        waiter.tell(&format!("{other}s {}", path.display()));
        until_waiting(&path, waiter.pid());
        let expected = [
            ("holding", kind, "exclusive", "-", holder.pid()),
            ("waiting", other, "shared", "-", waiter.pid()),
        ];
        let expected = expected.map(|(state, kind, mode, role, pid)| {
            let [first, second, third, fourth] = [state, kind, mode, role].map(str::to_owned);
            (first, second, third, fourth, Some(number(pid)))
        });
        assert_eq!(entries(&path), expected);
    }
}

#[test]
fn locks_of_lockfast_have_a_role() {
    let stage = Stage::new();
    let start = |command: &mut Command| {
        let actor = Actor::start(command.args(["--", "sh", "-c", HOLD]));
        actor.says("ready");
        actor
    };
    let path = stage.path("rw.lock");
    let reader = start(run(["--shared"]).arg(&path));
    let mut command = run(["-q"]);
    let writer = Actor::start(command.arg(&path).args(["--", "true"]));
    until_waiting(&path, writer.pid());
    let told = entries(&path);
    let short: Vec<_> = told
        .iter()
        .map(|entry| (&*entry.0, &*entry.2, &*entry.3, entry.4))
        .collect();
    assert_eq!(
        short,
        [
            ("holding", "shared", "reader", Some(number(reader.pid()))),
            ("waiting", "exclusive", "writer", Some(number(writer.pid()))),
        ]
    );
    drop((reader, writer));

    let path = stage.path("alone.lock");
    let _holder = hold(&path);
    let mut command = run(["-q", "--shared"]);
    let reader = Actor::start(command.arg(&path).args(["--", "true"]));
    until_waiting(&path, reader.pid());
    let told = entries(&path);
    assert_eq!((&*told[1].2, &*told[1].3), ("shared", "reader"));

    let pool = stage.path("pool.lock");
    let _holders = [(); 2].map(|()| start(run(["--permits", "2"]).arg(&pool)));
    let queue: Vec<_> = [(); 2]
        .iter()
        .map(|()| {
            let mut command = run(["-q", "--permits", "2"]);
            Actor::start(command.arg(&pool).args(["--", "true"]))
        })
        .collect();
    for waiter in &queue {
        until_waiting(&pool, waiter.pid());
    }
    let told = outcome(lockfast(["ls"]).arg(&pool)).output;
    let columns = |line: &String| line.split('\t').nth(2).map(str::to_owned);
    let manners: Vec<_> = told.iter().filter_map(columns).collect();
    let expected = ["1 of 2 permits", "1 of 2 permits", "permit", "permit"];
    assert_eq!(manners, expected, "{told:?}");
}

#[test]
fn the_bytes_of_a_lock_are_shown() {
    let stage = Stage::new();
    let path = stage.path("bytes.lock");
    let hold = |options: &[&str]| {
        let mut command = lockfast(["flock"]);
        let holder = Actor::start(command.args(options).arg(&path).args(["sh", "-c", HOLD]));
        holder.says("ready");
        holder
    };
    let _one = hold(&["--start", "10", "--length", "5"]);
    let _other = hold(&["--start", "20"]);
    let document = json(lockfast(["ls"]).arg(&path));
    let mut bytes: Vec<_> = (0..2)
        .map(|number| {
            let lock = &document["locks"][number];
            (lock["first_byte"].as_u64(), lock["last_byte"].as_u64())
        })
        .collect();
    bytes.sort_unstable();
    assert_eq!(
        bytes,
        [(Some(10), Some(14)), (Some(20), None)],
        "{document}"
    );
}

#[test]
fn an_inherited_lock_shows_all_its_processes() {
    let stage = Stage::new();
    let path = file(&stage, "job.lock");
    // Inherited, and under another number.
    for number in [3, 7, 255, 200] {
        let text = format!("[ {number} = 3 ] || exec {number}>&3 3>&-; {HOLD}");
        let mut command = Command::new("flock");
        let holder = Actor::start(command.arg(&path).args(["bash", "-c", &text]));
        holder.says("ready");
        let pid = u64::from(holder.pid().as_raw().unsigned_abs());
        let listed = json(lockfast(["ls"]).arg(&path));
        let asked = json(lockfast(["status"]).arg(&path));
        for document in [&listed, &asked["status"][0]] {
            let locks = document["locks"].as_array().expect("locks");
            assert_eq!(locks.len(), 1, "{document}");
            let processes = locks[0]["processes"].as_array().expect("processes");
            assert_eq!(processes.len(), 2, "{number}: {document}");
            assert_eq!(processes[0]["pid"], pid);
            assert_eq!(processes[1]["command"][0], "bash");
        }
        drop(holder);
        // The other process ends when its input is closed.
        until("it is free", || {
            outcome(lockfast(["status"]).arg(&path)).code == Some(0)
        });
    }
}
