//! A shell on a terminal, in a fresh directory with everything that the pages' commands need.

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use lockfast_testing::DEADLINE;
use tempfile::TempDir;

use crate::page;

/// Printed before the code of a command that has ended.
const MARK: char = '\u{1e}';

/// The jobs of the pages. They end at once, unless they are to continue.
const JOBS: [&str; 6] = ["backup", "sync", "report", "train", "print", "deploy"];

/// A directory for one block.
#[derive(Debug)]
pub(crate) struct Session {
    directory: TempDir,
}

/// The output of a command, and its exit code.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) lines: Vec<String>,
    pub(crate) code: i32,
}

impl Session {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let session = Self { directory };
        for job in JOBS {
            session.add_script(job, "if [ -e go-on ]; then exec sleep 600; fi");
        }
        for lock in ["a", "b"] {
            // If another process holds the lock, it waits for it.
            let text = format!(
                "while lockfast status {lock}.lock >/dev/null; do sleep 0.02; done\n\
                 exec lockfast run -q {lock}.lock -- true"
            );
            session.add_script(&format!("then-{lock}"), &text);
        }
        // As the page prints it.
        session.add_script(
            "alone",
            "[ -n \"$LOCKFAST_HELD\" ] || exec lockfast run -n --protocol flock \"$0\" -- \"$0\" \"$@\"\n\
             echo \"no other alone.sh runs now\"",
        );
        session
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().canonicalize().expect("its real path")
    }

    fn add_script(&self, name: &str, text: &str) {
        let path = self.path().join(name).with_extension("sh");
        lockfast_testing::write_script(&path, &format!("#!/bin/sh\n{text}\n"));
    }

    /// Adds a crate beside a clone of the repository.
    pub(crate) fn with_a_crate(self) -> Self {
        let directory = self.path();
        symlink(page::clone(), directory.join("lockfast")).expect("a link to the clone");
        fs::create_dir_all(directory.join("app/src")).expect("a directory");
        fs::write(directory.join("app/src/lib.rs"), "").expect("a source");
        let manifest = "[package]\nname = \"app\"\nedition = \"2024\"\n";
        fs::write(directory.join("app/Cargo.toml"), manifest).expect("a manifest");
        self
    }

    /// Runs the commands one after the other. A command that ends in `&` continues; the next one
    /// begins when it holds its lock or waits for it.
    pub(crate) fn run(&self, commands: &[String]) -> Vec<Told> {
        let directory = self.path();
        let script = directory.join(".session");
        fs::write(&script, text(commands)).expect("a script");
        // Gives the shell a terminal, on which tables are drawn.
        let mut terminal = Command::new("script");
        terminal
            .args(["--quiet", "--command"])
            .arg(format!("stty cols 200; exec bash {}", script.display()))
            .arg("/dev/null")
            .current_dir(&directory)
            .env("TERM", "dumb")
            .env("PATH", programs());
        let (output, _) = until_the_end(&mut terminal);
        let mut told = Vec::new();
        let mut lines = Vec::new();
        for line in output.lines() {
            match line.split_once(MARK) {
                Some((rest, code)) => {
                    lines.extend((!rest.is_empty()).then(|| rest.to_owned()));
                    let code = code.trim().parse().expect("an exit code");
                    told.push(Told {
                        lines: std::mem::take(&mut lines),
                        code,
                    });
                }
                None => lines.push(line.to_owned()),
            }
        }
        assert_eq!(
            told.len(),
            commands.len(),
            "the session ended early:\n{output}"
        );
        told
    }
}

/// The script of a session.
fn text(commands: &[String]) -> String {
    // `lockfast ls` prints a line for each lock that is held or waited for.
    let begin = "locks() { lockfast ls | wc -l; }\n\
                 trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n";
    let commands = commands.iter().map(|command| {
        let (before, after) = if command.ends_with('&') {
            (
                "touch go-on; before=$(locks)\n",
                "until [ $(locks) -gt $before ]; do sleep 0.02; done; rm go-on; true\n",
            )
        } else if command.contains("--deadlocks .") {
            // Processes that deadlock need some time to do so.
            let until_found = "until ! lockfast ls --deadlocks . >/dev/null; do sleep 0.02; done\n";
            (until_found, "")
        } else {
            ("", "")
        };
        // The next command may read this one's code.
        let end = format!("code=$?; printf '{MARK}%s\\n' $code; (exit $code)\n");
        [before, command, "\n", after, &end].concat()
    });
    std::iter::once(begin.to_owned()).chain(commands).collect()
}

/// Returns a search path with the built command and Cargo.
fn programs() -> std::ffi::OsString {
    let own = Path::new(env!("CARGO_BIN_EXE_lockfast"));
    let cargo = Path::new(env!("CARGO"));
    let first = [own, cargo].map(|program| program.parent().expect("a directory").to_path_buf());
    let others = std::env::var_os("PATH").unwrap_or_default();
    let all = first.into_iter().chain(std::env::split_paths(&others));
    std::env::join_paths(all).expect("they were separated before")
}

/// Returns the program's output, and whether it succeeded. A hanging program is killed.
pub(crate) fn until_the_end(command: &mut Command) -> (String, bool) {
    let mut child = command
        // Open, so that the terminal stays open.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let input = child.stdin.take();
    let mut output = child.stdout.take().expect("a pipe");
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = output.read_to_end(&mut bytes);
        let _ = tell.send(read.map(|_| bytes));
    });
    let bytes = told.recv_timeout(DEADLINE);
    if bytes.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().expect("its status");
    drop(input);
    let bytes = bytes.expect("it ends").expect("its output");
    (
        String::from_utf8_lossy(&bytes).into_owned(),
        status.success(),
    )
}
