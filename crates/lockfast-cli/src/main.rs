//! Runs a command under inter-process locks, and shows who holds them.

mod args;
#[cfg_attr(windows, path = "windows/child.rs")]
mod child;
mod doctor;
mod documents;
mod duration;
mod exit;
#[cfg_attr(windows, path = "windows/flock.rs")]
mod flock;
mod held;
mod inspect;
mod locks;
mod ls;
#[cfg_attr(windows, path = "windows/neighbours.rs")]
mod neighbours;
mod on;
mod progress;
mod refused;
mod replaced;
mod run;
mod status;
#[cfg_attr(windows, path = "windows/sys.rs")]
mod sys;
#[cfg(feature = "top")]
#[cfg_attr(windows, path = "windows/top.rs")]
mod top;
mod trace;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::args::{Args, Subcommand};
use crate::exit::{Exit, say};

fn main() -> ExitCode {
    lockfast::binding_support::speak(lockfast::binding_support::Words::Command);
    let words: Vec<_> = std::env::args_os().collect();
    if let Some((name, arguments)) = flock::is_called(&words) {
        return flock::run(name, arguments).end();
    }
    if let Some(part) = doctor::actor::is_called(&words) {
        return doctor::actor::play(part).end();
    }
    let exit = match args::parse(words.clone()) {
        Ok(Args { subcommand }) => match subcommand {
            Subcommand::Run(arguments) => match arguments.on.url() {
                Some(url) => on::run(&arguments, &url),
                None => run::run(&arguments),
            },
            Subcommand::Break(arguments) => on::take_away(&arguments),
            Subcommand::Doctor(arguments) => doctor::run(&arguments),
            Subcommand::Completions(arguments) => documents::completions(&arguments),
            Subcommand::Man(arguments) => documents::man(&arguments),
            Subcommand::Status(arguments) => match arguments.on.url() {
                Some(url) => on::status(&arguments, &url),
                None => status::run(&arguments),
            },
            Subcommand::Ls(arguments) => match arguments.on.url() {
                Some(url) => on::list(&arguments, &url),
                None => ls::run(&arguments),
            },
            #[cfg(feature = "top")]
            Subcommand::Top(arguments) => top::run(&arguments),
        },
        Err(error) => usage(&words, &error),
    };
    exit.after_output().end()
}

/// Prints clap's error, or the requested help.
fn usage(words: &[OsString], error: &clap::Error) -> Exit {
    let printed = error.print();
    if let Some(hint) = args::of_mistake(words, error) {
        say(hint);
    }
    if error.use_stderr() {
        Exit::USAGE
    } else {
        exit::note(printed);
        Exit::SUCCESS
    }
}
