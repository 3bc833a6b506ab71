//! All tests.

use std::process::Command;

use clap::Args;

use crate::install;
use crate::lint::unsupported;
use crate::minimum;
use crate::python;
use crate::step::{self, Outcome, cargo};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Install nothing; tests that need what is missing say so
    #[arg(long)]
    no_setup: bool,
}

pub(crate) fn run(options: &Options) -> Outcome {
    if !options.no_setup {
        crate::setup()?;
    }
    minimum::run(&minimum::Options {
        no_setup: options.no_setup,
    })?;
    step::run(unsupported("test").args(["--test", "unsupported"]))?;
    // The tests of the package for Python are in Python.
    let mut all = cargo(&["test", "--workspace", "--no-fail-fast"]);
    all.args(["--exclude", "lockfast-python"]);
    if let Some(interpreter) = python::interpreter() {
        all.env("LOCKFAST_TEST_PYTHON", interpreter);
    }
    step::run(&mut all)?;
    if python::is_complete() {
        python::install_package()?;
        python::test()?;
    } else {
        println!("\nleft out: the Python package; `cargo xtask setup` installs what it needs");
    }
    step::run(&mut model())?;
    install::try_out()
}

/// The queue of the threads, explored by `loom`; not optimised it would take minutes.
fn model() -> Command {
    let mut command = cargo(&["test", "--package", "lockfast", "--release", "--target-dir"]);
    command
        .arg(step::target().join("model"))
        .args(["--lib", "queue::model"])
        .env("RUSTFLAGS", "--cfg lockfast_model")
        // What it is built from is compiled for this alone.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    command
}
