//! Long tests, for before a release.

use clap::Args;

use crate::python;
use crate::step::{self, Outcome, cargo};
use crate::test::{CHAOS, EXPLORED};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Number of processes that the chaos tests kill together; each mixture kills a hundredth of it
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000)]
    kills: u32,

    /// Time for which the clients of each engine are under faults of the servers
    #[arg(long, value_name = "SECONDS", default_value_t = 3_600)]
    engines: u32,
}

pub(crate) fn run(options: &Options) -> Outcome {
    for tests in ["chaos::", "owner::killed_at_random", "mixture::"] {
        let mut soak = cargo(&["test", "--release", "--package", "lockfast"]);
        soak.args(["--test", "processes", "--", tests]);
        step::run(soak.env("LOCKFAST_KILLS", options.kills.to_string()))?;
    }
    let mut engines = cargo(&["test", "--release", "--package", "lockfast-servers"]);
    engines.args(["--test", "engines", "--", "::chaos"]);
    python::name_interpreter(&mut engines);
    step::run(engines.env(CHAOS, options.engines.to_string()))?;
    // The models that take minutes.
    let mut models = cargo(&["test", "--release", "--package", "lockfast"]);
    step::run(models.args(["--lib", "--", "--ignored", EXPLORED]))
}
