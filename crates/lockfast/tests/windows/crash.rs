//! A holder that is killed by `TerminateProcess` frees all that it has.

use crate::stage::{Actor, Stage};
use crate::trials;

trials![
    a_waiter_goes_on,
    a_killed_waiter_leaves_nothing,
    a_killed_upgradable_reader_frees_all_its_bytes,
];

fn a_waiter_goes_on() {
    let stage = Stage::new();
    let (mut one, mut other) = (
        Actor::with("lock", &stage, ""),
        Actor::with("lock", &stage, "tell"),
    );
    one.ask("take a g");
    let waits = other.begin_waiting("take a g");
    assert!(!other.has_answered(waits));
    one.kill();
    other.succeeds(waits);
}

fn a_killed_waiter_leaves_nothing() {
    let stage = Stage::new();
    let [mut one, mut other, mut third] = [0; 3].map(|_| Actor::with("lock", &stage, "tell"));
    one.ask("take a g");
    other.begin_waiting("take a g");
    other.kill();
    one.ask("release g");
    // It may have been granted to the dead one in the meantime; that is over when it is gone.
    third.ask("take a g");
}

fn a_killed_upgradable_reader_frees_all_its_bytes() {
    let stage = Stage::new();
    let [mut one, mut other] = [0; 2].map(|_| Actor::with("rw", &stage, "tell"));
    one.ask("upgradable a u");
    assert!(
        other
            .ask_in_vain("try-upgradable a u")
            .starts_with("contended")
    );
    other.ask("read a r");
    let upgrade = one.begin("convert up u");
    one.kill();
    assert!(!one.has_answered(upgrade));
    other.ask("release r");
    other.ask("write a w");
}
