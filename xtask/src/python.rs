//! Python environments: for the tests, for the Python package, and for the linker.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{self, Failure, Outcome};

/// Creates the environment of the tests unless it has what is required.
pub(crate) fn install() -> Outcome {
    make(&environment(), REQUIREMENTS)
}

/// Creates an environment unless it has what that file requires.
pub(crate) fn make(environment: &Path, requirements: &str) -> Outcome {
    if has(environment, requirements) {
        return Ok(());
    }
    let mut create = Command::new("python3");
    step::run(create.args(["-m", "venv", "--clear"]).arg(environment))?;
    let required = step::root().join(requirements);
    let mut fill = Command::new(environment.join("bin/python"));
    fill.args(["-m", "pip", "install", "--quiet", "--requirement"]);
    step::run(fill.arg(&required))?;
    let installed = installed(environment);
    fs::copy(required, &installed)
        .map(drop)
        .map_err(|error| Failure(format!("cannot write {}: {error}", installed.display())))
}

/// Names the interpreter for tests in Rust that need programs in Python, if it exists.
pub(crate) fn name_interpreter(tests: &mut Command) {
    if let Some(interpreter) = interpreter() {
        tests.env("LOCKFAST_TEST_PYTHON", interpreter);
    }
}

/// The interpreter of the tests' environment, if it exists.
pub(crate) fn interpreter() -> Option<PathBuf> {
    let interpreter = environment().join("bin/python");
    interpreter.exists().then_some(interpreter)
}

/// Whether the environment has everything that the tests require.
pub(crate) fn is_complete() -> bool {
    has(&environment(), REQUIREMENTS)
}

/// How much the package is optimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Build {
    /// For tests: in a fraction of the time.
    Fast,
    /// For users.
    Shipped,
}

/// Builds the package and installs it there.
pub(crate) fn install_package(how: Build) -> Outcome {
    let wheels = step::target().join("wheels");
    if wheels.exists() {
        fs::remove_dir_all(&wheels)
            .map_err(|error| Failure(format!("cannot remove {}: {error}", wheels.display())))?;
    }
    let mut build = program("maturin");
    build.arg("build");
    match how {
        Build::Fast => {
            build.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
            build.arg("--release");
        }
        Build::Shipped => {
            build.arg("--profile=dist");
        }
    }
    build
        .arg("--manifest-path")
        .arg(package().join("Cargo.toml"));
    build
        .arg("--interpreter")
        .arg(environment().join("bin/python"));
    step::run(build.arg("--out").arg(&wheels))?;
    let mut install = program("python");
    install.args(["-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]);
    install.args(["--force-reinstall", "--find-links"]);
    step::run(install.arg(&wheels).arg("lockfast"))
}

/// Checks the style and the types of the installed package.
pub(crate) fn check() -> Outcome {
    lint()?;
    check_types()
}

/// Tests the installed package; `quickly` leaves out the tests of fasteners.
pub(crate) fn test(quickly: bool) -> Outcome {
    let mut tests = program("pytest");
    tests.env("LOCKFAST_COMMAND", step::target().join("debug/lockfast"));
    tests.args(["--quiet", "-r", "s"]);
    if quickly {
        tests.args(["--ignore", "tests/test_dropin_suite.py"]);
    }
    step::run_in(&package(), &mut tests)
}

/// Checks format and lints.
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

/// Checks that the stubs are right, complete, and usable.
fn check_types() -> Outcome {
    let usage = package().join("tests/typed_usage.py");
    let mut strict = program("mypy");
    strict.args(["--strict", "--package", "lockfast"]);
    step::run(&mut strict)?;
    step::run(program("mypy").arg("--strict").arg(&usage))?;
    let mut complete = program("stubtest");
    complete.args(["lockfast._lockfast", "lockfast._decorators", "--allowlist"]);
    step::run(complete.arg(package().join("tests/stubtest.txt")))?;
    step::run(pyright()?.arg(usage))?;
    // All names that users can reach.
    step::run(pyright()?.args(["--verifytypes", "lockfast", "--ignoreexternal"]))
}

/// Pyright for the tests' environment: it examines that of the first `python` in the path.
fn pyright() -> Result<Command, Failure> {
    let own = environment().join("bin");
    let others = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&others)))
        .map_err(|error| Failure(format!("no search path can have the environment: {error}")))?;
    let mut pyright = program("pyright");
    pyright.env("PATH", path);
    Ok(pyright)
}

/// A program of the environment.
fn program(name: &str) -> Command {
    Command::new(environment().join("bin").join(name))
}

fn package() -> PathBuf {
    step::root().join("crates/lockfast-python")
}

fn has(environment: &Path, requirements: &str) -> bool {
    let read = |path: PathBuf| fs::read(path).ok();
    read(step::root().join(requirements)) == read(installed(environment))
        && environment.join("bin/python").exists()
}

/// A copy of the requirements that the environment was created from.
fn installed(environment: &Path) -> PathBuf {
    environment.join("requirements.txt")
}

fn environment() -> PathBuf {
    step::target().join("venv")
}

const REQUIREMENTS: &str = "xtask/requirements.txt";
