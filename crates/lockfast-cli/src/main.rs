//! Runs a command under locks between processes, and shows who has them.

mod args;
#[cfg_attr(windows, path = "windows/child.rs")]
mod child;
mod doctor;
mod documents;
mod exit;
#[cfg_attr(windows, path = "windows/flock.rs")]
mod flock;
mod inspect;
mod locks;
mod ls;
mod progress;
mod run;
mod status;
#[cfg_attr(windows, path = "windows/sys.rs")]
mod sys;
#[cfg_attr(windows, path = "windows/top.rs")]
mod top;
mod trace;

use std::process::ExitCode;

use crate::args::{Args, Subcommand};
use crate::exit::Exit;

fn main() -> ExitCode {
    lockfast::binding_support::speak(lockfast::binding_support::Words::Command);
    let words: Vec<_> = std::env::args_os().collect();
    if let Some((name, arguments)) = flock::is_called(&words) {
        return flock::run(name, arguments).into();
    }
    if let Some(part) = doctor::actor::is_called(&words) {
        return doctor::actor::play(part).into();
    }
    let exit = match args::parse(words) {
        Ok(Args { subcommand }) => match subcommand {
            Subcommand::Run(arguments) => run::run(&arguments),
            Subcommand::TraceMerge(arguments) => trace::merge(&arguments),
            Subcommand::Doctor(arguments) => doctor::run(&arguments),
            Subcommand::Completions(arguments) => documents::completions(&arguments),
            Subcommand::Man(arguments) => documents::man(&arguments),
            Subcommand::Status(arguments) => status::run(&arguments),
            Subcommand::Ls(arguments) => ls::run(&arguments),
            Subcommand::Top(arguments) => top::run(&arguments),
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
