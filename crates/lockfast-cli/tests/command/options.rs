//! `--remove`, `--mode`, `--protocol` and `--quiet`.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::stage::{Actor, HOLD, Stage, hold, is_free, outcome, run};

#[test]
fn shared_locks_are_held_together_and_exclude_writers() {
    let stage = Stage::new();
    for protocol in ["fcntl", "flock", "both"] {
        let lock = stage.path(protocol);
        let shared = |more: &[&str]| {
            let mut command = run(["--protocol", protocol, "--shared"]);
            command.args(more).arg(&lock);
            command
        };
        let mut reader = Actor::start(shared(&[]).args(["--", "sh", "-c", HOLD]));
        reader.says("ready");
        let beside = outcome(shared(&["-n"]).args(["--", "echo", "in"]));
        assert_eq!(beside.output, ["in"], "{protocol}");
        assert_eq!(attempt(protocol, &lock), Some(75), "{protocol}");
        reader.tell("end");
        assert_eq!(reader.end().code(), Some(0));

        let mut command = run(["--protocol", protocol]);
        let writer = Actor::start(command.arg(&lock).args(["--", "sh", "-c", HOLD]));
        writer.says("ready");
        let refused = outcome(shared(&["-n"]).args(["--", "echo", "in"]));
        assert_eq!(refused.code, Some(75), "{protocol}");
    }
}

#[test]
fn as_many_commands_run_as_there_are_permits() {
    let stage = Stage::new();
    let lock = stage.path("pool.lock");
    let permit = |number: &str| {
        let mut command = run(["-n", "--permits", number]);
        command.arg(&lock);
        command
    };
    let start = || {
        let actor = Actor::start(permit("2").args(["--", "sh", "-c", HOLD]));
        actor.says("ready");
        actor
    };
    let (mut one, other) = (start(), start());
    let refused = outcome(permit("2").args(["--", "true"]));
    assert_eq!(refused.code, Some(75), "{refused:?}");
    let disagrees = outcome(permit("3").args(["--", "true"]));
    assert_eq!(disagrees.code, Some(73), "{disagrees:?}");
    one.tell("end");
    assert_eq!(one.end().code(), Some(0));
    let next = outcome(permit("2").args(["--", "echo", "in"]));
    assert_eq!(next.output, ["in"]);
    drop(other);
    let wrong = outcome(permit("0").args(["--", "true"]));
    assert_eq!(wrong.code, Some(73), "{wrong:?}");
}

#[test]
fn the_last_one_that_shares_the_lock_removes_the_file() {
    for protocol in ["fcntl", "flock", "both"] {
        let stage = Stage::new();
        let lock = stage.path("job.lock");
        let mut readers = [(); 2].map(|()| {
            let mut command = run(["--shared", "--remove", "--protocol", protocol]);
            command.arg(&lock).args(["--", "sh", "-c", HOLD]);
            let reader = Actor::start(&mut command);
            reader.says("ready");
            reader
        });
        readers[0].tell("end");
        assert_eq!(readers[0].end().code(), Some(0));
        assert!(lock.exists(), "{protocol}");
        let mut writer = run(["-n", "--protocol", protocol]);
        let refused = outcome(writer.arg(&lock).args(["--", "true"]));
        assert_eq!(refused.code, Some(75), "{protocol}: {refused:?}");
        readers[1].tell("end");
        assert_eq!(readers[1].end().code(), Some(0));
        assert!(!lock.exists(), "{protocol}");
    }
}

#[test]
fn a_lock_of_another_user_where_everybody_creates_files_must_be_asked_for() {
    let stage = Stage::new();
    let directory = stage.path("public");
    std::fs::create_dir(&directory).expect("a directory");
    std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o1777)).expect("its mode");
    let lock = directory.join("job.lock");
    std::fs::write(&lock, "").expect("a file");
    if std::os::unix::fs::chown(&lock, Some(65_534), None).is_err() {
        lockfast_testing::skip!("only root can give files away");
    }
    let refused = outcome(run([&lock]).args(["--", "true"]));
    assert_eq!(refused.code, Some(73), "{refused:?}");
    let told = &refused.errors;
    assert!(
        told.contains("user 65534") && told.contains("--any-owner"),
        "{told}"
    );
    let accepted = outcome(run(["--any-owner"]).arg(&lock).args(["--", "true"]));
    assert_eq!(accepted.code, Some(0), "{accepted:?}");
}

