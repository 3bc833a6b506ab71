//! `lockfast top`, which is not there on Windows.

use crate::args;
use crate::exit::{Exit, say};

/// Nothing tells it who holds what.
pub(crate) fn run(arguments: &args::Top) -> Exit {
    let args::Top { .. } = arguments;
    say(
        "`top` is not available on Windows, where nothing tells which locks there are: \
         use `lockfast ls` with the paths of lock files",
    );
    Exit::USAGE
}
