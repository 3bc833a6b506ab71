//! The file at the path is the one that is locked, whatever others do to it.

use std::fs;
use std::path::Path;

use crate::stage::{Actor, Stage, delete, is_wine, replace};
use crate::trials;

trials![
    a_deleted_file_is_noticed,
    a_replaced_file_is_noticed,
    a_renamed_file_is_noticed_after_a_wait_and_by_verify_path,
    waiters_for_a_removed_file_go_on_with_the_next,
    files_that_are_removed_on_release_count_right,
    a_reader_that_leaves_and_a_writer_that_waits_do_not_wait_for_each_other,
];

fn a_deleted_file_is_noticed() {
    is_noticed("verify=path", delete);
}

fn a_replaced_file_is_noticed() {
    if !is_wine() {
        // There it would be renamed, which this notices after a wait only.
        is_noticed("", replace);
    }
    is_noticed("verify=path", replace);
}

fn is_noticed(options: &str, change: impl Fn(&Path)) {
    let stage = Stage::new();
    let options = format!("tell {options}");
    let [mut one, mut other] = [0; 2].map(|_| Actor::with("lock", &stage, &options));
    one.ask("take a g");
    assert_eq!(one.ask("is-current g"), "true");
    one.ask("release g");
    change(&stage.lock());
    other.ask("take a g");
    assert_eq!(other.ask("is-current g"), "true");
    assert!(one.ask_in_vain("try a g").starts_with("contended"));
    // While it opens what is at the path, nobody can be put there in two steps.
    let waits = one.begin_waiting("take a g");
    change(&stage.lock());
    assert_eq!(other.ask("is-current g"), "false");
    other.ask("release g");
    one.succeeds(waits);
    assert_eq!(one.ask("is-current g"), "true");
}

fn a_renamed_file_is_noticed_after_a_wait_and_by_verify_path() {
    let stage = Stage::new();
    let mut one = Actor::with("lock", &stage, "");
    let mut strict = Actor::with("lock", &stage, "verify=path");
    let mut waiter = Actor::with("lock", &stage, "tell");
    one.ask("take a g");
    let waits = waiter.begin_waiting("take a g");
    fs::rename(stage.lock(), stage.path("away")).expect("others may rename it");
    assert_eq!(one.ask("is-current g"), "false");
    // Nobody is at the path, so it is created anew.
    strict.ask("try a g");
    one.ask("release g");
    assert!(!waiter.has_answered(waits));
    strict.ask("release g");
    waiter.succeeds(waits);
    assert!(strict.ask_in_vain("try a g").starts_with("contended"));
}

fn waiters_for_a_removed_file_go_on_with_the_next() {
    let stage = Stage::new();
    let mut one = Actor::with("lock", &stage, "remove");
    let mut waiters = [0; 2].map(|_| Actor::with("lock", &stage, "remove tell"));
    one.ask("take a g");
    let waits = waiters
        .each_mut()
        .map(|waiter| waiter.begin_waiting("take a g"));
    one.ask("release g");
    while !waiters[0].has_answered(waits[0]) && !waiters[1].has_answered(waits[1]) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let first = usize::from(!waiters[0].has_answered(waits[0]));
    waiters[first].succeeds(waits[first]);
    assert!(!waiters[1 - first].has_answered(waits[1 - first]));
    assert_eq!(waiters[first].ask("is-current g"), "true");
    waiters[first].ask("release g");
    waiters[1 - first].succeeds(waits[1 - first]);
    waiters[1 - first].ask("release g");
    drop((one, waiters));
    assert!(!stage.lock().exists());
}

fn files_that_are_removed_on_release_count_right() {
    let stage = Stage::new();
    let path = stage.lock().display().to_string();
    let mut actors: Vec<_> = (0..3)
        .map(|_| {
            let mut actor = Actor::start();
            let pending = actor.begin(&format!("hammer lock {path} 30 remove"));
            (actor, pending)
        })
        .collect();
    for (actor, pending) in &mut actors {
        actor.succeeds(*pending);
    }
    assert_eq!(
        fs::read_to_string(format!("{path}.count")).expect("a number"),
        "90"
    );
}

fn a_reader_that_leaves_and_a_writer_that_waits_do_not_wait_for_each_other() {
    let stage = Stage::new();
    let mut reader = Actor::with("rw", &stage, "remove");
    let mut writer = Actor::with("rw", &stage, "remove tell");
    for _ in 0..20 {
        reader.ask("read a r");
        let waits = writer.begin_waiting("write a w");
        // It tries to become the writer, to remove the file if nobody else has it.
        reader.ask("release r");
        writer.succeeds(waits);
        writer.ask("release w");
    }
}
