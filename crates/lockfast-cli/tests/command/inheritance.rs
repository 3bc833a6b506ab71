//! The lock stays held until all processes that inherited it have ended.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::stage::{Actor, HOLD, Stage, becomes_free, is_free, outcome, run};

/// A worker that ends when its input is closed. The command waits for it.
const WORKER: &str = "exec 3<&0; cat <&3 & echo ready; wait";

/// Starts a command that ends at once and leaves a process running.
const BACKGROUND: &str = "exec 3<&0; cat <&3 & echo ready";

/// How an attempt with that protocol ends.
fn attempt(protocol: &str, lock: &Path) -> Option<i32> {
    let mut command = run(["-n", "--protocol", protocol]);
    outcome(command.arg(lock).args(["--", "true"])).code
}

#[test]
fn the_lock_is_held_while_the_work_of_an_ended_wrapper_goes_on() {
    let stage = Stage::new();
    for protocol in ["fcntl", "flock", "both"] {
        let signals = [
            Signal::SIGTERM,
            Signal::SIGHUP,
            Signal::SIGINT,
            Signal::SIGKILL,
        ];
        for signal in signals {
            let lock = stage.path(format!("{protocol}-{signal}"));
            let mut command = run(["--protocol", protocol]);
            // Shells make their background processes ignore SIGINT, so bash is signalled.
            command.arg(&lock).args(["--", "bash", "-c", WORKER]);
            let mut actor = Actor::start(&mut command);
            actor.says("ready");
            actor.signal(signal);
            assert_eq!(
                std::os::unix::process::ExitStatusExt::signal(&actor.end()),
                Some(signal as i32)
            );
            assert_eq!(attempt(protocol, &lock), Some(75), "{protocol} {signal}");
            actor.tell("alive");
            actor.says("alive");
            actor.close_input();
            actor.falls_silent();
            becomes_free(&lock, &["--protocol", protocol]);
        }
    }
}

#[test]
fn a_background_process_keeps_the_locks() {
    let stage = Stage::new();
    for protocol in ["fcntl", "flock", "both"] {
        for option in ["--inherit", "--quiet"] {
            let locks = [stage.path("a.lock"), stage.path("b.lock")];
            let mut command = run([option, "--protocol", protocol]);
            command.args(&locks).args(["--", "sh", "-c", BACKGROUND]);
            let mut actor = Actor::start(&mut command);
            actor.says("ready");
            assert_eq!(actor.end().code(), Some(0));
            for lock in &locks {
                assert_eq!(attempt(protocol, lock), Some(75), "{protocol}");
            }
            actor.close_input();
            actor.falls_silent();
            for lock in &locks {
                becomes_free(lock, &["--protocol", protocol]);
            }
        }
    }
}

#[test]
fn a_background_process_does_not_keep_a_lock_that_was_closed_for_it() {
    let stage = Stage::new();
    for protocol in ["fcntl", "flock", "both"] {
        for option in ["-o", "--close", "--no-inherit"] {
            let lock = stage.path("job.lock");
            let mut command = run([option, "--protocol", protocol]);
            command.arg(&lock).args(["--", "sh", "-c", BACKGROUND]);
            let mut actor = Actor::start(&mut command);
            actor.says("ready");
            assert_eq!(actor.end().code(), Some(0));
            assert_eq!(attempt(protocol, &lock), Some(0), "{protocol}");
            actor.tell("alive");
            actor.says("alive");
        }
    }
}

#[test]
fn a_background_process_keeps_a_permit() {
    let stage = Stage::new();
    let lock = stage.path("pool.lock");
    let permit = |words: &[&str]| {
        let mut command = run(["--permits", "1"]);
        command.args(words).arg(&lock);
        command
    };
    let mut actor = Actor::start(permit(&[]).args(["--", "sh", "-c", BACKGROUND]));
    actor.says("ready");
    assert_eq!(actor.end().code(), Some(0));
    let refused = outcome(permit(&["-n"]).args(["--", "true"]));
    assert_eq!(refused.code, Some(75), "{refused:?}");
    actor.close_input();
    actor.falls_silent();
    becomes_free(&lock, &["--permits", "1"]);
}

#[test]
fn shared_locks_are_kept_too() {
    let stage = Stage::new();
    let lock = stage.path("data.lock");
    let mut command = run(["--shared"]);
    command.arg(&lock).args(["--", "sh", "-c", BACKGROUND]);
    let mut actor = Actor::start(&mut command);
    actor.says("ready");
    assert_eq!(actor.end().code(), Some(0));
    assert!(!is_free(&lock));
    let mut other = run(["--shared", "-n"]);
    assert_eq!(outcome(other.arg(&lock).args(["--", "true"])).code, Some(0));
}

