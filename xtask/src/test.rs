//! All tests.

use clap::Args;

use crate::install;
use crate::lint::unsupported;
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
    step::run(unsupported("test").args(["--test", "unsupported"]))?;
    let mut all = cargo(&["test", "--workspace", "--no-fail-fast"]);
    if let Some(interpreter) = python::interpreter() {
        all.env("LOCKFAST_TEST_PYTHON", interpreter);
    }
    step::run(&mut all)?;
    install::try_out()
}
