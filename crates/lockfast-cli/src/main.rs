//! Runs a command under locks between processes.

mod args;
mod child;
mod exit;
mod flock;
mod locks;
mod progress;
mod run;
mod sys;
mod trace;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Subcommand};
use crate::exit::Exit;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    if let Some((name, arguments)) = flock::is_called(&words) {
        return flock::run(name, arguments).into();
    }
    let exit = match Args::try_parse_from(words) {
        Ok(Args { subcommand }) => match subcommand {
            Subcommand::Run(arguments) => run::run(&arguments),
            Subcommand::TraceMerge(arguments) => trace::merge(&arguments),
        },
        Err(error) => usage(&error),
    };
    exit.into()
}

/// Shows what is wrong with the arguments, or the help that they ask for.
fn usage(error: &clap::Error) -> Exit {
    // Nobody is left to tell when the output is closed.
    let _ = error.print();
    if error.use_stderr() {
        Exit::USAGE
    } else {
        Exit::SUCCESS
    }
}
