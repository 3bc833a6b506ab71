//! Ending waits by a token.

use crate::stage::{Actor, Stage, waiters};
use crate::trials;

trials![
    a_token_ends_every_kind_of_wait,
    a_token_ends_waits_among_threads,
    a_token_ends_many_waits_at_once,
    a_token_ends_waits_in_a_signals_handler,
    a_token_ends_waits_when_the_program_uses_all_signals,
    a_wait_that_was_cancelled_leaves_nothing_behind,
    a_token_that_is_cancelled_already_ends_waits_at_once,
    a_wait_under_a_token_gets_the_lock,
];

const WAITS: [&str; 7] = [
    "under-token lock a g",
    "under-token for a g 3600000",
    "under-token rw read r g",
    "under-token rw write r g",
    "under-token rw upgradable r g",
    "under-token rw write-for r g 3600000",
    "under-token sem acquire s g",
];

/// Somebody who has the lock, and an actor that has it open in every way.
fn held() -> (Stage, Actor, Actor) {
    let stage = Stage::new();
    let path = stage.lock();
    let mut holder = Actor::with_lock(&stage, "");
    holder.ask("lock a g");
    let mut waiter = Actor::with_lock(&stage, "");
    waiter.ask(&format!("rw open r {}", path.display()));
    (stage, holder, waiter)
}

#[track_caller]
fn is_cancelled(error: &str) {
    assert!(error.starts_with("cancelled:"), "{error}");
}

fn a_token_ends_every_kind_of_wait() {
    for wait in WAITS {
        let (stage, mut holder, mut waiter) = held();
        if wait.contains("sem") {
            holder.ask("release g");
            let open = format!("sem open s {} 1", stage.lock().display());
            holder.ask(&open);
            holder.ask("sem acquire s g");
            waiter.ask(&open);
        }
        let waiting = waiter.begin(wait);
        waiter.ask("cancel");
        is_cancelled(&waiter.fails(waiting));
        assert_eq!(waiters(&stage.lock()), 0);
    }
}

/// The wait is in the kernel's queue when it is cancelled, not before it.
fn a_token_ends_waits_in_a_signals_handler() {
    let (stage, _holder, mut waiter) = held();
    let waiting = waiter.begin_waiting("under-token lock a g", &stage);
    waiter.ask("signal cancel-in-handler");
    is_cancelled(&waiter.fails(waiting));
}

fn a_token_ends_waits_among_threads() {
    let stage = Stage::new();
    let mut actor = Actor::with_lock(&stage, "");
    actor.ask("lock a g");
    let waiting = actor.begin("under-token lock a h");
    actor.ask("cancel");
    is_cancelled(&actor.fails(waiting));
    actor.ask("release g");
    actor.ask("try a g");
}

fn a_token_ends_many_waits_at_once() {
    let (stage, _holder, mut waiter) = held();
    for number in 0..20 {
        waiter.ask(&format!("open {number} {}", stage.lock().display()));
    }
    let waiting: Vec<_> = (0..20)
        .map(|number| waiter.begin_waiting(&format!("under-token lock {number} g"), &stage))
        .collect();
    waiter.ask("cancel");
    for waiting in waiting {
        is_cancelled(&waiter.fails(waiting));
    }
    assert_eq!(waiters(&stage.lock()), 0);
}

fn a_token_ends_waits_when_the_program_uses_all_signals() {
    let (_place, _holder, mut waiter) = held();
    waiter.ask("signal handle all-real-time");
    let waiting = waiter.begin("under-token lock a g");
    waiter.ask("cancel");
    is_cancelled(&waiter.fails(waiting));
}

fn a_wait_that_was_cancelled_leaves_nothing_behind() {
    let (stage, mut holder, mut waiter) = held();
    let before = (waiter.ask("count fd"), waiter.ask("count task"));
    let waiting = waiter.begin_waiting("under-token lock a g", &stage);
    waiter.ask("cancel");
    is_cancelled(&waiter.fails(waiting));
    assert_eq!(waiter.ask("timers"), "0");
    holder.ask("release g");
    holder.ask("try a g");
    // The thread of the command ends by itself.
    crate::stage::until("no other thread", || {
        (waiter.ask("count fd"), waiter.ask("count task")) == before
    });
}

fn a_token_that_is_cancelled_already_ends_waits_at_once() {
    let (_place, mut holder, mut waiter) = held();
    waiter.ask("cancel");
    is_cancelled(&waiter.ask_in_vain("under-token lock a g"));
    holder.ask("release g");
    waiter.ask("under-token lock a g");
}

fn a_wait_under_a_token_gets_the_lock() {
    let (stage, mut holder, mut waiter) = held();
    let waiting = waiter.begin_waiting("under-token lock a g", &stage);
    holder.ask("release g");
    waiter.succeeds(waiting);
}
