//! Rows of the table in `docs/works-with.md` about the command and Cargo. The library's tests have
//! the others.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use libtest_mimic::Trial;
use lockfast_testing::{trial, trial_needing};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tempfile::TempDir;

use crate::cargo_builds;
use crate::page::WORKS_WITH;
use crate::session::until_the_end;

const PROTOCOLS: [&str; 3] = ["fcntl", "flock", "both"];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (program, words) in [
        ("`lockfast flock`", &["flock", "-n"][..]),
        ("`lockfast flock --fcntl`", &["flock", "--fcntl", "-n"]),
    ] {
        for (protocol, together) in row(program) {
            let name = format!("works_with::{protocol}_{}", program.trim_matches('`'));
            trials.push(trial(&name, move || {
                commands_meet(protocol, words, together);
            }));
        }
    }
    for (protocol, together) in row("cargo") {
        let name = format!("works_with::{protocol}_cargo");
        let test = move || cargo_is_met(protocol, together);
        trials.push(trial_needing!(&name, cargo_builds(), test));
    }
    trials
}

/// Whether each protocol works together with that program, according to the page.
fn row(program: &str) -> Vec<(&'static str, bool)> {
    let mut lines = WORKS_WITH.text.lines();
    let cells = lines.find_map(|line| line.strip_prefix(&format!("| {program} | ")));
    let cells = cells.unwrap_or_else(|| panic!("the page has no row for {program}"));
    let cells = cells.trim_end_matches(" |").split(" | ");
    let together = cells.map(|cell| match cell {
        "yes" => true,
        "no" => false,
        _ => panic!("{cell} in the row of {program}"),
    });
    PROTOCOLS.into_iter().zip(together).collect()
}

fn lockfast<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockfast"));
    command.args(words);
    command
}

/// Runs `lockfast run` on that file, without waiting.
fn run(protocol: &str, lock: &Path) -> Command {
    let mut command = lockfast(["run", "-n", "-q", "--protocol", protocol]);
    command.arg(lock).arg("--");
    command
}

fn commands_meet(protocol: &str, words: &[&str], together: bool) {
    let directory = tempfile::tempdir().expect("a directory");
    let lock = directory.path().join("a.lock");
    let flock = || {
        let mut command = lockfast(words);
        command.arg(&lock);
        command
    };
    let holder = Holder::start(&mut run(protocol, &lock));
    let (_, gets_in) = until_the_end(flock().arg("true"));
    assert_eq!(
        gets_in, !together,
        "lockfast flock, while lockfast run is inside"
    );
    holder.leaves();
    let holder = Holder::start(&mut flock());
    let (_, gets_in) = until_the_end(run(protocol, &lock).arg("true"));
    assert_eq!(
        gets_in, !together,
        "lockfast run, while lockfast flock is inside"
    );
    holder.leaves();
}

/// Cargo builds under a lock in its target directory.
fn cargo_is_met(protocol: &str, together: bool) {
    let place = tempfile::tempdir().expect("a directory");
    let lock = place.path().join("target/debug/.cargo-lock");
    let pipe = crate_that_waits(&place);
    let mut build = cargo(&place);
    let mut build = build.stderr(Stdio::piped()).spawn().expect("Cargo starts");
    // Its build script waits in the open of the pipe until somebody writes.
    let to_script = fs::OpenOptions::new().write(true).open(&pipe);
    let to_script = to_script.expect("the build script reads");
    let (_, gets_in) = until_the_end(run(protocol, &lock).arg("true"));
    assert_eq!(gets_in, !together, "lockfast run, while Cargo is inside");
    drop(to_script);
    assert!(build.wait().expect("its status").success());

    let holder = Holder::start(&mut run(protocol, &lock));
    let mut build = cargo(&place);
    let mut build = build.stderr(Stdio::piped()).spawn().expect("Cargo starts");
    let lines = BufReader::new(build.stderr.take().expect("a pipe")).lines();
    let mut lines = lines.map(|line| line.expect("its text"));
    // It may first wait for other locks of Cargo, which other builds hold.
    let waits = lines.any(|line| {
        let places = ["artifact directory", "build directory"];
        line.contains("Blocking") && places.iter().any(|place| line.contains(place))
    });
    assert_eq!(waits, together, "Cargo, while lockfast run is inside");
    holder.leaves();
    lines.for_each(drop);
    assert!(build.wait().expect("its status").success());
}

/// Creates a crate whose build script reads a pipe, and returns the path of the pipe.
fn crate_that_waits(place: &TempDir) -> std::path::PathBuf {
    let at = |name: &str| place.path().join(name);
    let pipe = at("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).expect("a pipe");
    fs::create_dir(at("src")).expect("a directory");
    fs::write(at("src/lib.rs"), "").expect("a source");
    let script = "fn main() { std::fs::read(\"pipe\").unwrap(); \
                  println!(\"cargo::rerun-if-changed=build.rs\"); }";
    fs::write(at("build.rs"), script).expect("a source");
    let manifest = "[package]\nname = \"waits\"\nedition = \"2024\"\n[workspace]\n";
    fs::write(at("Cargo.toml"), manifest).expect("a manifest");
    pipe
}

fn cargo(place: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["build", "--offline"])
        .current_dir(place.path())
        .env("CARGO_TARGET_DIR", place.path().join("target"))
        .env_remove("RUSTFLAGS");
    command
}

/// A command that holds a lock until its input is closed.
struct Holder {
    child: Child,
}

impl Holder {
    fn start(command: &mut Command) -> Self {
        let mut child = command
            .args(["sh", "-c", "echo inside; read line; exit 0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut line = String::new();
        let output = child.stdout.as_mut().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("a line");
        assert_eq!(line, "inside\n");
        Self { child }
    }

    fn leaves(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().expect("its status").success());
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
