//! The test programs of the workspace.
//!
//! One command of Cargo builds them all. A command for some of them would build these again, with other features,
//! while other tests run.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::step::{self, Failure, cargo};

/// A test program.
pub(crate) struct Program {
    pub(crate) name: String,
    path: PathBuf,
    /// The manifest of its package.
    manifest: PathBuf,
    package: String,
}

/// Builds the test programs of all packages but the Python package, whose tests are in Python.
pub(crate) fn build() -> Command {
    let mut command = cargo(&["test", "--workspace", "--exclude", "lockfast-python"]);
    command.arg("--no-run");
    command
}

/// Builds all test programs, and returns them.
pub(crate) fn all() -> Result<Vec<Program>, Failure> {
    let mut list = build();
    list.args(["--quiet", "--message-format=json-render-diagnostics"]);
    let text = step::output(&mut list)?;
    let mut programs = Vec::new();
    for line in text.lines() {
        let message: Value = serde_json::from_str(line)
            .map_err(|error| Failure(format!("cannot read what cargo prints: {error}: {line}")))?;
        if message["profile"]["test"] == true {
            let program = Program::of(&message);
            programs.push(program.ok_or_else(|| Failure(format!("no test program: {line}")))?);
        }
    }
    Ok(programs)
}

/// Returns the test program of that name.
pub(crate) fn one(name: &str) -> Result<Program, Failure> {
    let mut programs = all()?.into_iter();
    programs
        .find(|program| program.name == name)
        .ok_or_else(|| Failure(format!("there is no test program {name}")))
}

impl Program {
    fn of(artifact: &Value) -> Option<Self> {
        let manifest = PathBuf::from(artifact["manifest_path"].as_str()?);
        Some(Self {
            name: artifact["target"]["name"].as_str()?.to_owned(),
            path: artifact["executable"].as_str()?.into(),
            package: self::directory(&manifest).file_name()?.to_str()?.to_owned(),
            manifest,
        })
    }

    /// Returns a command that runs the program, with the variables that Cargo sets.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.env("CARGO_MANIFEST_DIR", self.directory());
        command.env("CARGO_PKG_NAME", &self.package);
        command
    }

    /// The directory in which Cargo runs the program.
    pub(crate) fn directory(&self) -> &Path {
        directory(&self.manifest)
    }
}

/// The directory of a package. It has the name of the package.
fn directory(manifest: &Path) -> &Path {
    manifest.parent().expect("a manifest is in a directory")
}
