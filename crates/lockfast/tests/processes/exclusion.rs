//! Promise 1: no attempt gets in twice.

use crate::stage::{Actor, Stage};
use crate::trials;
use crate::witness::Witness;

trials![
    a_second_process_is_refused_and_waits,
    handles_of_one_process_exclude_each_other,
    threads_on_one_handle_exclude_each_other,
    processes_that_create_the_file_at_once_agree_on_it,
    eight_processes_lose_no_count,
    eight_processes_lose_no_count_with_deadlines,
    every_protocol_excludes,
];

fn a_second_process_is_refused_and_waits() {
    let stage = Stage::new();
    let mut holder = Actor::with_lock(&stage, "");
    let mut other = Actor::with_lock(&stage, "");
    holder.ask("lock a g");

    let refused = other.ask_in_vain("try a g");
    assert!(refused.starts_with("contended:"), "{refused}");
    let path = stage.lock().display().to_string();
    assert!(refused.contains(&path), "{refused}");
    let pid = format!("pid {}", holder.pid());
    assert!(refused.ends_with(&pid), "{refused} should name {pid}");

    let waiting = other.begin_waiting("lock a g", &stage);
    assert!(!other.has_answered(waiting));
    holder.ask("release g");
    other.succeeds(waiting);
    assert!(holder.ask_in_vain("try a g").starts_with("contended:"));
}

fn handles_of_one_process_exclude_each_other() {
    let stage = Stage::new();
    let mut actor = Actor::with_lock(&stage, "");
    actor.ask(&format!("open b {}", stage.lock().display()));
    actor.ask("lock a g");
    let refused = actor.ask_in_vain("try b h");
    assert!(refused.contains("held by this process"), "{refused}");
    let waiting = actor.begin_waiting("lock b h", &stage);
    actor.ask("release g");
    actor.succeeds(waiting);
}

fn threads_on_one_handle_exclude_each_other() {
    let stage = Stage::new();
    let mut actor = Actor::with_lock(&stage, "on-wait=");
    actor.ask("lock a g");
    let refused = actor.ask_in_vain("try a h");
    assert!(refused.contains("held by this process"), "{refused}");
    let first = actor.begin("lock a first");
    actor.event();
    let second = actor.begin("lock a second");
    actor.event();
    actor.ask("release g");
    actor.succeeds(first);
    assert!(!actor.has_answered(second));
    actor.ask("release first");
    actor.succeeds(second);
}

fn processes_that_create_the_file_at_once_agree_on_it() {
    for _ in 0..20 {
        let stage = Stage::new();
        let mut actors: Vec<_> = (0..4).map(|_| Actor::start()).collect();
        let hammer = format!("hammer {} 5", stage.lock().display());
        let hammering: Vec<_> = actors
            .iter_mut()
            .map(|actor| actor.begin(&hammer))
            .collect();
        for (actor, pending) in actors.iter_mut().zip(hammering) {
            actor.succeeds(pending);
        }
        let witness = Witness::beside(&stage.lock()).expect("the witness");
        assert_eq!(witness.count().expect("its count"), 4 * 5);
    }
}

fn eight_processes_lose_no_count() {
    hammer_by_eight("hammer", "", 2_000);
}

fn eight_processes_lose_no_count_with_deadlines() {
    hammer_by_eight("hammer-timed", "", 300);
}

fn every_protocol_excludes() {
    for protocol in ["fcntl", "flock", "both"] {
        let options = format!("protocol={protocol}");
        let stage = Stage::new();
        let mut holder = Actor::with_lock(&stage, &options);
        let mut other = Actor::with_lock(&stage, &options);
        holder.ask("lock a g");
        assert!(other.ask_in_vain("try a g").starts_with("contended:"));
        assert!(other.ask_in_vain("for a g 5").starts_with("timed-out:"));
        let waiting = other.begin_waiting("lock a g", &stage);
        holder.kill();
        other.succeeds(waiting);
        hammer_by_eight("hammer", &options, 200);
    }
}

/// Eight processes lock and count at once; no count is lost.
pub(crate) fn hammer_by_eight(command: &str, options: &str, rounds: u64) -> Stage {
    let stage = Stage::new();
    let mut actors: Vec<_> = (0..8).map(|_| Actor::start()).collect();
    let hammer = format!("{command} {} {rounds} {options}", stage.lock().display());
    let hammering: Vec<_> = actors
        .iter_mut()
        .map(|actor| actor.begin(hammer.trim_end()))
        .collect();
    for (actor, pending) in actors.iter_mut().zip(hammering) {
        actor.succeeds(pending);
    }
    let witness = Witness::beside(&stage.lock()).expect("the witness");
    assert_eq!(witness.count().expect("its count"), 8 * rounds);
    stage
}
