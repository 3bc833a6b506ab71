//! What PLATFORM.md says of systems, processors and file systems, verified on a Debian machine.
//!
//! Everything is made in a folder below `target`, from Debian's packages; what is there already is
//! used again.

mod check;
mod toolchain;
mod windows;

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};

use crate::step::{self, Outcome};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What to verify; everything, unless said otherwise
    #[arg(value_name = "NAME")]
    parts: Vec<Part>,

    /// What CI verifies on each push
    #[arg(long, conflicts_with = "parts")]
    ci: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Only make the compiler that the others use
    Toolchain,
    /// Types and lints on other systems and processors
    Check,
    /// Windows: built, and run by Wine
    Windows,
}

/// In the order in which they are quickest to fail.
const ALL: [Part; 2] = [Part::Check, Part::Windows];

const CI: [Part; 2] = [Part::Check, Part::Windows];

pub(crate) fn run(options: &Options) -> Outcome {
    let parts = match &options.parts[..] {
        [] if options.ci => &CI,
        [] => &ALL[..],
        parts => parts,
    };
    for part in parts {
        let since = Instant::now();
        match part {
            Part::Toolchain => toolchain::Toolchain::install().map(drop),
            Part::Check => check::run(),
            Part::Windows => windows::run(),
        }?;
        println!("\n{part:?}: done in {} s", since.elapsed().as_secs());
    }
    Ok(())
}

/// Where everything is that is made for this.
fn folder() -> PathBuf {
    step::target().join("platforms")
}
