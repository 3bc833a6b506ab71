//! Many threads on one handle: the lock passes among them without the kernel, and yet excludes, and
//! everybody gets in.

use crate::stage::{Actor, Stage, until};
use crate::trials;
use crate::witness::Witness;

trials![
    eight_threads_of_two_processes_lose_no_count,
    another_process_gets_in_beside_threads_that_hammer,
    a_thread_gets_in_beside_threads_that_hammer,
    a_time_out_among_threads_leaves_nothing_behind,
    a_thread_that_got_it_from_another_is_known_as_the_holder,
];

fn eight_threads_of_two_processes_lose_no_count() {
    for options in ["", "protocol=flock", "verify=path", "remove"] {
        let stage = Stage::new();
        let mut actors = [Actor::start(), Actor::start()];
        let hammer = format!("hammer-threads 8 {} 500 {options}", stage.lock().display());
        let hammering = actors
            .each_mut()
            .map(|actor| actor.begin(hammer.trim_end()));
        for (actor, pending) in actors.iter_mut().zip(hammering) {
            actor.succeeds(pending);
        }
        let witness = Witness::beside(&stage.lock()).expect("the witness");
        assert_eq!(
            witness.count().expect("its count"),
            2 * 8 * 500,
            "{options}"
        );
    }
    let stage = Stage::new();
    let mut actors = [Actor::start(), Actor::start()];
    let count = format!("count-in-threads 8 {} 50000", stage.lock().display());
    let counting = actors.each_mut().map(|actor| actor.begin(&count));
    for (actor, pending) in actors.iter_mut().zip(counting) {
        actor.succeeds(pending);
    }
    assert_eq!(
        crate::tally::Tally::beside(&stage.lock()).count(),
        2 * 8 * 50_000
    );
}

fn another_process_gets_in_beside_threads_that_hammer() {
    for options in ["", "linger=3600000"] {
        let stage = Stage::new();
        let mut greedy = Actor::with_lock(&stage, options);
        let mut other = Actor::with_lock(&stage, "");
        greedy.ask("relock-in-threads a 8");
        for _ in 0..30 {
            other.ask("lock a g");
            other.ask("release g");
            other.ask("for a g 3600000");
            other.ask("release g");
        }
    }
}

fn a_thread_gets_in_beside_threads_that_hammer() {
    for options in ["", "on-wait=", "linger=3600000", "linger=3600000 on-wait="] {
        let stage = Stage::new();
        let mut actor = Actor::with_lock(&stage, options);
        actor.ask("relock-in-threads a 8");
        for _ in 0..30 {
            actor.ask("lock a g");
            actor.ask("release g");
            actor.ask("for a g 3600000");
            actor.ask("release g");
        }
    }
}

fn a_time_out_among_threads_leaves_nothing_behind() {
    let stage = Stage::new();
    let mut actor = Actor::with_lock(&stage, "");
    actor.ask("lock a g");
    assert_eq!(actor.ask("many-timed a 20 5"), "20");
    assert_eq!(actor.ask("timers"), "0");
    let waiting = actor.begin("lock a h");
    actor.ask("release g");
    actor.succeeds(waiting);
    actor.ask("release h");
    Actor::with_lock(&stage, "").ask("try a g");
    actor.ask("relock-in-threads a 4");
    actor.ask("many-timed a 20 5");
    let mut other = Actor::with_lock(&stage, "");
    other.ask("lock a g");
    until("the threads in the queue", || {
        crate::stage::waiters(&stage.lock()) == 1
    });
    other.ask("release g");
}

/// Whether the one before left it in the lane or the kernel granted it: to lock again would be for ever.
fn a_thread_that_got_it_from_another_is_known_as_the_holder() {
    for name in ["a", "b"] {
        let stage = Stage::new();
        let mut actor = Actor::with_lock(&stage, "");
        actor.ask(&format!("open b {}", stage.lock().display()));
        actor.ask("relock-in-threads a 4");
        for _ in 0..50 {
            let told = actor.ask_in_vain(&format!("lock-then-lock a {name}"));
            assert!(told.starts_with("deadlock:"), "{name} {told}");
            // Handed over, it is nobody's, and who waits for it just waits.
            actor.ask(&format!("lock-hand-over-then-lock a {name} 1"));
        }
    }
}
