//! The Python libraries that lockfast is tested with, in an environment of their own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::step::{self, Failure, Outcome};

/// Makes the environment anew unless it has what is required.
pub(crate) fn install() -> Outcome {
    let required = step::root().join("xtask/requirements.txt");
    let installed = environment().join("requirements.txt");
    let read = |path: &PathBuf| fs::read(path).ok();
    if read(&required) == read(&installed) && interpreter().is_some() {
        return Ok(());
    }
    let mut create = Command::new("python3");
    step::run(create.args(["-m", "venv", "--clear"]).arg(environment()))?;
    let mut fill = Command::new(environment().join("bin/python"));
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
