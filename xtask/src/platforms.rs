//! Tests of other systems, processors and file systems, on a Debian machine.
//!
//! Everything comes from Debian packages. It is kept in a folder below `target` and in the user's cache, and
//! used again by the next run.

pub(crate) mod cache;
mod check;
mod guests;
mod linked;
mod local;
mod processors;
mod toolchain;
mod windows;

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};

use self::cache::Builds;
use self::toolchain::Toolchain;
use crate::step::{self, Outcome};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Parts to test; all by default
    #[arg(value_name = "NAME")]
    parts: Vec<Part>,

    /// Test what CI tests on each push
    #[arg(long, conflicts_with = "parts")]
    ci: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Only install the compiler that the other parts use
    Toolchain,
    /// Check types and lints for other systems and processors
    Check,
    /// Build for musl and run
    Musl,
    /// Build for 64-bit ARM and run in an emulator
    Aarch64,
    /// Build for 32-bit ARM and run in an emulator
    Armv7,
    /// Build for IBM Z, which is big-endian, and run in an emulator
    S390x,
    /// Build for 32-bit x86 and run
    I686,
    /// Build for Windows and run in Wine
    Windows,
    /// Link for macOS and FreeBSD
    Linked,
    /// Test on the file systems of this machine
    Local,
    /// Test on NFS 3, 4.0 and 4.2, in virtual machines
    Nfs,
    /// Test on SMB, in virtual machines
    Smb,
}

/// Ordered so that the quickest failures come first.
const ALL: [Part; 11] = [
    Part::Local,
    Part::Check,
    Part::Musl,
    Part::Aarch64,
    Part::Armv7,
    Part::S390x,
    Part::I686,
    Part::Windows,
    Part::Linked,
    Part::Nfs,
    Part::Smb,
];

const CI: [Part; 5] = [
    Part::Local,
    Part::Check,
    Part::Musl,
    Part::Aarch64,
    Part::Windows,
];

pub(crate) fn run(options: &Options) -> Outcome {
    let parts = match &options.parts[..] {
        [] if options.ci => &CI,
        [] => &ALL[..],
        parts => parts,
    };
    let builds = if options.ci {
        let builds = Builds::of(&Toolchain::install()?.version()?)?;
        builds.restore()?;
        Some(builds)
    } else {
        None
    };
    let mut all = Ok(());
    let mut summary = Vec::new();
    for part in parts {
        println!("\n=== {part:?}");
        let since = Instant::now();
        let mut done = part.verify(options.ci);
        if let (Ok(()), Some(builds)) = (&done, &builds) {
            done = builds.keep();
        }
        let verdict = if done.is_ok() { "done" } else { "FAILED" };
        let seconds = since.elapsed().as_secs();
        summary.push(format!("{part:?}: {verdict} in {seconds} s"));
        all = step::both(all, done);
    }
    println!("\n{}", summary.join("\n"));
    all
}

impl Part {
    fn verify(self, in_ci: bool) -> Outcome {
        match self {
            Self::Toolchain => Toolchain::install().map(drop),
            Self::Check => check::run(in_ci),
            Self::Musl => linked::test_musl(in_ci),
            Self::Aarch64 => processors::test(&processors::AARCH64, in_ci),
            Self::Armv7 => processors::test(&processors::ARMV7, in_ci),
            Self::S390x => processors::test(&processors::S390X, in_ci),
            Self::I686 => processors::test(&processors::I686, in_ci),
            Self::Windows => windows::run(in_ci),
            Self::Linked => linked::link(),
            Self::Local => local::run(in_ci),
            Self::Nfs => guests::nfs(),
            Self::Smb => guests::smb(),
        }
    }
}

/// The folder of everything that is made for this clone.
fn folder() -> PathBuf {
    step::target().join("platforms")
}
