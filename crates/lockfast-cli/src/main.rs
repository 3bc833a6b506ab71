//! Runs a command under locks between processes, and shows who has them.

mod args;
mod child;
mod exit;
mod inspect;
mod locks;
mod ls;
mod progress;
mod run;
mod status;
mod sys;
mod trace;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Subcommand};
use crate::exit::Exit;

fn main() -> ExitCode {
    let exit = match Args::try_parse() {
        Ok(Args { subcommand }) => match subcommand {
            Subcommand::Run(arguments) => run::run(&arguments),
            Subcommand::TraceMerge(arguments) => trace::merge(&arguments),
            Subcommand::Status(arguments) => status::run(&arguments),
            Subcommand::Ls(arguments) => ls::run(&arguments),
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
