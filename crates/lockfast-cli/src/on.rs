//! Locks in a space of names, on a server or in a directory.

mod diagnose;
mod json;
mod run;
mod show;

use lockfast::{Error, ErrorKind};
use lockfast_space::Space;

use crate::args;
use crate::exit::{Exit, put, say};

pub(crate) use self::diagnose::diagnose;
pub(crate) use self::run::run;
pub(crate) use self::show::{list, status};

/// `lockfast break`.
pub(crate) fn take_away(arguments: &args::Break) -> Exit {
    let Some(url) = arguments.on.url() else {
        say(
            "a lock file can't be taken away from its holder; name a space by --on or LOCKFAST_SPACE",
        );
        return Exit::USAGE;
    };
    let args::Break { name, token, .. } = arguments;
    let broken = open(&url).and_then(|space| {
        let broken = space.break_token(name, *token);
        broken.map_err(failed)
    });
    match broken {
        Ok(true) => {
            put(format_args!("{name}: token {token} holds nothing any more"));
            Exit::SUCCESS
        }
        Ok(false) => {
            say(format_args!("{name}: nobody has the token {token}"));
            Exit::HELD
        }
        Err(exit) => exit,
    }
}

/// Opens the space. An error has been printed already.
fn open(url: &str) -> Result<Space, Exit> {
    Space::open(url).map_err(failed)
}

/// Prints the error, and returns its exit code.
#[allow(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn failed(error: Error) -> Exit {
    say(&error);
    match error.kind() {
        ErrorKind::Unreachable => Exit::UNREACHABLE,
        ErrorKind::PermissionDenied => Exit::REFUSED,
        ErrorKind::InvalidOption
        | ErrorKind::InvalidPath
        | ErrorKind::Unsupported
        | ErrorKind::OtherPermits
        | ErrorKind::TooManyPermits => Exit::USAGE,
        _ => Exit::SYSTEM,
    }
}
