//! [`Protocol::Both`](lockfast::Protocol::Both) and programs of either family.

use libtest_mimic::Trial;
use lockfast_testing::trial;

use super::encounter;
use super::peer::{CLASSIC, FASTENERS, FILELOCK, FLOCK_UTILITY, JAVA, LOCKF, PERL, Peer, STD};
use crate::stage::{Actor, Stage};

pub(crate) fn trials() -> Vec<Trial> {
    let peers = [LOCKF, FASTENERS, JAVA, FLOCK_UTILITY, PERL, STD, FILELOCK];
    let mut trials = encounter::trials("both", "both", &peers);
    trials.push(trial(
        "interop::both::an_attempt_in_vain_keeps_neither_lock",
        an_attempt_in_vain_keeps_neither_lock,
    ));
    trials
}

fn an_attempt_in_vain_keeps_neither_lock() {
    let keeps_neither = |holding: Peer, other: Peer| {
        let stage = Stage::new();
        let mut lockfast = Actor::with_lock(&stage, "protocol=both");
        let mut holder = holding.start(&stage);
        let mut bystander = other.start(&stage);
        holder.ask("lock exclusive");
        for attempt in ["try a g", "for a g 5"] {
            lockfast.ask_in_vain(attempt);
            bystander.ask("try exclusive");
            bystander.ask("release");
        }
    };
    keeps_neither(STD, CLASSIC);
    keeps_neither(CLASSIC, STD);
}
