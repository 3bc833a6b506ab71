//! Permits of several processes.

use crate::stage::{Actor, Stage};
use crate::trials;

trials![
    there_are_as_many_as_there_are,
    a_release_lets_the_first_in_line_in,
    a_killed_holder_s_permit_is_free,
    everybody_needs_the_same_number,
    a_deadline_ends_the_wait_in_the_line,
    whichever_permit_is_free_wakes_the_first_in_line,
];

fn two(stage: &Stage, permits: u32) -> [Actor; 2] {
    [0; 2].map(|_| {
        let mut actor = Actor::start();
        actor.ask(&format!("sem a {} {permits} tell", stage.lock().display()));
        actor
    })
}

fn there_are_as_many_as_there_are() {
    let stage = Stage::new();
    let [mut one, mut other] = two(&stage, 3);
    assert_eq!(one.ask("available a"), "3");
    one.ask("acquire a p");
    other.ask("try-acquire a p");
    other.ask("try-acquire a q");
    assert_eq!(one.ask("available a"), "0");
    assert!(one.ask_in_vain("try-acquire a q").starts_with("contended"));
    other.ask("release q");
    assert_eq!(one.ask("available a"), "1");
    one.ask("try-acquire a q");
}

fn a_release_lets_the_first_in_line_in() {
    let stage = Stage::new();
    let [mut one, mut other] = two(&stage, 1);
    one.ask("acquire a p");
    let waits = other.begin_waiting("acquire a p");
    assert!(!other.has_answered(waits));
    one.ask("release p");
    other.succeeds(waits);
}

fn a_killed_holder_s_permit_is_free() {
    let stage = Stage::new();
    let [mut one, mut other] = two(&stage, 2);
    one.ask("acquire a p");
    one.ask("acquire a q");
    let waits = other.begin_waiting("acquire a p");
    assert!(!other.has_answered(waits));
    one.kill();
    other.succeeds(waits);
}

fn everybody_needs_the_same_number() {
    let stage = Stage::new();
    let [mut one, _other] = two(&stage, 2);
    let error = one.ask_in_vain(&format!("sem b {} 5", stage.lock().display()));
    assert!(error.contains('5') && error.contains('2'), "{error}");
}

fn a_deadline_ends_the_wait_in_the_line() {
    let stage = Stage::new();
    let [mut one, mut other] = two(&stage, 1);
    one.ask("acquire a p");
    let error = other.ask_in_vain("acquire-for a p 50");
    assert!(error.starts_with("timed-out"), "{error}");
    one.ask("release p");
    other.ask("try-acquire a p");
}

fn whichever_permit_is_free_wakes_the_first_in_line() {
    // As many as the kernel waits for at once, and more.
    for permits in [3, 60] {
        let stage = Stage::new();
        let [mut one, mut other] = two(&stage, permits);
        for number in 0..permits {
            one.ask(&format!("try-acquire a {number}"));
        }
        for number in [permits - 1, 0] {
            let waits = other.begin_waiting(&format!("acquire a {number}"));
            assert!(!other.has_answered(waits));
            one.ask(&format!("release {number}"));
            other.succeeds(waits);
        }
        assert_eq!(one.ask("available a"), "0");
    }
}
