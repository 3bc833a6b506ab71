//! Commands that must succeed. Each is shown before it runs.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::skips;

/// Success, or the reason of a failure.
pub(crate) type Outcome = Result<(), Failure>;

/// A message for the user.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Runs the command in the root of the workspace.
pub(crate) fn run(command: &mut Command) -> Outcome {
    run_in(&root(), command)
}

/// Runs the command in that directory.
pub(crate) fn run_in(directory: &Path, command: &mut Command) -> Outcome {
    let shown = show(command);
    println!("\n$ {shown}");
    let status = command
        .current_dir(directory)
        .env(skips::LOG, skips::log())
        .status()
        .map_err(|error| Failure(format!("cannot start `{shown}`: {error}")))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure(format!("`{shown}` failed: {status}")))
    }
}

/// Returns the output of a command that must succeed. The command is not shown.
pub(crate) fn output(command: &mut Command) -> Result<String, Failure> {
    let shown = show(command);
    let output = command
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure(format!("cannot start `{shown}`: {error}")))?;
    if !output.status.success() {
        return Err(Failure(format!("`{shown}` failed: {}", output.status)));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| Failure(format!("`{shown}` prints something else than text")))
}

/// Returns the failure of an operation on a file or directory.
pub(crate) fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure(format!("cannot {what} {}: {error}", path.display()))
}

/// Returns the failures of both, in one.
pub(crate) fn both(one: Outcome, other: Outcome) -> Outcome {
    match (one, other) {
        (Err(Failure(one)), Err(Failure(other))) => Err(Failure(format!("{one}\n{other}"))),
        (one, other) => one.and(other),
    }
}

/// Returns a command of the Cargo that runs this program.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    own.parent().expect("xtask is a member").to_path_buf()
}

/// The folder of everything that is built.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => root().join(directory),
        None => root().join("target"),
    }
}

fn show(command: &Command) -> String {
    let mut words = Vec::new();
    for (name, value) in command.get_envs() {
        let Some(value) = value else { continue };
        let value = value.to_string_lossy();
        words.push(format!("{}='{value}'", name.to_string_lossy()));
    }
    let program = PathBuf::from(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    words.push(name.to_string_lossy().into_owned());
    words.extend(
        command
            .get_args()
            .map(|word| word.to_string_lossy().into_owned()),
    );
    words.join(" ")
}