#[test]
fn remove_removes_the_file() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let mut command = run(["--remove"]);
    command.arg(&lock).args(["--", "test", "-f"]).arg(&lock);
    assert_eq!(outcome(&mut command).code, Some(0));
    assert!(!lock.exists());

    assert_eq!(outcome(run([&lock]).args(["--", "true"])).code, Some(0));
    assert!(lock.exists());
}

#[test]
fn mode_is_exact_whatever_the_umask() {
    let stage = Stage::new();
    for (mode, bits) in [("660", 0o660), ("0666", 0o666)] {
        let lock = stage.path(mode);
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                "umask 077; exec \"$@\"",
                "sh",
                env!("CARGO_BIN_EXE_lockfast"),
            ])
            .args(["run", "--mode", mode])
            .arg(&lock)
            .args(["--", "true"]);
        assert_eq!(outcome(&mut command).code, Some(0));
        let metadata = lock.metadata().expect("the file");
        assert_eq!(metadata.permissions().mode() & 0o7777, bits);
    }
}

#[test]
fn the_flock_protocol_excludes_flock_and_the_fcntl_protocol_does_not() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    for (protocol, excluded) in [("flock", true), ("both", true), ("fcntl", false)] {
        let mut command = run(["--protocol", protocol]);
        let mut ours = Actor::start(command.arg(&lock).args(["--", "sh", "-c", HOLD]));
        ours.says("ready");
        let mut command = Command::new("flock");
        let theirs = outcome(command.args(["-n", "-E", "75"]).arg(&lock).arg("true"));
        assert_eq!(
            theirs.code,
            Some(if excluded { 75 } else { 0 }),
            "{protocol}"
        );
        ours.tell("end");
        ours.end();

        let mut command = Command::new("flock");
        let mut theirs = Actor::start(command.arg(&lock).args(["sh", "-c", HOLD]));
        theirs.says("ready");
        let expected = if excluded { 75 } else { 0 };
        assert_eq!(attempt(protocol, &lock), Some(expected), "{protocol}");
        theirs.tell("end");
        theirs.end();
    }
}

#[test]
fn quiet_says_nothing_of_a_conflict() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let mut holder = hold(&lock);
    for patience in [&["-n"][..], &["-w", "1100ms"]] {
        let mut command = run(patience);
        let conflict = outcome(command.arg("-q").arg(&lock).args(["--", "true"]));
        assert_eq!(conflict.code, Some(75));
        assert_eq!(conflict.errors, "");
    }
    // Not killed: its command holds the lock too, and would keep it for a moment.
    holder.tell("end");
    holder.end();
    assert!(is_free(&lock));
}

#[test]
fn quiet_still_reports_other_errors() {
    let stage = Stage::new();
    let mut command = run([OsStr::new("-q"), stage.path("").as_ref()]);
    let refused = outcome(command.args(["--", "true"]));
    assert_eq!(refused.code, Some(73));
    assert!(refused.errors.starts_with("lockfast: "), "{refused:?}");
}

/// Returns the exit code of an attempt with that protocol.
fn attempt(protocol: &str, lock: impl AsRef<OsStr>) -> Option<i32> {
    let mut command = run(["-n", "--protocol", protocol]);
    outcome(command.arg(lock).args(["--", "true"])).code
}

#[test]
fn symbolic_links_are_followed_on_request() {
    let stage = Stage::new();
    let (target, link) = (stage.path("target.lock"), stage.path("link.lock"));
    std::os::unix::fs::symlink(&target, &link).expect("a link");
    let refused = outcome(run([&link]).args(["--", "true"]));
    assert_eq!(refused.code, Some(73), "{refused:?}");
    assert!(!target.exists());

    let mut command = run(["--follow-symlinks"]);
    let mut holder = Actor::start(command.arg(&link).args(["--", "sh", "-c", HOLD]));
    holder.says("ready");
    let refused = outcome(run(["-n"]).arg(&target).args(["--", "true"]));
    assert_eq!(refused.code, Some(75), "{refused:?}");
    holder.tell("end");
    assert_eq!(holder.end().code(), Some(0));
}
