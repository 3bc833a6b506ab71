//! `lockfast` ends as its command ends, which shells rely on.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::stage::{Actor, Stage, outcome, script};
use crate::terminal::Terminal;

fn flock(lock: impl AsRef<std::ffi::OsStr>, text: &str) -> Command {
    let mut command = Command::new("env");
    command
        .args(["--default-signal", env!("CARGO_BIN_EXE_lockfast"), "flock"])
        .arg(lock)
        .args(["sh", "-c", text]);
    command
}

#[test]
fn it_dies_of_the_signal_that_killed_the_command() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    for signal in [
        Signal::SIGKILL,
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGABRT,
        Signal::SIGPIPE,
    ] {
        let name = signal.as_str().trim_start_matches("SIG");
        let text = format!("kill -{name} $$");
        for mut command in [script(&lock, &text), flock(&lock, &text)] {
            let status = Actor::start(&mut command).end();
            assert_eq!(status.signal(), Some(signal as i32), "{name}");
            assert!(!status.core_dumped(), "{name}");
        }
    }
    // As in shells, even if the signal was ignored at the start.
    let text =
        "trap '' TERM; \"$0\" run \"$1\" -- env --default-signal=TERM sh -c 'kill $$'; echo $?";
    let mut command = Command::new("sh");
    command.args(["-c", text, env!("CARGO_BIN_EXE_lockfast")]);
    assert_eq!(outcome(command.arg(&lock)).output, ["143"]);
}

#[test]
fn it_dies_of_a_signal_that_was_passed_on() {
    let stage = Stage::new();
    for signal in [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
    ] {
        let lock = stage.path("job.lock");
        let text = "ulimit -c 0; echo ready; exec cat";
        for mut command in [script(&lock, text), flock(&lock, text)] {
            let mut actor = Actor::start(&mut command);
            actor.says("ready");
            actor.signal(signal);
            assert_eq!(actor.end().signal(), Some(signal as i32), "{signal}");
        }
    }
}

#[test]
fn the_keyboard_ends_the_script_around_it() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    for wrapper in ["run \"$1\" --", "flock \"$1\""] {
        let text = format!(
            "\"$0\" {wrapper} sh -c 'echo ready; exec sleep 1000'; echo next; exec sleep 1000"
        );
        let mut command = Command::new("bash");
        command.args(["-c", &text, env!("CARGO_BIN_EXE_lockfast")]);
        let mut terminal = Terminal::run(command.arg(&lock));
        terminal.shows("ready\r\n");
        terminal.types("\u{3}");
        // It dies of the signal too. Otherwise it would continue with the next command and never
        // end.
        assert_eq!(terminal.end(), None, "{wrapper}");
        assert!(!terminal.seen().contains("next"), "{}", terminal.seen());
    }
}
