//! A `lockfast run` within another one.

use std::path::Path;
use std::process::Command;

use crate::stage::{Actor, Stage, outcome, run, script};

const LOCKFAST: &str = env!("CARGO_BIN_EXE_lockfast");

/// Runs a command within another one, with these options.
fn nested(outer: &[&str], inner: &[&str], lock: &Path) -> Command {
    let mut command = run(outer);
    command.arg(lock).args(["--", LOCKFAST, "run"]).args(inner);
    command.arg(lock).args(["--", "echo", "in"]);
    command
}

#[test]
fn a_wait_for_the_lock_of_an_outer_command_is_an_error() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let path = lock.display().to_string();
    for (outer, inner) in [
        (&[][..], &[][..]),
        (&[], &["-w", "1h"]),
        (&["--close"], &[]),
        (&["--shared"], &[]),
        (&[], &["--shared"]),
        (&["--exec"], &[]),
        (&["--protocol", "both"], &["--protocol", "flock"]),
    ] {
        let refused = outcome(&mut nested(outer, inner, &lock));
        assert_eq!(refused.code, Some(71), "{outer:?} {inner:?} {refused:?}");
        assert!(refused.output.is_empty(), "{refused:?}");
        assert!(refused.errors.contains(&path), "{refused:?}");
        assert!(
            refused.errors.contains("the enclosing `lockfast run`"),
            "{refused:?}"
        );
    }
    let pool = stage.path("pool.lock");
    let one = ["--permits", "1"];
    assert_eq!(outcome(&mut nested(&one, &one, &pool)).code, Some(71));
}

#[test]
fn a_lock_that_needs_no_wait_is_no_error() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let shared = outcome(&mut nested(&["--shared"], &["--shared"], &lock));
    assert_eq!(shared.output, ["in"], "{shared:?}");
    let two = ["--permits", "2"];
    let permits = outcome(&mut nested(&two, &two, &stage.path("pool.lock")));
    assert_eq!(permits.output, ["in"], "{permits:?}");
    let refused = outcome(&mut nested(&[], &["-n", "-E", "9"], &lock));
    assert_eq!(refused.code, Some(9), "{refused:?}");
}

/// Through programs that are not from lockfast, and after the outer command's process is gone.
#[test]
fn descendants_are_refused_as_well() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let text =
        "x=$(timeout 1000 sh -c '\"$0\" run \"$1\" -- true; echo $?' \"$0\" \"$1\"); echo $x";
    let mut command = script(&lock, text);
    assert_eq!(outcome(command.arg(LOCKFAST).arg(&lock)).output, ["71"]);

    let text = "(read line; \"$0\" run \"$1\" -- true; echo $?) <&3 & echo ready";
    let mut command = script(&lock, &format!("exec 3<&0; {text}"));
    let mut actor = Actor::start(command.arg(LOCKFAST).arg(&lock));
    actor.says("ready");
    assert_eq!(actor.end().code(), Some(0));
    actor.tell("go");
    actor.says("71");
}

/// A daemon keeps the variables long after the lock is free.
#[test]
fn variables_of_a_lock_that_is_free_do_no_harm() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let mut command = run(["--close".as_ref(), lock.as_os_str()]);
    let text = "exec 3<&0; (read line; \"$0\" run \"$1\" -- echo in) <&3 & echo ready";
    command.args(["--", "sh", "-c", text, LOCKFAST]).arg(&lock);
    let mut actor = Actor::start(&mut command);
    actor.says("ready");
    assert_eq!(actor.end().code(), Some(0));
    let mut holder = crate::stage::hold(&lock);
    actor.tell("go");
    assert!(actor.complaint().contains("waiting for lock"));
    holder.tell("end");
    actor.says("in");
}

#[test]
fn a_script_can_tell_which_locks_are_held() {
    let stage = Stage::new();
    let (one, other) = (stage.path("a.lock"), stage.path("b c.lock"));
    let mut command = run([&one]);
    command.args(["--", LOCKFAST, "run"]).arg(&other);
    command.args(["--", "sh", "-c", "echo \"$LOCKFAST_HELD\""]);
    let paths = [&one, &other].map(|path| path.display().to_string());
    assert_eq!(outcome(&mut command).output, paths);
}

#[test]
fn the_token_of_an_outer_command_is_not_seen_in_an_inner_one() {
    let stage = Stage::new();
    let mut command = run(["--record"]);
    command
        .arg(stage.path("a.lock"))
        .args(["--", LOCKFAST, "run"]);
    command.arg(stage.path("b.lock"));
    command.args(["--", "sh", "-c", "echo \"token: $LOCKFAST_TOKEN\""]);
    assert_eq!(outcome(&mut command).output, ["token: "]);
}

#[test]
fn a_script_can_lock_itself() {
    let stage = Stage::new();
    let path = stage.path("script");
    let text = format!(
        "#!/bin/sh\n[ -n \"$LOCKFAST_HELD\" ] || exec {LOCKFAST} run -n --protocol flock \"$0\" -- \"$0\"\necho in\n"
    );
    lockfast_testing::write_script(&path, &text);
    let ran = outcome(&mut Command::new(&path));
    assert_eq!((ran.code, ran.output), (Some(0), vec!["in".to_owned()]));

    lockfast_testing::write_script(&path, "#!/bin/sh\necho in\n");
    for options in [&["--shared"][..], &["--protocol", "flock"]] {
        let ran = outcome(run(options).arg(&path).arg("--").arg(&path));
        assert_eq!((ran.code, &*ran.errors), (Some(0), ""), "{options:?}");
    }
    let busy = outcome(run([&path]).arg("--").arg(&path));
    assert_eq!(busy.code, Some(126), "{busy:?}");
    assert!(busy.errors.contains("--protocol flock"), "{busy:?}");
}

/// A running program can't be opened for writing.
#[test]
fn a_program_that_runs_can_be_locked() {
    let stage = Stage::new();
    let program = stage.path("program");
    lockfast_testing::copy_program("/bin/cat", &program);
    for options in [&["--shared"][..], &["--protocol", "flock"]] {
        let mut first = Actor::start(run(options).arg(&program).arg("--").arg(&program));
        first.tell("ready");
        first.says("ready");
        let mut second = run(options);
        let second = outcome(second.arg("-n").arg(&program).args(["--", "true"]));
        let expected = if options == ["--shared"] { 0 } else { 75 };
        assert_eq!(second.code, Some(expected), "{second:?}");
    }
}
