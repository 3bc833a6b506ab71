//! What is not promised: on a local file system of Linux, record locks and `flock` locks do not see
//! each other.

use libtest_mimic::Trial;

use super::peer::{FLOCK_UTILITY, LOCKF, Peer};
use crate::stage::{Actor, Place};
use crate::trial_needing;

pub(crate) fn trials() -> Vec<Trial> {
    let gets_in = |name: &str, protocol: &'static str, peer: Peer| {
        trial_needing(name, peer.available(), move || {
            the_other_family_gets_in(protocol, &peer);
        })
    };
    vec![
        gets_in(
            "interop::families::flock_gets_in_beside_fcntl",
            "fcntl",
            FLOCK_UTILITY,
        ),
        gets_in(
            "interop::families::fcntl_gets_in_beside_flock",
            "flock",
            LOCKF,
        ),
    ]
}

fn the_other_family_gets_in(protocol: &str, peer: &Peer) {
    let place = Place::new();
    let mut lockfast = Actor::with_lock(&place, &format!("protocol={protocol}"));
    let mut foreign = peer.start(&place);
    lockfast.ask("lock a g");
    foreign.ask("try exclusive");
    lockfast.ask("release g");
    lockfast.ask("try a g");
}
