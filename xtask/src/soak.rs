//! Long tests, for before a release.

use clap::Args;

use crate::step::{self, Outcome, cargo};
use crate::test::EXPLORED;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Number of processes that the chaos tests kill together; each mixture kills a hundredth of it
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000)]
    kills: u32,
}

pub(crate) fn run(options: &Options) -> Outcome {
    for tests in ["chaos::", "owner::killed_at_random", "mixture::"] {
        let mut soak = cargo(&["test", "--release", "--package", "lockfast"]);
        soak.args(["--test", "processes", "--", tests]);
        step::run(soak.env("LOCKFAST_KILLS", options.kills.to_string()))?;
    }
    // The models that take minutes.
    let mut models = cargo(&["test", "--release", "--package", "lockfast"]);
    step::run(models.args(["--lib", "--", "--ignored", EXPLORED]))
}
