//! What PLATFORM.md says of systems, processors and file systems, verified on a Debian machine.
//!
//! Everything is made from Debian's packages, in a folder below `target` and in the user's cache; what
//! is there already is used again.

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
    /// musl: built and run
    Musl,
    /// 64 bits of ARM: built, and run by an emulator
    Aarch64,
    /// 32 bits of ARM: built, and run by an emulator
    Armv7,
    /// IBM Z, which has the other order of bytes: built, and run by an emulator
    S390x,
    /// 32 bits of x86: built and run
    I686,
    /// Windows: built, and run by Wine
    Windows,
    /// macOS and FreeBSD: linked
    Linked,
    /// File systems of this machine
    Local,
    /// NFS 3, 4.0 and 4.2, with kernels of their own
    Nfs,
    /// SMB, with kernels of their own
    Smb,
}

/// In the order in which they are quickest to fail.
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
            Self::Musl => linked::test_musl(),
            Self::Aarch64 => processors::test(&processors::AARCH64, in_ci),
            Self::Armv7 => processors::test(&processors::ARMV7, in_ci),
            Self::S390x => processors::test(&processors::S390X, in_ci),
            Self::I686 => processors::test(&processors::I686, in_ci),
            Self::Windows => windows::run(),
            Self::Linked => linked::link(),
            Self::Local => local::run(),
            Self::Nfs => guests::nfs(),
            Self::Smb => guests::smb(),
        }
    }
}

/// Where everything is that is made for this clone.
fn folder() -> PathBuf {
    step::target().join("platforms")
}
