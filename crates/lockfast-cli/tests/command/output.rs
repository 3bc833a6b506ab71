//! Output that can't be written, and foreign text in it.

use std::fs;
use std::process::Command;

use crate::stage::{Actor, HOLD, Outcome, Stage, hold, outcome, run};

/// Runs the program with an output that can't be written.
fn into_full(words: &[&str]) -> Outcome {
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" \"$@\" >/dev/full"]);
    outcome(command.arg(env!("CARGO_BIN_EXE_lockfast")).args(words))
}

#[test]
fn output_that_is_lost_is_an_error_of_every_subcommand() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let _holder = hold(&lock);
    let [lock, directory] =
        [lock, stage.path("")].map(|path| path.to_str().expect("plain").to_owned());
    for words in [
        &["--help"][..],
        &["--version"],
        &["help", "run"],
        &["run", "--help"],
        &["status", &lock],
        &["status", "--json", &lock],
        &["ls", &lock],
        &["ls", "--json", "--all"],
        &["ls", "--deadlocks"],
        &["doctor", &directory],
        &["doctor", "--json", &directory],
        &["completions", "bash"],
    ] {
        let told = into_full(words);
        assert_eq!(told.code, Some(71), "{words:?}: {told:?}");
        let why = "lockfast: cannot write to standard output: No space left on device";
        assert!(told.errors.contains(why), "{words:?}: {told:?}");
    }
}

/// A reader that closes its pipe early causes no error.
#[test]
fn a_reader_that_is_gone_is_no_error() {
    let text =
        "\"$0\" completions bash | read line; \"$0\" ls --all | true; echo \"${PIPESTATUS[0]}\"";
    let mut command = Command::new("bash");
    let told = outcome(command.args(["-c", text, env!("CARGO_BIN_EXE_lockfast")]));
    assert_eq!(
        (told.output, told.errors.as_str()),
        (vec!["0".to_owned()], "")
    );
}

/// Foreign names, labels, paths and command lines are escaped before they reach the terminal.
#[test]
fn text_of_others_is_escaped_and_cut_in_every_output() {
    let hostile = "\u{1b}]0;x\u{7}\u{202e}\n\t";
    let stage = Stage::new();
    let lock = stage.path(format!("a{hostile}.lock"));
    // Hostile name, path and arguments.
    let program = stage.path("p\u{1b}[2J\nq");
    let text = format!("#!/bin/sh\n{HOLD}\n");
    lockfast_testing::write_script(&program, &text);
    let long = "x\u{1b}".repeat(60_000);
    let mut command = run([lock.as_os_str()]);
    command.arg("--").arg(&program).arg(hostile).arg(&long);
    let holder = Actor::start(&mut command);
    holder.says("ready");
    for (words, code) in [
        (&["status"][..], 75),
        (&["ls"], 0),
        (&["run", "-n"], 75),
        (&["run", "-w", "20ms"], 75),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockfast"));
        command.args(words).arg(&lock);
        if words[0] == "run" {
            command.args(["--", "true"]);
        }
        let told = outcome(&mut command);
        assert_eq!(told.code, Some(code), "{words:?}: {told:?}");
        let lines: Vec<&str> = told.output.iter().map(String::as_str).collect();
        for line in lines.iter().copied().chain(told.errors.lines()) {
            let is_hostile = |c: char| (c.is_control() && c != '\t') || c == '\u{202e}';
            assert!(!line.contains(is_hostile), "{words:?}: {line:?}");
            assert!(line.len() < 8_000, "{words:?}: {} bytes", line.len());
        }
        let shown = "\\u{1b}]0;x\\u{7}\\u{202e}\\n\\t";
        let all = format!("{}{}", told.output.join(""), told.errors);
        assert!(all.contains(shown), "{words:?}: {all}");
        if words[0] == "ls" {
            assert!(
                lines.iter().all(|line| line.split('\t').count() == 8),
                "{lines:?}"
            );
        }
    }
}

/// A record that another program wrote may have any label.
#[test]
fn a_label_of_another_program_is_escaped() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let mut command = run(["--record", "--label", "XXXXX"]);
    let mut holder = Actor::start(command.arg(&lock).args(["--", "sh", "-c", HOLD]));
    holder.says("ready");
    let content = fs::read(&lock).expect("its record");
    fs::write(&lock, relabelled(&content, "XXXXX", "\u{1b}[2J\nx")).expect("a record");
    let attempt = |words: &[&str]| {
        let mut command = run(words);
        outcome(command.arg(&lock).args(["--", "true"]))
    };
    let shown = "(\\u{1b}[2J\\nx)";
    let mut status = Command::new(env!("CARGO_BIN_EXE_lockfast"));
    let told = outcome(status.arg("status").arg(&lock));
    assert!(told.output[1].contains(shown), "{told:?}");
    let told = attempt(&["--record", "-w", "20ms"]);
    assert!(told.errors.contains(shown), "{told:?}");
    holder.signal(nix::sys::signal::Signal::SIGKILL);
    holder.end();
    let told = attempt(&["--record"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.errors.contains("died while holding it"), "{told:?}");
    assert!(told.errors.contains(shown), "{told:?}");
}

/// Returns the records with another label and matching checksums.
fn relabelled(content: &[u8], old: &str, new: &str) -> Vec<u8> {
    const LENGTH: usize = 384;
    let head = content
        .iter()
        .position(|&byte| byte == b'\n')
        .expect("a head")
        + 1;
    let mut all = content[..head].to_vec();
    for record in content[head..].chunks(LENGTH) {
        let text = std::str::from_utf8(record).expect("text").trim_end();
        let (_, text) = text.split_once(' ').expect("a checksum");
        let text = text.replace(old, new);
        let check = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut line = format!("check={check:016x} {text}").into_bytes();
        line.resize(LENGTH - 1, b' ');
        line.push(b'\n');
        all.extend(line);
    }
    all
}
