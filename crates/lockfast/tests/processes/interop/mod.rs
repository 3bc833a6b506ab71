//! Promise: lockfast works together with programs that nobody here wrote, as [`Protocol`] says.
//!
//! Each of them runs as a process of its own and speaks like an actor; the programs are in `peers/`.
//! A test whose program is not installed is left out and says so.
//!
//! [`Protocol`]: lockfast::Protocol

mod both;
mod encounter;
mod fcntl;
mod flock;
mod matrix;
pub(crate) mod peer;
pub(crate) mod rust;
mod sharing;

use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    [
        fcntl::trials(),
        flock::trials(),
        both::trials(),
        matrix::trials(),
        sharing::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
