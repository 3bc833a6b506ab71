//! Promise 9: a thread that would wait for itself gets an error.

use crate::stage::{Actor, Stage};
use crate::trials;

trials![
    a_thread_that_locks_again_is_told,
    another_handle_of_the_same_file_is_the_same_lock,
    a_thread_that_gave_its_guard_away_may_wait,
    other_threads_and_timed_waits_just_wait,
    reading_and_writing_in_one_thread,
    an_upgrade_beside_an_own_reader,
];

fn a_thread_that_locks_again_is_told() {
    let stage = Stage::new();
    let mut actor = Actor::with_lock(&stage, "");
    actor.ask("lock a g");
    let told = actor.ask_in_vain("lock a h");
    assert!(told.starts_with("deadlock:"), "{told}");
    assert!(
        told.contains(stage.lock().to_str().expect("a plain path")),
        "{told}"
    );
    assert!(actor.ask_in_vain("try a h").starts_with("contended:"));
    actor.ask("release g");
    actor.ask("lock a h");
}

fn another_handle_of_the_same_file_is_the_same_lock() {
    let stage = Stage::new();
    let mut actor = Actor::with_lock(&stage, "");
    actor.ask(&format!("open b {}", stage.lock().display()));
    actor.ask("lock a g");
    assert!(actor.ask_in_vain("lock b h").starts_with("deadlock:"));
    actor.ask("release g");
    actor.ask("lock b h");
}

fn a_thread_that_gave_its_guard_away_may_wait() {
    let stage = Stage::new();
    let mut actor = Actor::with_lock(&stage, "");
    let mut other = Actor::with_lock(&stage, "");
    actor.ask("lock a g");
    actor.ask("hand-over g");
    // It is the other process that would go on first, and then this one.
    let waiting = other.begin_waiting("lock a g", &stage);
    assert!(!other.has_answered(waiting));
    assert!(actor.ask_in_vain("for a h 5").starts_with("timed-out:"));
    actor.ask("release g");
    other.succeeds(waiting);
}

fn other_threads_and_timed_waits_just_wait() {
    let stage = Stage::new();
    let mut actor = Actor::with_lock(&stage, "on-wait=");
    actor.ask("lock a g");
    assert!(actor.ask_in_vain("for a h 5").starts_with("timed-out:"));
    let waiting = actor.begin("lock a h");
    actor.event();
    actor.event();
    actor.ask("release g");
    actor.succeeds(waiting);
}

fn reading_and_writing_in_one_thread() {
    let stage = Stage::new();
    let mut actor = Actor::start();
    for name in ["a", "b"] {
        actor.ask(&format!("rw open {name} {}", stage.lock().display()));
    }
    for held in ["read", "upgradable", "write"] {
        actor.ask(&format!("rw {held} a g"));
        for name in ["a", "b"] {
            let told = actor.ask_in_vain(&format!("rw write {name} h"));
            assert!(told.starts_with("deadlock:"), "{held} {name} {told}");
        }
        if held == "write" {
            for name in ["a", "b"] {
                let told = actor.ask_in_vain(&format!("rw read {name} h"));
                assert!(told.starts_with("deadlock:"), "{name} {told}");
            }
        } else {
            // Readers share, also with themselves.
            for name in ["a", "b"] {
                actor.ask(&format!("rw read {name} h"));
                actor.ask("rw release h");
            }
        }
        actor.ask("rw release g");
    }
}

fn an_upgrade_beside_an_own_reader() {
    let stage = Stage::new();
    let mut actor = Actor::start();
    actor.ask(&format!("rw open a {}", stage.lock().display()));
    actor.ask("rw upgradable a g");
    actor.ask("rw read a h");
    let told = actor.ask_in_vain("rw change upgrade g");
    assert!(told.starts_with("deadlock:"), "{told}");
    actor.ask("rw release h");
    actor.ask("rw change upgrade g");
}
