//! `lockfast doctor`, which is not there on Windows yet.

use std::path::PathBuf;

use crate::exit::{Exit, say};

/// What can be said after `lockfast doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct Doctor {
    /// Where the lock files would be
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,

    /// Print the findings as JSON (docs/doctor.schema.json)
    #[arg(long)]
    json: bool,
}

/// What `lockfast doctor --help` says after the options.
pub(crate) const DETAILS: &str = "Not available on Windows yet.";

pub(crate) fn run(arguments: &Doctor) -> Exit {
    let Doctor { directory, json: _ } = arguments;
    say(format_args!(
        "cannot examine {}: `doctor` is not available on Windows yet",
        directory.display()
    ));
    Exit::USAGE
}

/// The processes that it would start.
pub(crate) mod actor {
    use std::ffi::OsString;

    use crate::exit::Exit;

    /// Never: there are none.
    pub(crate) fn is_called(_words: &[OsString]) -> Option<&[OsString]> {
        None
    }

    /// Can't be called.
    pub(crate) fn play(_words: &[OsString]) -> Exit {
        Exit::USAGE
    }
}
