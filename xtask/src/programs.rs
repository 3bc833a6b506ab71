//! The test programs of the workspace.
//!
//! Cargo builds them all by one command. A command for some of them alone would build them, and the
//! binary that they test, once more with other features, while other tests run.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::step::{self, Failure, cargo};

/// A test program that is built.
pub(crate) struct Program {
    pub(crate) name: String,
    path: PathBuf,
    /// The manifest of its package.
    manifest: PathBuf,
    package: String,
}

/// Builds the test programs of all packages but the one for Python, whose tests are in Python.
pub(crate) fn build() -> Command {
    let mut command = cargo(&["test", "--workspace", "--exclude", "lockfast-python"]);
    command.arg("--no-run");
    command
}

/// All test programs, built if they are not yet.
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

/// The test program of that name.
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

    /// Runs it as cargo does.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.env("CARGO_MANIFEST_DIR", self.directory());
        command.env("CARGO_PKG_NAME", &self.package);
        command
    }

    /// The directory in which cargo runs it.
    pub(crate) fn directory(&self) -> &Path {
        directory(&self.manifest)
    }
}

/// The directory of a package, which has the package's name.
fn directory(manifest: &Path) -> &Path {
    manifest.parent().expect("a manifest is in a directory")
}
