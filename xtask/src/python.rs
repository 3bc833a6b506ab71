//! What is tested with, or made by, packages of Python, in environments of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{self, Failure, Outcome};

/// Makes the environment anew unless it has what is required.
pub(crate) fn install() -> Outcome {
    make(&environment(), "xtask/requirements.txt")
}

/// Makes an environment anew unless it has what that file requires.
pub(crate) fn make(environment: &Path, requirements: &str) -> Outcome {
    let required = step::root().join(requirements);
    let installed = environment.join("requirements.txt");
    let read = |path: &PathBuf| fs::read(path).ok();
    let interpreter = environment.join("bin/python");
    if read(&required) == read(&installed) && interpreter.exists() {
        return Ok(());
    }
    let mut create = Command::new("python3");
    step::run(create.args(["-m", "venv", "--clear"]).arg(environment))?;
    let mut fill = Command::new(interpreter);
    fill.args(["-m", "pip", "install", "--quiet", "--requirement"]);
    step::run(fill.arg(&required))?;
    fs::copy(&required, &installed)
        .map(drop)
        .map_err(|error| Failure(format!("cannot write {}: {error}", installed.display())))
}

/// Its interpreter, if it is there.
pub(crate) fn interpreter() -> Option<PathBuf> {
    let interpreter = environment().join("bin/python");
    interpreter.exists().then_some(interpreter)
}

fn environment() -> PathBuf {
    step::target().join("venv")
}
