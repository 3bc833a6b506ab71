//! Waits end when they should, and leave nothing behind.

use std::time::Duration;

use crate::stage::{Actor, Stage, is_wine};
use crate::trials;

trials![
    a_release_ends_a_wait,
    a_deadline_ends_a_wait_and_no_ghost_holds_the_lock,
    a_token_ends_a_wait_and_no_ghost_holds_the_lock,
    a_dropped_task_leaves_nothing,
    a_program_that_wants_to_give_up_is_asked_now_and_then,
    waiters_get_in_one_by_one,
    a_file_that_was_opened_by_others_can_be_waited_for,
    a_grant_in_the_instant_of_a_cancellation_is_kept_or_given_back,
];

fn pair(options: &str) -> (Stage, Actor, Actor) {
    let stage = Stage::new();
    let one = Actor::with("lock", &stage, "");
    let other = Actor::with("lock", &stage, options);
    (stage, one, other)
}

/// The lock is free, and everybody can have it.
fn nothing_is_left(actors: [&mut Actor; 2]) {
    for actor in actors {
        actor.ask("try a g");
        actor.ask("release g");
    }
}

fn a_release_ends_a_wait() {
    let (_place, mut one, mut other) = pair("tell");
    one.ask("take a g");
    let waits = other.begin_waiting("take a g");
    assert!(!other.has_answered(waits));
    one.ask("release g");
    other.succeeds(waits);
    assert!(one.ask_in_vain("try a g").starts_with("contended"));
}

fn a_deadline_ends_a_wait_and_no_ghost_holds_the_lock() {
    let (stage, mut one, mut other) = pair("");
    one.ask("take a g");
    // It waits for the same lock, and its deadline comes after the test.
    let mut patient = Actor::with("lock", &stage, "tell");
    let waits = patient.begin_waiting("for a g 3600000");
    for millis in [0, 1, 30, 200] {
        let error = other.ask_in_vain(&format!("for a g {millis}"));
        assert!(error.starts_with("timed-out"), "{error}");
        assert!(!patient.has_answered(waits));
    }
    one.ask("release g");
    patient.succeeds(waits);
    patient.ask("release g");
    nothing_is_left([&mut one, &mut other]);
}

fn a_token_ends_a_wait_and_no_ghost_holds_the_lock() {
    let (_place, mut one, mut other) = pair("tell");
    one.ask("take a g");
    let waits = other.begin_waiting("under-token a g");
    other.ask("cancel");
    let error = other.fails(waits);
    assert!(error.starts_with("cancelled"), "{error}");
    one.ask("release g");
    nothing_is_left([&mut one, &mut other]);
}

fn a_dropped_task_leaves_nothing() {
    let (_place, mut one, mut other) = pair("");
    one.ask("take a g");
    for _ in 0..5 {
        assert_eq!(other.ask("drop-task a"), "pending");
    }
    one.ask("release g");
    nothing_is_left([&mut one, &mut other]);
}

fn a_program_that_wants_to_give_up_is_asked_now_and_then() {
    let (_place, mut one, mut other) = pair("give-up");
    one.ask("take a g");
    assert!(other.ask_in_vain("take a g").starts_with("cancelled"));
    one.ask("release g");
    nothing_is_left([&mut one, &mut other]);
}

fn waiters_get_in_one_by_one() {
    let stage = Stage::new();
    let mut actors: Vec<_> = (0..4)
        .map(|_| Actor::with("lock", &stage, "tell"))
        .collect();
    actors[0].ask("take a g");
    let mut waiting: Vec<_> = actors
        .drain(1..)
        .map(|mut actor| {
            let pending = actor.begin_waiting("take a g");
            (actor, pending)
        })
        .collect();
    actors[0].ask("release g");
    while !waiting.is_empty() {
        let has_it = |(actor, pending): &mut (Actor, _)| actor.has_answered(*pending);
        let Some(number) = waiting.iter_mut().position(has_it) else {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        let (mut winner, pending) = waiting.remove(number);
        winner.succeeds(pending);
        for (actor, pending) in &mut waiting {
            assert!(!actor.has_answered(*pending), "two have it");
        }
        winner.ask("release g");
    }
}

fn a_file_that_was_opened_by_others_can_be_waited_for() {
    let (stage, mut one, mut other) = pair("");
    other.ask(&format!("from-file f {}", stage.lock().display()));
    one.ask("take a g");
    let error = other.ask_in_vain("for f g 30");
    assert!(error.starts_with("timed-out"), "{error}");
    let waits = other.begin("take f g");
    assert!(!other.has_answered(waits));
    one.ask("release g");
    other.succeeds(waits);
    assert!(one.ask_in_vain("try a g").starts_with("contended"));
}

fn a_grant_in_the_instant_of_a_cancellation_is_kept_or_given_back() {
    if !is_wine() {
        lockfast_testing::skip!(
            "only the stand-in under Wine grants a request when it is cancelled"
        );
    }
    let stage = Stage::new();
    let open = format!("lock a {} tell", stage.lock().display());
    let mut one = Actor::with("lock", &stage, "");
    let mut late = Actor::start_in([("LOCKFAST_TEST_LATE_GRANT", "1")]);
    late.ask(&open);

    // A deadline: it has the lock, and may keep it.
    one.ask("take a g");
    let waits = late.begin_waiting("for a g 200");
    one.ask("release g");
    late.succeeds(waits);
    assert!(one.ask_in_vain("try a g").starts_with("contended"));
    late.ask("release g");

    // A token: nobody wants it any more.
    one.ask("take a g");
    let waits = late.begin_waiting("under-token a g");
    one.ask("release g");
    late.ask("cancel");
    if late.answers(waits).is_ok() {
        late.ask("release g");
    }
    nothing_is_left([&mut one, &mut late]);

    // A task that is dropped, while the lock becomes free.
    one.ask("take a g");
    let dropped = late.begin("drop-task a");
    one.ask("release g");
    late.succeeds(dropped);
    nothing_is_left([&mut one, &mut late]);
}
