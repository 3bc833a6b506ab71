//! Format, lints and docs, on both sides of the seam to the system.

use std::process::Command;

use crate::step::{self, Outcome, cargo};

pub(crate) fn run() -> Outcome {
    step::run(&mut cargo(&["fmt", "--all", "--check"]))?;
    let warnings = ["--", "--deny", "warnings"];
    step::run(cargo(&["clippy", "--workspace", "--all-targets"]).args(warnings))?;
    step::run(unsupported("clippy").arg("--lib").args(warnings))?;
    step::run(
        cargo(&[
            "doc",
            "--workspace",
            "--no-deps",
            "--document-private-items",
        ])
        .env("RUSTDOCFLAGS", "--deny warnings"),
    )
}

/// A command of Cargo for the library's side for platforms without locks, apart from other builds.
pub(crate) fn unsupported(subcommand: &str) -> Command {
    let mut command = cargo(&[subcommand, "--package", "lockfast", "--target-dir"]);
    command
        .arg(step::target().join("unsupported"))
        .env("RUSTFLAGS", "--cfg lockfast_unsupported");
    command
}
