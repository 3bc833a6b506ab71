//! No two at once.

use std::fs;

use crate::stage::{Actor, Stage};
use crate::trials;

trials![
    only_one_holds_it,
    handles_of_one_process_exclude_each_other,
    a_lock_excludes_readers_and_permits,
    locks_overlap_nowhere,
    timed_locks_overlap_nowhere,
    writers_overlap_nowhere,
    upgrades_overlap_nowhere,
    threads_overlap_nowhere,
    handles_opened_each_time_overlap_nowhere,
];

fn only_one_holds_it() {
    let stage = Stage::new();
    let [mut one, mut other] = [0; 2].map(|_| Actor::with("lock", &stage, ""));
    one.ask("take a g");
    assert!(other.ask_in_vain("try a g").starts_with("contended"));
    one.ask("release g");
    other.ask("try a g");
    assert!(one.ask_in_vain("try a g").starts_with("contended"));
}

fn handles_of_one_process_exclude_each_other() {
    let stage = Stage::new();
    let mut actor = Actor::with("lock", &stage, "");
    actor.ask(&format!("lock b {}", stage.lock().display()));
    actor.ask("take a g");
    assert!(actor.ask_in_vain("try b h").starts_with("contended"));
    assert!(actor.ask_in_vain("take b h").starts_with("deadlock"));
    actor.ask("release g");
    actor.ask("try b h");
}

fn a_lock_excludes_readers_and_permits() {
    let stage = Stage::new();
    let path = stage.lock().display().to_string();
    let (mut one, mut other) = (
        Actor::with("lock", &stage, ""),
        Actor::with("rw", &stage, ""),
    );
    other.ask(&format!("sem s {path} 3"));
    one.ask("take a g");
    assert!(other.ask_in_vain("try-read a r").starts_with("contended"));
    assert!(
        other
            .ask_in_vain("try-acquire s p")
            .starts_with("contended")
    );
    one.ask("release g");
    other.ask("try-acquire s p");
    other.ask("try-acquire s q");
    assert!(one.ask_in_vain("try a g").starts_with("contended"));
    other.ask("release p");
    assert!(one.ask_in_vain("try a g").starts_with("contended"));
    other.ask("release q");
    other.ask("try-read a r");
    assert!(one.ask_in_vain("try a g").starts_with("contended"));
    other.ask("release r");
    one.ask("try a g");
}

const ROUNDS: u64 = 60;
const ACTORS: u64 = 3;

fn counts(how: &str, each: u64) {
    let stage = Stage::new();
    let path = stage.lock().display().to_string();
    let mut actors = Vec::new();
    for _ in 0..ACTORS {
        let mut actor = Actor::start();
        let pending = actor.begin(&format!("hammer {how} {path} {ROUNDS}"));
        actors.push((actor, pending));
    }
    for (actor, pending) in &mut actors {
        actor.succeeds(*pending);
    }
    let count = fs::read_to_string(format!("{path}.count")).expect("a number");
    assert_eq!(count, (ACTORS * ROUNDS * each).to_string());
}

fn locks_overlap_nowhere() {
    counts("lock", 1);
}

fn timed_locks_overlap_nowhere() {
    counts("timed", 1);
}

fn writers_overlap_nowhere() {
    counts("write", 1);
}

fn upgrades_overlap_nowhere() {
    counts("upgrade", 1);
}

fn threads_overlap_nowhere() {
    counts("threads", 2);
}

fn handles_opened_each_time_overlap_nowhere() {
    counts("open", 1);
}
