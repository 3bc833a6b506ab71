//! What developers and CI run: `cargo xtask test` and its kin.

mod bench;
mod debian;
mod install;
mod lint;
mod minimum;
mod platforms;
mod python;
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
    /// Install what the tests and benchmarks need: Debian's packages and a Python environment
    Setup,
    /// Install what is missing and run all tests
    Test(test::Options),
    /// Kill processes at random for some minutes: 100,000 of them
    Soak(soak::Options),
    /// Check the format, the lints and the docs
    Lint,
    /// Print figures on the structure of the code; fail if it breaks a rule
    Structure(structure::Options),
    /// Take a free lock, for `structure --calls`
    #[command(hide = true)]
    FreeLock,
    /// Compile each crate with the least version of Rust that it declares
    Minimum(minimum::Options),
    /// Verify what PLATFORM.md says of other systems, processors and file systems
    Platforms(platforms::Options),
    /// Build the command and install it, with man pages and completions
    Install(install::Options),
    /// Measure lockfast against its peers; the report is in target/bench
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Setup => setup(),
        Task::Test(options) => test::run(&options),
        Task::Soak(options) => soak::run(&options),
        Task::Lint => lint::run(),
        Task::Structure(options) => structure::run(&options),
        Task::FreeLock => structure::calls::run(),
        Task::Minimum(options) => minimum::run(&options),
        Task::Platforms(options) => platforms::run(&options),
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

fn setup() -> step::Outcome {
    debian::install()?;
    python::install()
}
