//! Benchmarks of lockfast and its peers.

use clap::Args;

use crate::python;
use crate::step::{self, Outcome, cargo};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Arguments for the benchmark, for example `--quick`
    #[arg(last = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    crate::setup()?;
    step::run(&mut cargo(&[
        "build",
        "--release",
        "--package",
        "lockfast-cli",
    ]))?;
    if python::is_complete() {
        python::install_package(python::Build::Shipped)?;
    }
    let mut bench = cargo(&["bench", "--package", "lockfast", "--bench", "peers", "--"]);
    bench
        .arg("--lockfast")
        .arg(step::target().join("release/lockfast"));
    bench.arg("--out").arg(step::target().join("bench"));
    if let Some(interpreter) = python::interpreter() {
        bench.arg("--python").arg(interpreter);
    }
    step::run(bench.args(&options.arguments))?;
    if options
        .arguments
        .iter()
        .any(|argument| argument == "--only")
    {
        return Ok(());
    }
    let inspect = ["--features", "inspect", "--bench", "inspect"];
    step::run(cargo(&["bench", "--package", "lockfast"]).args(inspect))
}
