//! Long tests, for before a release.

use clap::Args;

use crate::step::{self, Outcome, cargo};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many processes the chaos tests kill, all together; each mixture kills a hundredth of it
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000)]
    kills: u32,
}

pub(crate) fn run(options: &Options) -> Outcome {
    for tests in ["chaos::", "mixture::"] {
        let mut soak = cargo(&["test", "--release", "--package", "lockfast"]);
        soak.args(["--test", "processes", "--", tests]);
        step::run(soak.env("LOCKFAST_KILLS", options.kills.to_string()))?;
    }
    Ok(())
}
