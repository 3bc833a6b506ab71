//! Long tests, for before a release.

use clap::Args;

use crate::step::{self, Outcome, cargo};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many processes are killed by all the chaos tests together
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000)]
    kills: u32,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let mut chaos = cargo(&["test", "--release", "--package", "lockfast"]);
    chaos.args(["--test", "processes", "--", "chaos"]);
    step::run(chaos.env("LOCKFAST_KILLS", options.kills.to_string()))
}
