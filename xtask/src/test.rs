//! All tests. Everything is built first; then the tests, which mostly wait, run side by side.

use std::process::Command;

use clap::{Args, ValueEnum};

use crate::install;
use crate::minimum;
use crate::programs;
use crate::python;
use crate::side_by_side::{self, Task};
use crate::skips;
use crate::step::{self, Outcome, cargo};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Install nothing; skip the tests that need what is missing
    #[arg(long)]
    no_setup: bool,

    /// Leave out what takes long; ends within two minutes once everything is built
    #[arg(long)]
    quick: bool,

    /// Run only this part; may be repeated
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Compile the tests in Rust
    Build,
    /// Build the Python package, and check its style and its types
    Package,
    /// Compile each crate with the oldest Rust that it declares
    Minimum,
    /// Run unit tests, small test programs, and the examples of the API documentation
    Units,
    /// Test several processes that lock, wait and are killed
    Processes,
    /// Test the command
    Command,
    /// Test the engines on real servers, under faults
    Engines,
    /// Test the examples of README and guide
    Documents,
    /// Test the Python package that `package` has built
    Python,
    /// Explore the models of the protocols and of the queue
    Model,
    /// Test the library for platforms without locks
    Unsupported,
    /// Test what `cargo xtask install` installs
    Install,
}

/// The parts of a stage run side by side. A stage starts when the one before it has succeeded.
const STAGES: [&[Part]; 4] = [
    &[Part::Build, Part::Package, Part::Minimum],
    &[
        Part::Processes,
        Part::Command,
        Part::Python,
        Part::Model,
        Part::Documents,
        Part::Units,
    ],
    &[Part::Unsupported, Part::Install],
    // Leases run out on a machine that is busy with other things.
    &[Part::Engines],
];

pub(crate) fn run(options: &Options) -> Outcome {
    let is_wanted = |part: &Part| {
        if options.only.is_empty() {
            !options.quick || part.is_quick()
        } else {
            options.only.contains(part)
        }
    };
    let all = STAGES.into_iter().flatten();
    if !options.no_setup
        && all
            .copied()
            .any(|part| is_wanted(&part) && part.needs_setup())
    {
        crate::setup()?;
    }
    if let [only] = options.only[..] {
        return only.run(options);
    }
    for stage in STAGES {
        let parts = stage.iter().copied().filter(is_wanted);
        let tasks: Vec<_> = parts.map(|part| part.task(options)).collect();
        if !tasks.is_empty() {
            side_by_side::run(&tasks)?;
        }
    }
    Ok(())
}

impl Part {
    const fn is_quick(self) -> bool {
        !matches!(
            self,
            Self::Minimum | Self::Documents | Self::Model | Self::Unsupported
        )
    }

    /// Whether it uses what `cargo xtask setup` installs.
    const fn needs_setup(self) -> bool {
        !matches!(
            self,
            Self::Build | Self::Minimum | Self::Model | Self::Unsupported | Self::Install
        )
    }

    fn task(self, options: &Options) -> Task {
        let name = self.to_possible_value().expect("each part has a name");
        let name = name.get_name().to_owned();
        let mut arguments = vec!["test", "--only", &name];
        if options.no_setup || self.needs_setup() {
            arguments.push("--no-setup");
        }
        if options.quick {
            arguments.push("--quick");
        }
        let arguments = arguments.into_iter().map(ToOwned::to_owned).collect();
        Task { name, arguments }
    }

    fn run(self, options: &Options) -> Outcome {
        let quick = options.quick;
        match self {
            Self::Build => build(quick),
            Self::Package => package(quick),
            Self::Minimum => minimum::run(&minimum::Options {
                no_setup: options.no_setup,
            }),
            Self::Units => units(quick),
            Self::Processes => processes(quick),
            Self::Command => command(quick),
            Self::Engines => engines(quick),
            Self::Documents => run_program("documents", quick, &[]),
            Self::Python => python(quick),
            Self::Model => step::both(
                step::run(explored().args(["--", EXPLORED])),
                step::run(loom().args(["--", "queue::model::"])),
            ),
            Self::Unsupported => step::run(&mut unsupported()),
            Self::Install => install::try_out(),
        }
    }
}

