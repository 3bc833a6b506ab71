//! The examples of the documents work as shown: commands, their output, and Rust programs.
//!
//! Each block of a page is a separate test, which runs in a fresh directory. The tests of the
//! Python package run the Python blocks.

mod block;
mod links;
mod map;
mod normal;
mod page;
mod promises;
mod rust;
mod session;
mod shell;
mod works_with;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let trials = [
        links::trials(),
        map::trials(),
        promises::trials(),
        shell::trials(),
        rust::trials(),
        works_with::trials(),
    ];
    let trials = trials.into_iter().flatten().collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Fails with the reason why programs are not built by Cargo for this build of the command.
fn cargo_builds() -> Result<(), &'static str> {
    if cfg!(target_env = "musl") {
        Err("Cargo's settings are those for musl; the same is tested with the usual C library")
    } else {
        Ok(())
    }
}

/// Fails with the reason why the sessions of the pages can't run.
fn sessions() -> Result<(), &'static str> {
    if cfg!(target_os = "linux") {
        Ok(())
    } else {
        Err("what `lockfast ls` shows is read from the kernel of Linux")
    }
}
