//! What can be said on the command line.

mod hint;
mod run;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{CommandFactory, FromArgMatches, Parser, ValueEnum};
use lockfast::Protocol;

use crate::doctor::{self, Doctor};
use crate::documents::{Completions, Man};
use crate::flock;

pub(crate) use self::hint::of_mistake;
pub(crate) use self::run::Run;

/// Locks between processes, which the kernel releases when their holder dies.
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
    /// Join several traces into one
    TraceMerge(TraceMerge),
    /// Tell whether locks are free, or who holds them, without taking them
    #[command(after_help = STATUS_CODES)]
    Status(Status),
    /// List who holds and who waits for which locks, of all programs
    #[command(after_help = LS_CODES)]
    Ls(Ls),
    /// Watch who holds and who waits for which locks, of all programs
    #[command(after_help = TOP_CODES)]
    Top(Top),
    /// Try what locks are worth in a directory
    #[command(after_help = doctor::DETAILS)]
    Doctor(Doctor),
    /// Print completions for a shell
    Completions(Completions),
    /// Write the man pages to a directory
    Man(Man),
}

/// The whole command line. What `flock` is given is not read by clap, see there.
pub(crate) fn command() -> clap::Command {
    Args::command().subcommand(flock::definition())
}

/// What is said on the command line.
pub(crate) fn parse(words: Vec<OsString>) -> Result<Args, clap::Error> {
    let matches = command().try_get_matches_from(words)?;
    Args::from_arg_matches(&matches)
}

#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    /// Lock files; one that does not exist is free
    #[arg(value_name = "LOCK", required = true)]
    pub(crate) locks: Vec<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Ls {
    /// Lock files, and directories with everything below; this directory, unless there are any
    #[arg(value_name = "PATH", conflicts_with = "all")]
    pub(crate) paths: Vec<PathBuf>,

    /// The whole machine
    #[arg(short, long)]
    pub(crate) all: bool,

    /// Only processes that wait for each other in a circle: on the whole machine, unless paths are
    /// given
    #[arg(short, long)]
    pub(crate) deadlocks: bool,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Top {
    /// Lock files, and directories with everything below; the whole machine, unless there are any
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,

    /// Look that often: `500ms`, `2s`; a bare number is seconds. Where a look takes long it is less
    /// often, so that no more than a tenth of the time is spent on it
    #[arg(short, long, value_name = "DURATION", default_value = "1s", value_parser = duration, allow_negative_numbers = true)]
    pub(crate) interval: Duration,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TraceMerge {
    /// Traces of `lockfast run --trace`
    #[arg(value_name = "TRACE", required = true)]
    pub(crate) traces: Vec<PathBuf>,

    /// The file to write; standard output if not given
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// The names of the [`Protocol`]s.
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

const STATUS_CODES: &str = "\
Exit code: 0 all are free, 75 one is held or may be, 64 usage, 71 system error.";

const LS_CODES: &str = "\
Exit code: 0; with --deadlocks 75 if one is certain, and 0 if it is only possible (a wait may have a
limit, or another thread may release a lock); 64 usage, 66 there is nothing at a path, 71 system
error.";

const TOP_CODES: &str = "\
Keys: up and down select, < and > choose the column to sort by, r reverses, / filters, space pauses,
d shows or hides who holds and waits, ? helps, q quits.

Exit code: 0; 64 usage, or no terminal; 66 there is nothing at a path, 71 system error; 128+N when
signal N ended it.";

fn duration(text: &str) -> Result<Duration, String> {
    let duration = match text.parse::<f64>() {
        Ok(seconds) if seconds.is_nan() || seconds.is_infinite() => {
            return Err("it must be a finite time".to_owned());
        }
        Ok(seconds) if seconds < 0.0 => return Err("it must not be negative".to_owned()),
        Ok(seconds) => {
            Duration::try_from_secs_f64(seconds).map_err(|_| "it is too long".to_owned())
        }
        Err(_) => humantime::parse_duration(text).map_err(|error| error.to_string()),
    };
    duration.map_err(|why| format!("{why}; write for example `500ms`, `10s`, `2m` or `1.5`"))
}

fn mode(text: &str) -> Result<u32, &'static str> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o7777 => Ok(mode),
        _ => Err("it must be an octal number up to 7777, for example 660"),
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
    fn durations_have_units_or_are_seconds() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("10"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("0.25"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        for wrong in [
            "",
            "-1",
            "-1s",
            "nan",
            "inf",
            "-inf",
            "1e300",
            "soon",
            "10 parsecs",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
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