/// Removing the file would let the next process in while the background process holds the lock.
#[test]
fn a_file_that_a_background_process_keeps_locked_is_not_removed() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let mut command = run(["--remove"]);
    command.arg(&lock).args(["--", "sh", "-c", BACKGROUND]);
    let mut actor = Actor::start(&mut command);
    actor.says("ready");
    assert_eq!(actor.end().code(), Some(0));
    assert!(lock.exists());
    assert!(!is_free(&lock));
    actor.close_input();
    actor.falls_silent();
    let mut command = run(["--remove", "-w", "60"]);
    assert_eq!(
        outcome(command.arg(&lock).args(["--", "true"])).code,
        Some(0)
    );
    assert!(!lock.exists());
}

#[test]
fn a_command_that_ended_has_not_abandoned_its_record() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let mut command = run(["--record"]);
    command.arg(&lock).args(["--", "sh", "-c", BACKGROUND]);
    let mut actor = Actor::start(&mut command);
    actor.says("ready");
    assert_eq!(actor.end().code(), Some(0));
    assert!(!is_free(&lock));
    let text = fs::read_to_string(&lock).expect("the record");
    assert!(text.contains("state=released"), "{text}");
    actor.close_input();
    actor.falls_silent();
    let mut next = run(["--record", "-w", "60"]);
    let next = outcome(next.arg(&lock).args(["--", "true"]));
    assert_eq!((next.code, next.errors.as_str()), (Some(0), ""));
}

/// The processes that keep the lock are named, although the one that took it is gone.
#[cfg(target_os = "linux")]
#[test]
fn processes_that_keep_the_lock_are_named() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let mut command = run([&lock]);
    command.args(["--", "sh", "-c", "exec 3<&0; cat <&3 & echo $!"]);
    let mut actor = Actor::start(&mut command);
    let worker = actor.hear();
    assert_eq!(actor.end().code(), Some(0));
    let mut status = Command::new(env!("CARGO_BIN_EXE_lockfast"));
    let shown = outcome(status.arg("status").arg(&lock));
    assert_eq!(shown.code, Some(75), "{shown:?}");
    let named = format!("pid {worker} (cat)");
    assert!(
        shown.output.iter().any(|line| line.contains(&named)),
        "{shown:?}"
    );

    let refused = outcome(run(["-n".as_ref(), lock.as_os_str()]).args(["--", "true"]));
    assert!(refused.errors.contains(&named), "{refused:?}");
    let mut waiter = run([&lock]);
    let waiter = Actor::start(waiter.args(["--", "true"]));
    let told = waiter.complaint();
    let wrapper = format!("pid {} started, which has ended", actor.pid());
    assert!(told.contains(&wrapper), "{told}");
}

/// A script that uses low descriptor numbers itself does not close the lock.
#[test]
fn numbers_that_scripts_use_are_left_alone() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let text = "exec 3>/dev/null 4>/dev/null 5>/dev/null 9>/dev/null; kill -KILL $PPID; echo ready; exec cat";
    let mut command = run(["--kill-with-parent=false"]);
    let mut actor = Actor::start(command.arg(&lock).args(["--", "sh", "-c", text]));
    actor.says("ready");
    actor.end();
    assert!(!is_free(&lock));
}

#[test]
fn only_the_command_is_left_with_exec() {
    let stage = Stage::new();
    for protocol in ["fcntl", "flock", "both"] {
        for option in ["--exec", "-F", "--no-fork"] {
            let lock = stage.path("job.lock");
            let mut command = run([option, "--protocol", protocol]);
            let text = format!("echo $$; {HOLD}");
            let mut actor = Actor::start(command.arg(&lock).args(["--", "sh", "-c", &text]));
            assert_eq!(actor.hear(), actor.pid().to_string());
            actor.says("ready");
            assert_eq!(attempt(protocol, &lock), Some(75), "{protocol}");
            actor.signal(Signal::SIGKILL);
            actor.end();
            assert_eq!(attempt(protocol, &lock), Some(0), "{protocol}");
        }
    }
    let mut command = run(["--exec", "--permits", "1"]);
    let pool = stage.path("pool.lock");
    let permit = Actor::start(command.arg(&pool).args(["--", "sh", "-c", HOLD]));
    permit.says("ready");
    let mut command = run(["-n", "--permits", "1"]);
    let refused = outcome(command.arg(&pool).args(["--", "true"]));
    assert_eq!(refused.code, Some(75), "{refused:?}");

    let lock = stage.path("missing.lock");
    let missing =
        outcome(run(["--exec".as_ref(), lock.as_os_str()]).args(["--", "no-such-command"]));
    assert_eq!(missing.code, Some(127), "{missing:?}");
    for conflicting in ["--record", "--remove", "--time-limit=1", "--close"] {
        let mut command = run(["--exec", conflicting]);
        let refused = outcome(command.arg(&lock).args(["--", "true"]));
        assert_eq!(refused.code, Some(64), "{conflicting}: {refused:?}");
    }
}
