//! `lockfast flock` as a replacement for flock(1).

mod bytes;
mod compared;
mod waits;

use std::process::Command;

use crate::stage::{Outcome, Stage, outcome};

fn flock(words: &[&str]) -> Command {
    let mut command = Command::new("env");
    command
        .args(["--default-signal", env!("CARGO_BIN_EXE_lockfast"), "flock"])
        .args(words);
    command
}

/// Runs a script with `$flock` in the directory of the stage.
fn script(stage: &Stage, text: &str) -> Outcome {
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            &format!("flock='{} flock'; {text}", env!("CARGO_BIN_EXE_lockfast")),
        ])
        .current_dir(stage.path(""));
    outcome(&mut command)
}

#[test]
fn help_and_version_go_to_the_output() {
    for (word, text) in [
        ("-h", "--conflict-exit-code"),
        ("--help", "--start"),
        ("-V", "lockfast"),
    ] {
        let said = outcome(&mut flock(&[word]));
        assert_eq!(said.code, Some(0));
        assert!(said.output.join("\n").contains(text), "{said:?}");
        assert_eq!(said.errors, "");
    }
    let full = script(&Stage::new(), "$flock --help >/dev/full");
    assert_eq!(full.code, Some(1), "{full:?}");
}
