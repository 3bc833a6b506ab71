//! Completions and man pages.

use std::fs;
use std::process::Command;

use crate::stage::{Outcome, Stage, outcome};

fn lockfast(words: &[&str]) -> Outcome {
    outcome(Command::new(env!("CARGO_BIN_EXE_lockfast")).args(words))
}

/// Returns the subcommands that the help lists.
fn subcommands() -> Vec<String> {
    let help = lockfast(&["--help"]).output;
    let listed = help.iter().skip_while(|line| *line != "Commands:").skip(1);
    let listed: Vec<_> = listed
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .filter(|name| name != "help")
        .collect();
    for known in ["run", "flock", "doctor", "completions", "man"] {
        assert!(listed.iter().any(|name| name == known), "{listed:?}");
    }
    listed
}

#[test]
fn completions_know_every_subcommand_and_its_options() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let Outcome {
            code,
            output,
            errors,
        } = lockfast(&["completions", shell]);
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{shell}");
        let text = output.join("\n");
        for name in subcommands() {
            assert!(text.contains(&name), "{shell} {name}");
        }
        for option in ["conflict-exit-code", "kill-with-parent", "json", "no-fork"] {
            assert!(text.contains(option), "{shell} {option}");
        }
    }
    assert_eq!(lockfast(&["completions", "tea"]).code, Some(64));
}

#[test]
fn bash_completes_by_them() {
    let stage = Stage::new();
    let path = stage.path("lockfast.bash");
    let completions = lockfast(&["completions", "bash"]).output.join("\n");
    fs::write(&path, completions).expect("a file");
    let script = ". \"$0\"; COMP_WORDS=(lockfast doc); COMP_CWORD=1
        _lockfast lockfast doc lockfast; echo \"${COMPREPLY[@]}\"";
    let completed = outcome(Command::new("bash").args(["-c", script]).arg(&path));
    assert_eq!(completed.output, ["doctor"], "{completed:?}");
}

#[test]
fn each_subcommand_has_a_man_page() {
    let stage = Stage::new();
    let directory = stage.path("");
    let written = lockfast(&["man", directory.to_str().expect("a plain name")]);
    assert_eq!(written.code, Some(0), "{written:?}");
    let page = |name: &str| {
        let page = fs::read_to_string(directory.join(name)).expect("a page");
        assert!(page.contains(".TH") && page.contains(".SH NAME"), "{name}");
        // A dash is written as `\-`.
        page.replace('\\', "")
    };
    let first = page("lockfast.1");
    for name in subcommands() {
        assert!(
            first.contains(&format!("lockfast-{name}(1)")),
            "{name}: {first}"
        );
        page(&format!("lockfast-{name}.1"));
    }
    assert!(page("lockfast-flock.1").contains("--length"));
    let run = page("lockfast-run.1");
    for word in ["--close", "--exec", "--time-limit", "LOCKFAST_HELD"] {
        assert!(run.contains(word), "{word}: {run}");
    }
    let refused = lockfast(&["man", "/nonexistent"]);
    assert_eq!(refused.code, Some(73), "{refused:?}");
    assert!(refused.errors.contains("/nonexistent"));
}

/// A macro crate can't export functions, so each crate has a copy of the parser.
#[test]
fn attributes_and_command_parse_durations_alike() {
    let of_command = include_str!("../../src/duration.rs");
    let of_attributes = include_str!("../../../lockfast-macros/src/duration.rs");
    assert_eq!(of_command, of_attributes);
}
