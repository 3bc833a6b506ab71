//! A program has a lease on the lock file, and gives it up late. Whoever wants the lock waits as long as it
//! would wait for the lock, and no longer.

use libtest_mimic::Trial;
use lockfast_testing::trial_needing;
use nix::sys::signal::Signal;

use crate::stage::{Actor, Stage, until};
use crate::waiting::{other_thread, signal_thread};
use crate::{actor, semaphore};

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name, test: fn()| trial_needing!(name, has_leases(), test);
    vec![
        trial(
            "leases::an_attempt_does_not_wait_for_a_lease",
            an_attempt_does_not_wait_for_a_lease,
        ),
        trial(
            "leases::a_time_limit_holds_though_there_is_a_lease",
            a_time_limit_holds_though_there_is_a_lease,
        ),
        trial(
            "leases::a_wait_for_a_lease_can_be_ended",
            a_wait_for_a_lease_can_be_ended,
        ),
        trial(
            "leases::a_task_waits_for_a_lease_without_blocking",
            a_task_waits_for_a_lease_without_blocking,
        ),
        trial(
            "leases::a_lease_on_a_file_that_was_replaced_is_waited_for",
            a_lease_on_a_file_that_was_replaced_is_waited_for,
        ),
        trial(
            "leases::permits_wait_for_a_lease_too",
            permits_wait_for_a_lease_too,
        ),
    ]
}

fn has_leases() -> Result<(), String> {
    let stage = Stage::new();
    std::fs::write(stage.lock(), "").expect("a file");
    match actor::lease(stage.lock()) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("it needs a file system that has leases: {error}")),
    }
}

const LEASED: &str = "has a lease";

/// An actor with a lease on the lock file that nobody else has open.
fn with_lease(stage: &Stage) -> Actor {
    std::fs::write(stage.lock(), "").expect("a file");
    let mut actor = Actor::start();
    actor.ask(&format!("lease {}", stage.lock().display()));
    actor
}

fn an_attempt_does_not_wait_for_a_lease() {
    for options in ["", "protocol=flock", "protocol=both", "fifo", "record"] {
        let stage = Stage::new();
        let mut leaser = with_lease(&stage);
        let mut actor = Actor::with_lock(&stage, options);
        let told = actor.ask_in_vain("try a g");
        assert!(
            told.starts_with("contended:") && told.contains(LEASED),
            "{told}"
        );
        leaser.ask("give-up-lease");
        actor.ask("try a g");
        actor.ask("release g");
    }
}

fn a_time_limit_holds_though_there_is_a_lease() {
    let stage = Stage::new();
    let mut leaser = with_lease(&stage);
    let told = Actor::with_lock(&stage, "").ask_in_vain("for a g 50");
    assert!(
        told.starts_with("timed-out:") && told.contains(LEASED),
        "{told}"
    );
    let mut actor = Actor::with_lock(&stage, "interval=1 on-wait");
    let waiting = actor.begin("for a g 3600000");
    // Told at once and then at each interval.
    for _ in 0..3 {
        assert_eq!(actor.event(), "waiting unknown");
    }
    leaser.ask("give-up-lease");
    actor.succeeds(waiting);
    let told = Actor::with_lock(&stage, "").ask_in_vain("try a g");
    assert!(told.contains(&actor.pid().to_string()), "{told}");
}

fn a_wait_for_a_lease_can_be_ended() {
    let stage = Stage::new();
    let mut leaser = with_lease(&stage);
    let mut actor = Actor::with_lock(&stage, "on-wait");
    let waiting = actor.begin("under-token lock a g");
    assert_eq!(actor.event(), "waiting unknown");
    actor.ask("cancel");
    let told = actor.fails(waiting);
    assert!(told.starts_with("cancelled:"), "{told}");

    // As Ctrl-C does in Python.
    let mut actor = Actor::with_lock(&stage, "on-wait on-interrupt=1");
    actor.ask("signal handle usr1");
    let waiting = actor.begin("lock a g");
    assert_eq!(actor.event(), "waiting unknown");
    let thread = other_thread(actor.pid());
    // One that comes while it is awake ends nothing.
    until("the end of the wait", || {
        signal_thread(actor.pid(), thread, Signal::SIGUSR1);
        actor.has_answered(waiting)
    });
    let told = actor.fails(waiting);
    assert!(told.starts_with("cancelled:"), "{told}");
    leaser.ask("give-up-lease");
    actor.ask("lock a g");
}

fn a_task_waits_for_a_lease_without_blocking() {
    let stage = Stage::new();
    let mut leaser = with_lease(&stage);
    let mut actor = Actor::with_lock(&stage, "");
    // Polled once, which comes back, and dropped.
    assert_eq!(actor.ask("task-dropped a"), "true");
    assert_eq!(actor.ask("task-begun a"), "true");
    leaser.ask("give-up-lease");
    actor.ask("task-ended g");
    let told = Actor::with_lock(&stage, "").ask_in_vain("try a g");
    assert!(told.starts_with("contended:"), "{told}");
}

fn a_lease_on_a_file_that_was_replaced_is_waited_for() {
    let stage = Stage::new();
    let mut actor = Actor::with_lock(&stage, "");
    actor.ask("lock a g");
    actor.ask("release g");
    std::fs::remove_file(stage.lock()).expect("removed");
    let mut leaser = with_lease(&stage);
    for _ in 0..2 {
        let told = actor.ask_in_vain("try a g");
        assert!(
            told.starts_with("contended:") && told.contains(LEASED),
            "{told}"
        );
        let told = actor.ask_in_vain("for a g 50");
        assert!(told.starts_with("timed-out:"), "{told}");
    }
    let waiting = actor.begin("lock a g");
    leaser.ask("give-up-lease");
    actor.succeeds(waiting);
    let told = Actor::with_lock(&stage, "").ask_in_vain("try a g");
    assert!(told.starts_with("contended:"), "{told}");
}

fn permits_wait_for_a_lease_too() {
    let stage = Stage::new();
    let mut leaser = with_lease(&stage);
    let mut actor = Actor::start();
    actor.ask(&semaphore::open(&stage, 1, ""));
    let told = actor.ask_in_vain("sem try a g");
    assert!(
        told.starts_with("contended:") && told.contains(LEASED),
        "{told}"
    );
    let told = actor.ask_in_vain("sem for a g 50");
    assert!(
        told.starts_with("timed-out:") && told.contains(LEASED),
        "{told}"
    );
    let waiting = actor.begin("sem acquire a g");
    leaser.ask("give-up-lease");
    actor.succeeds(waiting);
    assert_eq!(actor.ask("sem available a"), "0");
}
