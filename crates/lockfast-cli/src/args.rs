//! The arguments of the command line.

mod hint;
mod run;

use std::ffi::OsString;
use std::path::PathBuf;
#[cfg(feature = "top")]
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{CommandFactory, FromArgMatches, Parser, ValueEnum};
use lockfast::{Protocol, Scope};

use crate::doctor::{self, Doctor};
use crate::documents::{Completions, Man};
#[cfg(feature = "top")]
use crate::duration;
use crate::flock;

pub(crate) use self::hint::of_mistake;
pub(crate) use self::run::Run;

/// Inter-process locks that the kernel releases when the holder exits, however it exits
#[derive(Debug, Parser)]
#[command(name = "lockfast", version, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) subcommand: Subcommand,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Subcommand {
    /// Run a command while holding locks
    #[command(after_help = run::CODES, after_long_help = run::DETAILS)]
    Run(Run),
    /// Take a lock in a space of names away from its holder
    #[command(after_help = BREAK_CODES)]
    Break(Break),
    /// Show whether locks are free, or who holds them, without taking them
    #[command(after_help = STATUS_CODES)]
    Status(Status),
    /// List the holders and waiters of locks, of all programs
    #[command(after_help = LS_CODES)]
    Ls(Ls),
    /// Watch the holders and waiters of locks, of all programs
    #[cfg(feature = "top")]
    #[command(after_help = TOP_CODES)]
    Top(Top),
    /// Test which lock guarantees hold in a directory
    #[command(after_help = doctor::DETAILS)]
    Doctor(Doctor),
    /// Print completions for a shell
    Completions(Completions),
    /// Write the man pages to a directory
    Man(Man),
}

/// Returns the definition of the whole command line. `flock` parses its own arguments.
pub(crate) fn command() -> clap::Command {
    Args::command().subcommand(flock::definition())
}

/// Parses the command line.
pub(crate) fn parse(words: Vec<OsString>) -> Result<Args, clap::Error> {
    // The definition of `flock` is for help and man pages. It takes time to build.
    let is_run = words.get(1).is_some_and(|word| word == "run");
    let command = if is_run { Args::command() } else { command() };
    let matches = command.try_get_matches_from(words)?;
    Args::from_arg_matches(&matches)
}

/// The space of names, instead of lock files.
#[derive(Debug, clap::Args)]
pub(crate) struct On {
    /// Treat each lock as a name in this space: `file:///dir`, `etcd://host:2379/prefix`,
    /// `postgres://host/database` [env: `LOCKFAST_SPACE`]
    #[arg(long, value_name = "URL")]
    on: Option<String>,
}

impl On {
    /// Returns the URL of the option or the environment, if there is one.
    pub(crate) fn url(&self) -> Option<String> {
        let of_environment = || std::env::var(lockfast_space::SPACE).ok();
        let url = self.on.clone().or_else(of_environment);
        url.filter(|url| !url.is_empty())
    }
}

/// The end of a command whose lock is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnLost {
    /// Send SIGTERM to its process group, and SIGKILL before others can hold the lock
    Term,
    /// Send SIGKILL to its process group
    Kill,
    /// Print a warning, and let it run: one when the lock is not confirmed in time, one when it is lost
    Warn,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Break {
    #[command(flatten)]
    pub(crate) on: On,

    /// Name of the lock
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Token of the holder or waiter, as `lockfast status` shows it. Nothing happens if another one
    /// has the lock by now
    #[arg(long, value_name = "N")]
    pub(crate) token: u64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) on: On,

    /// Lock files; a file that does not exist counts as free
    #[arg(value_name = "LOCK", required = true)]
    pub(crate) locks: Vec<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Ls {
    #[command(flatten)]
    pub(crate) on: On,

    /// Lock files, or directories with everything below them [default: this directory]; with --on
    /// the beginnings of names [default: all]
    #[arg(value_name = "PATH", conflicts_with = "all")]
    pub(crate) paths: Vec<PathBuf>,

    /// List the locks of the whole machine
    #[arg(short, long)]
    pub(crate) all: bool,

    /// Show only processes that wait for each other in a circle. Searches the whole machine unless
    /// paths are given
    #[arg(short, long)]
    pub(crate) deadlocks: bool,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(feature = "top")]
#[derive(Debug, clap::Args)]
pub(crate) struct Top {
    /// Lock files, or directories with everything below them [default: the whole machine]
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,

    /// Time between two updates. If updates are slow, the interval grows, so that they take at most
    /// a tenth of the time
    #[arg(short, long, value_name = "DURATION", default_value = "1s", value_parser = duration::parse, allow_negative_numbers = true)]
    pub(crate) interval: Duration,
}

/// A [`Protocol`] by its name on the command line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProtocolName(pub(crate) Protocol);

impl ValueEnum for ProtocolName {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self(Protocol::Fcntl),
            Self(Protocol::Flock),
            Self(Protocol::Both),
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self.0 {
            Protocol::Fcntl => Some(
                PossibleValue::new("fcntl")
                    .help("Works together with fcntl, lockf, Java, fasteners"),
            ),
            Protocol::Flock => Some(PossibleValue::new("flock").help(
                "Works together with flock(1), `lockfast flock`, cargo, filelock, portalocker",
            )),
            Protocol::Both => {
                Some(PossibleValue::new("both").help("Works together with all of them"))
            }
            _ => None,
        }
    }
}

const BREAK_CODES: &str = "\
Exit code: 0 if it was taken away; 75 if nobody has that token (any more); 64 usage; 69 the server
cannot be reached; 71 system error; 77 the server refuses.";

const STATUS_CODES: &str = "\
Exit code: 0 if all are free; 75 if one is, or may be, held; 64 usage; 71 system error.";

const LS_CODES: &str = "\
Exit code: 0; with --deadlocks 75 if a deadlock is certain, and 0 if it is only possible (a wait may
have a timeout, or another thread may release a lock); 64 usage; 66 a path does not exist; 71 system
error.";

/// A [`Scope`] by its name on the command line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScopeName(pub(crate) Scope);

impl ValueEnum for ScopeName {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self(Scope::User), Self(Scope::Machine)]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self.0 {
            Scope::User => {
                Some(PossibleValue::new("user").help("Shared by processes of this user"))
            }
            Scope::Machine => Some(PossibleValue::new("machine").help("Shared by all users")),
            _ => None,
        }
    }
}

#[cfg(feature = "top")]
const TOP_CODES: &str = "\
Keys: up and down select, < and > choose the column to sort by, r reverses, / filters, space pauses,
d shows or hides holders and waiters, ? shows help, q quits.

Exit code: 0; 64 usage, or no terminal; 66 a path does not exist; 71 system error; 128+N if signal N
ended it.";

fn mode(text: &str) -> Result<u32, &'static str> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o7777 => Ok(mode),
        _ => Err("expected an octal number up to 7777, for example 660"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!(mode("0660"), Ok(0o660));
        assert_eq!(mode("7777"), Ok(0o7777));
        for wrong in ["", "8", "10000", "-1", "rw"] {
            assert!(mode(wrong).is_err(), "{wrong}");
        }
    }
}
