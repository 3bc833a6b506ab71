//! Benchmarks of lockfast and its peers.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use clap::Args;
use serde_json::Value;

use crate::step::{self, Failure, Outcome, cargo};
use crate::{debian, python};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Measure the hand-over of the code of that Git revision beside today's
    #[arg(long, value_name = "REVISION")]
    before: Option<String>,
    /// Arguments for the benchmark, for example `--quick` or `--only PART`
    #[arg(last = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    crate::setup()?;
    if let Err(Failure(why)) = debian::require(&[("valgrind", "valgrind")]) {
        // The report says that the instructions are not measured.
        eprintln!("xtask: {why}");
    }
    step::run(&mut cargo(&[
        "build",
        "--profile=dist",
        "--package",
        "lockfast-cli",
    ]))?;
    if python::is_complete() {
        python::install_package(python::Build::Shipped)?;
    }
    let only = options.only();
    if only == Some(ENGINES) {
        return engines(options);
    }
    let inspect = build(&["--features", "inspect", "--bench", "inspect"])?;
    let before = options.before.as_deref().map(build_before).transpose()?;
    let mut bench = cargo(&["bench", "--package", "lockfast", "--bench", "peers", "--"]);
    bench
        .arg("--lockfast")
        .arg(step::target().join("dist/lockfast"));
    bench.arg("--inspect").arg(inspect);
    bench.arg("--out").arg(step::target().join("bench"));
    if let Some(interpreter) = python::interpreter() {
        bench.arg("--python").arg(interpreter);
    }
    if let Some(before) = before {
        bench.arg("--before").arg(before);
    }
    step::run(bench.args(&options.arguments))?;
    if only.is_none() {
        engines(options)?;
    }
    Ok(())
}

impl Options {
    /// The part that is measured, if not all are.
    fn only(&self) -> Option<&str> {
        let mut words = self.arguments.iter();
        words.find(|word| *word == "--only")?;
        words.next().map(String::as_str)
    }
}

/// The part with servers, which is a program of its own: it enters a network of its own.
const ENGINES: &str = "engines";

fn engines(options: &Options) -> Outcome {
    let features = ["--features", "etcd,postgres"];
    let mut bench = cargo(&["bench", "--package", "lockfast-space", "--bench", ENGINES]);
    bench.args(features).arg("--").arg("--lockfast");
    bench.arg(step::target().join("dist/lockfast"));
    if let Some(interpreter) = python::interpreter() {
        bench.arg("--python").arg(interpreter);
    }
    if options.arguments.iter().any(|word| word == "--quick") {
        bench.arg("--quick");
    }
    step::run(&mut bench)
}

/// Builds the benchmark of peers as it was at that revision.
fn build_before(revision: &str) -> Result<PathBuf, Failure> {
    let directory = step::target().join("before");
    let sources = directory.join("sources");
    let fail = |error| step::failed("write", &directory, &error);
    if sources.exists() {
        fs::remove_dir_all(&sources).map_err(fail)?;
    }
    fs::create_dir_all(&sources).map_err(fail)?;
    let archive = directory.join("sources.tar");
    let mut pack = Command::new("git");
    pack.args(["archive", "--output"]).arg(&archive);
    step::run(pack.arg(revision))?;
    let mut unpack = Command::new("tar");
    unpack.arg("--extract").arg("--directory").arg(&sources);
    step::run(unpack.arg("--file").arg(&archive))?;
    let manifest = sources.join("Cargo.toml").display().to_string();
    let target = directory.join("build").display().to_string();
    build(&[
        "--manifest-path",
        &manifest,
        "--target-dir",
        &target,
        "--bench",
        "peers",
    ])
}

/// Builds a benchmark of the library, and tells where it is.
fn build(arguments: &[&str]) -> Result<PathBuf, Failure> {
    let mut build = cargo(&["bench", "--package", "lockfast", "--no-run"]);
    build.args(["--message-format", "json-render-diagnostics"]);
    let messages = step::output(build.args(arguments))?;
    let mut programs = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    programs
        .next()
        .ok_or_else(|| Failure("Cargo built no benchmark".to_owned()))
}
