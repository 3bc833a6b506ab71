//! `lockfast flock` on Windows, where flock(1) does not exist.

use std::ffi::OsString;
use std::path::Path;

use crate::exit::{Exit, say};

/// Returns the definition for help and man pages.
pub(crate) fn definition() -> clap::Command {
    clap::Command::new("flock").about("Replace flock(1); not available on Windows")
}

/// Returns the arguments of `flock`, if it was called.
pub(crate) fn is_called(words: &[OsString]) -> Option<(&'static str, Vec<OsString>)> {
    let own = words.first().map(Path::new).and_then(Path::file_stem);
    if own.is_some_and(|name| name == "flock") {
        return Some(("flock", words[1..].to_vec()));
    }
    let is_called = words.get(1).is_some_and(|word| word == "flock");
    is_called.then(|| ("lockfast flock", words[2..].to_vec()))
}

/// Reports the alternative.
pub(crate) fn run(name: &'static str, _words: Vec<OsString>) -> Exit {
    say(format_args!(
        "{name} is not available on Windows, which has no file descriptors to inherit: \
         use `lockfast run`"
    ));
    Exit::USAGE
}
