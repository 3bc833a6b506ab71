//! What PLATFORM.md says of systems, processors and file systems, verified on a Debian machine.
//!
//! Everything is made in a folder below `target`, from Debian's packages; what is there already is
//! used again.

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
    Part::Check,
    Part::Musl,
    Part::Aarch64,
    Part::Armv7,
    Part::S390x,
    Part::I686,
    Part::Windows,
    Part::Linked,
    Part::Local,
    Part::Nfs,
    Part::Smb,
];

const CI: [Part; 4] = [Part::Musl, Part::Aarch64, Part::Windows, Part::Local];

pub(crate) fn run(options: &Options) -> Outcome {
    let parts = match &options.parts[..] {
        [] if options.ci => &CI,
        [] => &ALL[..],
        parts => parts,
    };
    let mut all = Ok(());
    for part in parts {
        let since = Instant::now();
        let done = match part {
            Part::Toolchain => toolchain::Toolchain::install().map(drop),
            Part::Check => check::run(),
            Part::Musl => linked::test_musl(),
            Part::Aarch64 => processors::test(&processors::AARCH64),
            Part::Armv7 => processors::test(&processors::ARMV7),
            Part::S390x => processors::test(&processors::S390X),
            Part::I686 => processors::test(&processors::I686),
            Part::Windows => windows::run(),
            Part::Linked => linked::link(),
            Part::Local => local::run(),
            Part::Nfs => guests::nfs(),
            Part::Smb => guests::smb(),
        };
        let seconds = since.elapsed().as_secs();
        match &done {
            Ok(()) => println!("\n{part:?}: done in {seconds} s"),
            Err(failure) => println!("\n{part:?}: FAILED in {seconds} s: {failure}"),
        }
        all = step::both(all, done);
    }
    all
}

/// Where everything is that is made for this.
fn folder() -> PathBuf {
    step::target().join("platforms")
}