fn build(quick: bool) -> Outcome {
    step::run(&mut programs::build())?;
    if quick {
        return Ok(());
    }
    for mut other in [explored(), loom(), unsupported()] {
        step::run(other.arg("--no-run"))?;
    }
    Ok(())
}

fn units(quick: bool) -> Outcome {
    let mut tested = Ok(());
    for program in programs::all()? {
        let has_own_part =
            ["processes", "command", "documents", "engines"].contains(&&*program.name);
        if has_own_part {
            continue;
        }
        let mut tests = program.command();
        python::name_interpreter(&mut tests);
        tests.args(["--skip", EXPLORED]);
        tested = step::both(tested, step::run_in(program.directory(), &mut tests));
    }
    if quick {
        return tested;
    }
    let mut examples = cargo(&["test", "--workspace", "--exclude", "lockfast-python"]);
    step::both(tested, step::run(examples.arg("--doc")))
}

/// Part of the names of the tests that go through all states of a model.
pub(crate) const EXPLORED: &str = "explored::";

fn processes(quick: bool) -> Outcome {
    run_program("processes", quick, &[THREADS])
}

fn command(quick: bool) -> Outcome {
    let compared: &[_] = if quick {
        &["--skip", "flock::compared"]
    } else {
        &[]
    };
    run_program("command", quick, &[&[THREADS], compared].concat())
}

/// Runs clients of real servers under faults, for two minutes unless it must be quick.
fn engines(quick: bool) -> Outcome {
    let program = programs::one("engines")?;
    let mut tests = program.command();
    if quick {
        tests.env(CHAOS, "15");
    }
    python::name_interpreter(&mut tests);
    step::run_in(program.directory(), &mut tests)
}

/// Names the seconds for which the clients of an engine are under faults.
pub(crate) const CHAOS: &str = "LOCKFAST_CHAOS_SECONDS";

/// A tenth of the usual number of processes to kill.
pub(crate) const FEW_KILLS: &str = "600";

/// Most tests of several processes wait for one of these.
pub(crate) const THREADS: &str = "--test-threads=4";

fn run_program(name: &str, quick: bool, arguments: &[&str]) -> Outcome {
    let program = programs::one(name)?;
    let mut tests = program.command();
    if quick {
        tests.env("LOCKFAST_KILLS", FEW_KILLS);
    }
    python::name_interpreter(&mut tests);
    step::run_in(program.directory(), tests.args(arguments))
}

fn package(quick: bool) -> Outcome {
    if !python::is_complete() {
        return skips::skip("the Python package", NO_PYTHON);
    }
    python::install_package(python::Build::Fast)?;
    if quick { Ok(()) } else { python::check() }
}

fn python(quick: bool) -> Outcome {
    if !python::is_complete() {
        return skips::skip("the Python package", NO_PYTHON);
    }
    python::test(quick)
}

const NO_PYTHON: &str = "`cargo xtask setup` installs what it needs";

/// The unit tests of the library, optimised.
fn explored() -> Command {
    library("rustc-optimised")
}

/// The unit tests of the library, optimised, with the queue of the threads as loom explores it.
fn loom() -> Command {
    library("rustc-model")
}

fn library(compiler: &str) -> Command {
    wrapped(&["--lib"], compiler)
}

/// The library for platforms without locks.
fn unsupported() -> Command {
    wrapped(&["--test", "unsupported"], "rustc-unsupported")
}

/// Tests of the library without its features, which has less to compile. Cargo compiles the packages of the
/// workspace, and only these, by that script.
fn wrapped(tests: &[&str], script: &str) -> Command {
    let script = step::root().join("xtask").join(script);
    let mut command = cargo(&["test", "--package", "lockfast"]);
    command
        .args(tests)
        .env("RUSTC_WORKSPACE_WRAPPER", script)
        // Takes a quarter off the time; such a build is rarely repeated after a small change.
        .env("CARGO_INCREMENTAL", "0");
    command
}
