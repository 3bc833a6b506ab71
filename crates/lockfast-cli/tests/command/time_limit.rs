//! `--time-limit`: the limit of the command's run time.

use std::process::Command;

use crate::stage::{Actor, Outcome, Stage, becomes_free, is_free, outcome, run};

fn limited(stage: &Stage, options: &[&str], command: &[&str]) -> Command {
    let mut limited = run(["--time-limit", "200ms"]);
    limited.args(options).arg(stage.path("job.lock"));
    limited.arg("--").args(command);
    limited
}

#[test]
fn a_command_that_runs_too_long_is_ended_with_124() {
    let stage = Stage::new();
    let Outcome { code, errors, .. } = outcome(&mut limited(&stage, &[], &["sleep", "1000"]));
    assert_eq!(code, Some(124), "{errors}");
    let told = "lockfast: the command did not end within 200ms: sending SIGTERM";
    assert_eq!(errors, told);
    let quick = outcome(&mut limited(&stage, &[], &["sh", "-c", "exit 3"]));
    assert_eq!((quick.code, quick.errors.as_str()), (Some(3), ""));
}

#[test]
fn all_of_its_group_are_ended_and_nobody_else() {
    let stage = Stage::new();
    let text = "sh -c 'sleep 1000' & sh -c 'sleep 1000'; echo next";
    let command = limited(&stage, &[], &["sh", "-c", text]);
    // In the group that lockfast was started in.
    let mut around = Command::new("sh");
    around.args(["-c", "\"$@\"; echo $?", "sh"]);
    around.arg(command.get_program()).args(command.get_args());
    let mut actor = Actor::start(&mut around);
    actor.says("124");
    assert_eq!(actor.end().code(), Some(0));
    // All copies of its output are closed.
    actor.falls_silent();
    becomes_free(stage.path("job.lock"), &[]);
}

#[test]
fn a_command_that_does_not_end_is_killed_with_137() {
    let stage = Stage::new();
    let text = "trap '' TERM; sleep 1000 & sleep 1000; sleep 1000";
    for option in ["-k", "--kill-after"] {
        let command = limited(&stage, &[option, "200ms"], &["sh", "-c", text]);
        let mut around = Command::new("sh");
        around.args(["-c", "\"$@\"; echo $?", "sh"]);
        around.arg(command.get_program()).args(command.get_args());
        let actor = Actor::start(&mut around);
        actor.says("137");
        actor.falls_silent();
        let complaints = actor.complaints();
        assert!(complaints.contains("sending SIGKILL"), "{complaints}");
    }
}

#[test]
fn the_signal_can_be_chosen() {
    let stage = Stage::new();
    for name in ["USR1", "SIGUSR1", "usr1", "10"] {
        let text = "trap 'echo heard; kill $!; exit 0' USR1; sleep 1000 & wait";
        let mut command = limited(&stage, &["--signal", name], &["bash", "-c", text]);
        let ended = outcome(&mut command);
        assert_eq!(ended.code, Some(124), "{ended:?}");
        assert_eq!(ended.output, ["heard"]);
    }
    let wrong = outcome(&mut limited(&stage, &["--signal", "NONE"], &["true"]));
    assert_eq!(wrong.code, Some(64), "{wrong:?}");
    let alone = outcome(run(["--kill-after", "1s", "l"]).args(["--", "true"]));
    assert_eq!(alone.code, Some(64), "{alone:?}");
}

/// With `--foreground` only the command is signalled, as in timeout(1).
#[test]
fn in_the_foreground_the_command_alone_is_ended() {
    let stage = Stage::new();
    let text = "exec 3<&0; cat <&3 & exec sleep 1000";
    let mut command = limited(&stage, &["--foreground"], &["sh", "-c", text]);
    let mut actor = Actor::start(&mut command);
    assert_eq!(actor.end().code(), Some(124));
    actor.tell("alive");
    actor.says("alive");
    assert!(!is_free(stage.path("job.lock")));
}

#[test]
fn the_limit_is_of_the_command_and_not_of_the_wait() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let mut holder = crate::stage::hold(&lock);
    let waiter = Actor::start(&mut limited(&stage, &[], &["echo", "in"]));
    // It has waited for longer than its limit.
    assert!(waiter.complaint().contains("waiting for lock"));
    holder.tell("end");
    waiter.says("in");
}
