//! Readers of lockfast beside readers of other programs.

use libtest_mimic::Trial;
use lockfast_testing::trial_needing;

use super::peer::{
    CLASSIC, FASTENERS_READER_WRITER, FD_LOCK, FLOCK_UTILITY, FS4, JAVA, LOCKF, PERL, PORTALOCKER,
    Peer, STD,
};
use crate::stage::{Actor, Stage};

pub(crate) fn trials() -> Vec<Trial> {
    let record = [LOCKF, FASTENERS_READER_WRITER, JAVA, CLASSIC].map(|peer| ("fcntl", peer));
    let flock = [FLOCK_UTILITY, PERL, PORTALOCKER, STD, FS4, FD_LOCK].map(|peer| ("flock", peer));
    let both = [LOCKF, JAVA, STD].map(|peer| ("both", peer));
    let all = record.into_iter().chain(flock).chain(both);
    all.map(|(protocol, peer)| {
        let name = format!("interop::sharing::{protocol}_{}", peer.name);
        let test = move || share_and_exclude(protocol, &peer);
        trial_needing!(&name, peer.available(), test)
    })
    .collect()
}

fn share_and_exclude(protocol: &str, peer: &Peer) {
    let stage = Stage::new();
    let mut lockfast = Actor::start();
    let open = format!("rw open a {} protocol={protocol}", stage.lock().display());
    lockfast.ask(&open);
    let mut foreign = peer.start(&stage);

    lockfast.ask("rw read a g");
    foreign.ask("try shared");
    foreign.ask("release");
    assert_eq!(foreign.ask_in_vain("try exclusive"), "held");
    let waiting = peer.begin_waiting(&mut foreign, "exclusive", &stage);
    lockfast.ask("rw release g");
    foreign.succeeds(waiting);

    for how in ["try-read", "try-write"] {
        let refused = lockfast.ask_in_vain(&format!("rw {how} a g"));
        assert!(refused.starts_with("contended:"), "{how} {refused}");
    }
    foreign.ask("release");

    foreign.ask("lock shared");
    lockfast.ask("rw try-read a g");
    lockfast.ask("rw release g");
    let blocked = lockfast.begin_waiting("rw write a g", &stage);
    assert!(!lockfast.has_answered(blocked));
    foreign.ask("release");
    lockfast.succeeds(blocked);
    assert_eq!(foreign.ask_in_vain("try shared"), "held");
}
