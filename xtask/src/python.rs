//! The environment of Python that lockfast is tested and measured in, and the package in it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::step::{self, Failure, Outcome};

/// Makes the environment anew unless it has what is required.
pub(crate) fn install() -> Outcome {
    if is_complete() {
        return Ok(());
    }
    let mut create = Command::new("python3");
    step::run(create.args(["-m", "venv", "--clear"]).arg(environment()))?;
    let mut fill = program("python");
    fill.args(["-m", "pip", "install", "--quiet", "--requirement"]);
    step::run(fill.arg(required()))?;
    let installed = installed();
    fs::copy(required(), &installed)
        .map(drop)
        .map_err(|error| Failure(format!("cannot write {}: {error}", installed.display())))
}

/// Its interpreter, if it is there.
pub(crate) fn interpreter() -> Option<PathBuf> {
    let interpreter = environment().join("bin/python");
    interpreter.exists().then_some(interpreter)
}

/// Is everything there that is required?
pub(crate) fn is_complete() -> bool {
    let read = |path: PathBuf| fs::read(path).ok();
    read(required()) == read(installed()) && interpreter().is_some()
}

/// Builds the package as its users get it, and installs it there.
pub(crate) fn install_package() -> Outcome {
    let wheels = step::target().join("wheels");
    if wheels.exists() {
        fs::remove_dir_all(&wheels)
            .map_err(|error| Failure(format!("cannot remove {}: {error}", wheels.display())))?;
    }
    let mut build = program("maturin");
    build.args(["build", "--release", "--manifest-path"]);
    build.arg(package().join("Cargo.toml"));
    build
        .arg("--interpreter")
        .arg(environment().join("bin/python"));
    step::run(build.arg("--out").arg(&wheels))?;
    let mut install = program("python");
    install.args(["-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]);
    install.args(["--force-reinstall", "--find-links"]);
    step::run(install.arg(&wheels).arg("lockfast"))
}

/// Checks and tests the package that is installed there.
pub(crate) fn test() -> Outcome {
    lint()?;
    check_types()?;
    let mut tests = program("pytest");
    tests.current_dir(package());
    tests.env("LOCKFAST_COMMAND", step::target().join("debug/lockfast"));
    step::run_there(tests.arg("--quiet"))
}

/// Format and lints.
fn lint() -> Outcome {
    let scripts = step::root().join("crates/lockfast/benches/peers/python");
    for task in [["check", "--quiet"], ["format", "--check"]] {
        let mut ruff = program("ruff");
        ruff.args(task).arg("--config");
        ruff.arg(package().join("pyproject.toml"));
        step::run(ruff.arg(package()).arg(&scripts))?;
    }
    Ok(())
}

/// The stubs: that they are right, complete, and of use.
fn check_types() -> Outcome {
    let usage = package().join("tests/typed_usage.py");
    let mut strict = program("mypy");
    strict.args(["--strict", "--package", "lockfast"]);
    step::run(&mut strict)?;
    step::run(program("mypy").arg("--strict").arg(&usage))?;
    let mut complete = program("stubtest");
    complete.args(["lockfast._lockfast", "lockfast._decorators", "--allowlist"]);
    step::run(complete.arg(package().join("tests/stubtest.txt")))?;
    let mut pyright = program("pyright");
    pyright
        .arg("--version")
        .stderr(Stdio::null())
        .stdout(Stdio::null());
    if !pyright.status().is_ok_and(|status| status.success()) {
        println!("\nleft out: pyright, which fetches itself, and node if need be, and could not");
        return Ok(());
    }
    let mut pyright = program("pyright");
    pyright
        .arg("--pythonpath")
        .arg(environment().join("bin/python"));
    step::run(pyright.arg(usage))
}

/// A program of the environment.
fn program(name: &str) -> Command {
    Command::new(environment().join("bin").join(name))
}

fn package() -> PathBuf {
    step::root().join("crates/lockfast-python")
}

fn required() -> PathBuf {
    step::root().join("xtask/requirements.txt")
}

fn installed() -> PathBuf {
    environment().join("requirements.txt")
}

fn environment() -> PathBuf {
    step::target().join("venv")
}
