//! `lockfast flock` where there is nothing that it could stand in for.

use std::ffi::OsString;
use std::path::Path;

use crate::exit::{Exit, say};

/// For the help, and the man page.
pub(crate) fn definition() -> clap::Command {
    clap::Command::new("flock").about("Stand in for flock(1); not available on this system")
}

/// The arguments, if this is what was called.
pub(crate) fn is_called(words: &[OsString]) -> Option<(&'static str, Vec<OsString>)> {
    let own = words.first().map(Path::new).and_then(Path::file_stem);
    if own.is_some_and(|name| name == "flock") {
        return Some(("flock", words[1..].to_vec()));
    }
    let is_called = words.get(1).is_some_and(|word| word == "flock");
    is_called.then(|| ("lockfast flock", words[2..].to_vec()))
}

/// Says what to use instead.
pub(crate) fn run(name: &'static str, _words: Vec<OsString>) -> Exit {
    say(format_args!(
        "{name} is not available on Windows, which has no descriptors that a command could be given: \
         use `lockfast run`"
    ));
    Exit::USAGE
}
