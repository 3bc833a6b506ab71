//! `cargo xtask`: the tasks of developers and CI.

mod bench;
mod debian;
mod install;
mod lint;
mod minimum;
mod platforms;
mod programs;
mod python;
mod side_by_side;
mod skips;
mod soak;
mod step;
mod structure;
mod test;

use std::process::ExitCode;

use clap::Parser;

/// Tests, lints and measures lockfast.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Install what tests and benchmarks need: Debian packages and a Python environment
    Setup,
    /// Install what is missing and run all tests
    Test(test::Options),
    /// Kill processes at random, many more than the tests do
    Soak(soak::Options),
    /// Check format, structure, lints and API docs
    Lint,
    /// Print figures on the structure of the code; fail if it breaks a rule
    Structure(structure::Options),
    /// Take a free lock, for `structure --calls`
    #[command(hide = true)]
    FreeLock,
    /// Compile each crate with the oldest version of Rust that it declares
    Minimum(minimum::Options),
    /// Test other systems, processors and file systems, as PLATFORM.md describes them
    Platforms(platforms::Options),
    /// Build the command and install it with man pages and completions
    Install(install::Options),
    /// Compare lockfast with its peers and write a report to target/bench
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Setup => setup(),
        Task::Test(options) => counting_skips(|| test::run(&options)),
        Task::Soak(options) => soak::run(&options),
        Task::Lint => lint::run(),
        Task::Structure(options) => structure::run(&options),
        Task::FreeLock => structure::calls::run(),
        Task::Minimum(options) => counting_skips(|| minimum::run(&options)),
        Task::Platforms(options) => counting_skips(|| platforms::run(&options)),
        Task::Install(options) => install::run(&options),
        Task::Bench(options) => bench::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Runs tests, then prints those that were skipped.
fn counting_skips(tests: impl FnOnce() -> step::Outcome) -> step::Outcome {
    skips::begin()?;
    let done = tests();
    step::both(done, skips::report())
}

fn setup() -> step::Outcome {
    debian::install()?;
    python::install()
}
