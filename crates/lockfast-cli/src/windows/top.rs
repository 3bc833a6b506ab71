//! `lockfast top` on Windows, where it is not available.

use crate::args;
use crate::exit::{Exit, say};

/// Reports the alternative: the system does not list locks.
pub(crate) fn run(arguments: &args::Top) -> Exit {
    let args::Top { .. } = arguments;
    say(
        "`top` is not available on Windows, which does not list locks: \
         use `lockfast ls` with the paths of lock files",
    );
    Exit::USAGE
}
