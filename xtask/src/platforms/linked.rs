//! Tests for musl, and programs linked for macOS and FreeBSD, by a linker that has the libraries of all three.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cache;
use super::toolchain::Toolchain;
use crate::step::{self, Failure, Outcome};
use crate::test::{EXPLORED, FEW_KILLS};
use crate::{debian, python};

/// The Python packages of the linker.
const REQUIREMENTS: &str = "xtask/linker-requirements.txt";

const MUSL: &str = "x86_64-unknown-linux-musl";

/// Targets that nothing here can run. Linking proves that their libraries have the functions that are called.
const LINKED: [&str; 2] = ["aarch64-apple-darwin", "x86_64-unknown-freebsd"];

/// Runs all tests of the library and the command; in CI they kill fewer processes.
pub(super) fn test_musl(in_ci: bool) -> Outcome {
    let mut tests = musl("test")?;
    tests.args(["--package", "lockfast", "--package", "lockfast-cli"]);
    tests.args(["--all-features", "--lib", "--bins", "--tests"]);
    if in_ci {
        // The kernel releases the locks of a killed process, whatever its C library is.
        tests.env("LOCKFAST_KILLS", FEW_KILLS);
    }
    python::name_interpreter(&mut tests);
    tests.args(["--no-fail-fast", "--", "--skip", EXPLORED]);
    if in_ci {
        // Programs in other languages lock the same bytes; a Java machine takes seconds to start.
        tests.args(["--skip", "java"]);
    }
    step::run(&mut tests)
}

/// Builds the command statically, so that it runs on any Linux, and returns its path.
pub(super) fn build_static() -> Result<PathBuf, Failure> {
    let mut build = musl("build")?;
    step::run(build.args(["--package", "lockfast-cli", "--release"]))?;
    Ok(static_command())
}

/// The path of the static command.
pub(super) fn static_command() -> PathBuf {
    super::folder()
        .join("build")
        .join(MUSL)
        .join("release/lockfast")
}

/// Links the command, which has all of the library in it. The tests need C libraries that are not here.
pub(super) fn link() -> Outcome {
    for target in LINKED {
        let mut link = cargo("build", target)?;
        link.args(["--package", "lockfast-cli", "--all-features"])
            // These need programs that are not here.
            .env("CARGO_PROFILE_DEV_STRIP", "none")
            .env("CARGO_PROFILE_DEV_SPLIT_DEBUGINFO", "off");
        step::run(&mut link)?;
    }
    Ok(())
}

fn musl(subcommand: &str) -> Result<Command, Failure> {
    let mut command = cargo(subcommand, MUSL)?;
    // The compiler's package has no C library; the linker's is used.
    let flags = "-Clink-self-contained=no";
    command.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS", flags);
    Ok(command)
}

fn cargo(subcommand: &str, target: &str) -> Result<Command, Failure> {
    let environment = install_linker()?;
    let programs = environment.join("bin");
    let mut command = Command::new(programs.join("cargo-zigbuild"));
    command.args([subcommand, "--target", target]);
    Toolchain::install()?.prepare(&mut command);
    command
        .env("PATH", first_in_path(&programs))
        .env("CARGO_ZIGBUILD_CACHE_DIR", environment.join("cache"))
        .env("ZIG_GLOBAL_CACHE_DIR", environment.join("cache"));
    Ok(command)
}

/// Installs the linker unless it is there, and returns its folder.
fn install_linker() -> Result<PathBuf, Failure> {
    debian::require_python()?;
    let path = step::root().join(REQUIREMENTS);
    let required = fs::read(&path).map_err(|error| step::failed("read", &path, &error))?;
    let environment = cache::folder()?.join(format!("linker-{}", cache::key(&required)));
    let making = cache::alone()?;
    python::make(&environment, REQUIREMENTS)?;
    drop(making);
    Ok(environment)
}

fn first_in_path(directory: &Path) -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = [directory.to_path_buf()]
        .into_iter()
        .chain(std::env::split_paths(&path));
    std::env::join_paths(directories).expect("they were separated before")
}
