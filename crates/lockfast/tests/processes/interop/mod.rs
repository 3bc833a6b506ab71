//! Promise: programs that nobody here wrote are excluded, and exclude, as [`Protocol`] says.
//!
//! Each of them runs as a process of its own and speaks like an actor; the programs are in `peers/`.
//! A test whose program is not installed is left out and says so.
//!
//! [`Protocol`]: lockfast::Protocol

mod both;
mod encounter;
mod families;
mod fcntl;
mod flock;
pub(crate) mod peer;
pub(crate) mod rust;
mod sharing;

use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    [
        fcntl::trials(),
        flock::trials(),
        both::trials(),
        families::trials(),
        sharing::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
