//! A program has a lock for each of many keys.

use crate::stage::{Actor, Stage};
use crate::trials;

trials![
    thousands_of_handles_share_few_descriptors,
    a_full_table_takes_the_files_that_nobody_uses,
];

fn thousands_of_handles_share_few_descriptors() {
    const LIMIT: u32 = 256;
    for kind in ["lock", "rwlock", "lingering"] {
        let stage = Stage::new();
        let mut actor = Actor::start();
        let directory = stage.directory().display();
        // Some are held from the beginning on; each of the others is taken twice.
        let told = actor.ask(&format!("many {kind} {directory} 3000 {LIMIT} 20"));
        let open: u32 = told.parse().expect("a number");
        assert!(open <= LIMIT * 3 / 4, "{open} descriptors are open");
        let mut other = Actor::start();
        for held in 0..20 {
            other.ask(&format!("open {held} {directory}/{held}"));
            let told = other.ask_in_vain(&format!("try {held} g"));
            assert!(told.starts_with("contended:"), "{told}");
        }
        other.ask(&format!("open free {directory}/2999"));
        other.ask("lock free g");
        actor.ask("many-dropped");
        other.ask("try 7 h");
    }
}

fn a_full_table_takes_the_files_that_nobody_uses() {
    let stage = Stage::new();
    let mut actor = Actor::start();
    for name in 0..10 {
        actor.ask(&format!(
            "open {name} {}/{name}",
            stage.directory().display()
        ));
        actor.ask(&format!("lock {name} {name}"));
    }
    for name in 1..10 {
        actor.ask(&format!("release {name}"));
    }
    actor.ask("fill-table");
    actor.ask(&format!("open new {}", stage.lock().display()));
    actor.ask("lock new g");
    for name in 1..10 {
        actor.ask(&format!("lock {name} {name}"));
        actor.ask(&format!("release {name}"));
    }
    // What is held stays so.
    let mut other = Actor::start();
    other.ask(&format!("open held {}/0", stage.directory().display()));
    let told = other.ask_in_vain("try held g");
    assert!(told.starts_with("contended:"), "{told}");
}
