//! Format, structure, lints and API docs.

use crate::step::{self, Outcome, cargo};
use crate::structure;

pub(crate) fn run() -> Outcome {
    step::run(&mut cargo(&["fmt", "--all", "--check"]))?;
    structure::run(&structure::Options::default())?;
    let warnings = ["--", "--deny", "warnings"];
    step::run(cargo(&["clippy", "--workspace", "--all-targets"]).args(warnings))?;
    // The library for platforms without locks.
    let mut unsupported = cargo(&["clippy", "--package", "lockfast", "--lib"]);
    unsupported.args(warnings);
    step::run(unsupported.args(["--cfg", "lockfast_unsupported"]))?;
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
