//! Long tests, for before a release.

use clap::Args;

use crate::step::{self, Outcome, cargo};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many processes are killed in each of the chaos tests
    #[arg(long, value_name = "NUMBER", default_value_t = 50_000)]
    kills: u32,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let mut chaos = cargo(&["test", "--release", "--package", "lockfast"]);
    chaos.args(["--test", "processes", "--", "chaos"]);
    step::run(chaos.env("LOCKFAST_KILLS", options.kills.to_string()))
}
