//! Commands of the pages: `sh` blocks must succeed, and `console` blocks must also have the shown
//! output.

use libtest_mimic::{Completion, Trial};
use lockfast_testing::trial_needing;

use crate::block::{Block, blocks};
use crate::normal::normal;
use crate::page::PAGES;
use crate::session::{Session, Told};
use crate::sessions;

/// Lines that are not run: their beginnings, and the reasons.
const NOT_RUN: [(&str, &str); 3] = [
    ("cargo xtask test", "it is what runs this test"),
    (
        "cargo xtask install",
        "it takes minutes; `cargo xtask test` installs the command in the same way",
    ),
    (
        "pip install",
        "it takes minutes; `cargo xtask test` builds and installs the package",
    ),
];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for page in &PAGES {
        for block in blocks(page, "sh") {
            for line in &block.lines {
                if let Some(reason) = not_run(line) {
                    let name = block.name("shell") + " " + command(line);
                    trials.push(left_out(&name, reason));
                }
            }
            let name = block.name("shell");
            if block.lines.iter().any(|line| not_run(line).is_none()) {
                let test = move || lines_succeed(&block);
                trials.push(trial_needing!(&name, sessions(), test));
            }
        }
        for block in blocks(page, "console") {
            let name = block.name("console");
            let test = move || prints_what_is_shown(&block);
            trials.push(trial_needing!(&name, sessions(), test));
        }
    }
    trials
}

/// A line that is no test: it shows as ignored, with the reason.
fn left_out(name: &str, reason: &'static str) -> Trial {
    Trial::ignorable_test(name, move || Ok(Completion::ignored_with(reason)))
}

fn not_run(line: &str) -> Option<&'static str> {
    let found = NOT_RUN.iter().find(|(begin, _)| line.starts_with(begin));
    found.map(|(_, reason)| *reason)
}

/// Removes the comment from a line.
fn command(line: &str) -> &str {
    line.split_once(" # ")
        .map_or(line, |(command, _)| command)
        .trim_end()
}

/// Returns the command to run for a line of a page.
///
/// The built command is used instead of building it again. Commands for a crate run within one.
fn as_run(line: &str) -> String {
    let command = command(line);
    if let Some(arguments) = command.strip_prefix("cargo run --release -- ") {
        return format!("lockfast {arguments}");
    }
    match command.strip_prefix("cargo add ") {
        Some(arguments) => format!("(cd app && cargo add --offline {arguments})"),
        None => command.to_owned(),
    }
}

fn lines_succeed(block: &Block) {
    let lines = block.lines.iter().filter(|line| not_run(line).is_none());
    let commands: Vec<_> = lines.map(|line| as_run(line)).collect();
    let session = Session::new().with_a_crate();
    for (Told { lines, code }, command) in session.run(&commands).iter().zip(&commands) {
        // It looks at the whole machine, where another program may have a deadlock.
        let is_told = command == "lockfast ls --deadlocks" && *code == 75;
        assert!(
            *code == 0 || is_told,
            "`{command}` ended with {code}: {lines:#?}"
        );
    }
}

/// Has the locks `a` and `b` change places.
fn mirrored(line: &str) -> String {
    let pairs = [("a.lock", "b.lock"), ("then-a", "then-b")];
    pairs.iter().fold(line.to_owned(), |line, (one, other)| {
        let parts: Vec<_> = line
            .split(one)
            .map(|part| part.replace(other, one))
            .collect();
        parts.join(other)
    })
}

fn prints_what_is_shown(block: &Block) {
    let mut commands = Vec::new();
    let mut expected: Vec<Vec<&str>> = Vec::new();
    for line in &block.lines {
        if let Some(line) = line.strip_prefix("$ ") {
            commands.push(command(line).to_owned());
            expected.push(Vec::new());
        } else {
            let output = expected.last_mut().expect("a block begins with a command");
            output.push(line);
        }
    }
    let session = Session::new();
    let directory = session.path();
    let told = session.run(&commands);
    for ((told, shown), command) in told.iter().zip(&expected).zip(&commands) {
        let mut printed: Vec<_> = told
            .lines
            .iter()
            .map(|line| normal(line, &directory))
            .collect();
        let mut shown: Vec<_> = shown.iter().map(|line| normal(line, &directory)).collect();
        if command.contains("--deadlocks") {
            // Locks of other programs come and go while the machine is read.
            printed.retain(|line| !line.starts_with("not everything could be seen: "));
            // A circle may be printed from any of its members.
            printed.sort_unstable();
            shown.sort_unstable();
            if printed != shown {
                // Which of two circles alike is printed is a matter of pids, which begin again at the least one.
                printed = printed.iter().map(|line| mirrored(line)).collect();
                printed.sort_unstable();
            }
        }
        if command.starts_with("lockfast doctor") {
            // A machine that is busy with other tests wakes processes late.
            let late = |line: &String| line.starts_with("warning: waiters are woken late");
            if printed.last().is_some_and(late) {
                printed.truncate(printed.len() - 2);
            }
        }
        for (printed, shown) in printed.iter_mut().zip(&shown) {
            // A wait has no date where a busy processor does not run the helper that reads its clock in time.
            let date = shown.strip_prefix(printed.as_str());
            if printed.starts_with("waiting ") && date == Some(", for T") {
                printed.clone_from(shown);
            }
        }
        let real = told.lines.join("\n");
        assert_eq!(printed, shown, "`{command}` prints\n{real}\n");
    }
}
