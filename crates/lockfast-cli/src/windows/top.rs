//! `lockfast top`, which is not there on Windows yet.

use crate::args;
use crate::exit::{Exit, say};

/// Nothing tells it who holds what.
pub(crate) fn run(arguments: &args::Top) -> Exit {
    let args::Top { .. } = arguments;
    say("`top` is not available on Windows yet, where nothing tells who holds which lock");
    Exit::USAGE
}
