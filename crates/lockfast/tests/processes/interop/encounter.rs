//! lockfast and another program meet at one file.

use std::fs::{self, DirEntry};
use std::io;

use libtest_mimic::Trial;
use lockfast_testing::trial_needing;

use super::peer::{Family, Peer};
use crate::stage::{Actor, Stage};

/// A test for each mode of each of the peers, named after the module, the peer and the mode.
pub(crate) fn trials(module: &str, protocol: &'static str, peers: &[Peer]) -> Vec<Trial> {
    let mut trials = Vec::new();
    for &peer in peers {
        for mode in peer.modes {
            let name = format!("interop::{module}::{}_{mode}", peer.name);
            let test = move || exclude_each_other(protocol, &peer, mode);
            trials.push(trial_needing!(&name, peer.available(), test));
        }
    }
    trials
}

/// Each keeps the other out, and goes on when the other releases or dies.
fn exclude_each_other(protocol: &str, peer: &Peer, mode: &str) {
    let stage = Stage::new();
    let options = format!("protocol={protocol}");
    let attempt = format!("try {mode}");
    let mut lockfast = Actor::with_lock(&stage, &options);
    let mut foreign = peer.start(&stage);

    lockfast.ask("lock a g");
    assert_eq!(foreign.ask_in_vain(&attempt), "held");
    let waiting = peer.begin_waiting(&mut foreign, mode, &stage);
    assert!(!foreign.has_answered(waiting));
    lockfast.ask("release g");
    foreign.succeeds(waiting);

    assert_eq!(held_by(&foreign), [peer.family.listed(mode)]);
    let refused = lockfast.ask_in_vain("try a g");
    assert!(refused.starts_with("contended:"), "{refused}");
    // The kernel names the owner of such a record lock, and of no other.
    let end = match peer.family {
        Family::Record => format!("it is held by pid {}", foreign.pid()),
        Family::Flock => "it is held".to_owned(),
    };
    assert!(refused.ends_with(&end), "{refused} should end in {end}");
    assert!(lockfast.ask_in_vain("for a g 5").starts_with("timed-out:"));
    let waiting = lockfast.begin_waiting("lock a g", &stage);
    assert!(!lockfast.has_answered(waiting));
    foreign.ask("release");
    lockfast.succeeds(waiting);
    lockfast.ask("release g");
    foreign.ask(&attempt);
    foreign.ask("release");

    lockfast.ask("lock a g");
    let waiting = peer.begin_waiting(&mut foreign, mode, &stage);
    lockfast.kill();
    foreign.succeeds(waiting);
    let mut next = Actor::with_lock(&stage, &options);
    let waiting = next.begin_waiting("lock a g", &stage);
    foreign.kill();
    next.succeeds(waiting);
}

/// The family and the access of each lock that the process holds.
///
/// Read where the kernel lists the locks of a descriptor: its list of all locks is no snapshot when
/// others change it meanwhile.
fn held_by(actor: &Actor) -> Vec<String> {
    let descriptors = fs::read_dir(format!("/proc/{}/fdinfo", actor.pid())).expect("it lives");
    let locks_of = |descriptor: io::Result<DirEntry>| {
        let path = descriptor.expect("a descriptor").path();
        // One that was closed meanwhile holds nothing.
        let information = fs::read_to_string(path).unwrap_or_default();
        information.lines().filter_map(lock).collect::<Vec<_>>()
    };
    descriptors.flat_map(locks_of).collect()
}

/// From `lock: NUMBER: FAMILY ADVISORY ACCESS ...`.
fn lock(line: &str) -> Option<String> {
    match *line.split_whitespace().collect::<Vec<_>>() {
        ["lock:", _, family, _, access, ..] => Some(format!("{family} {access}")),
        _ => None,
    }
}
