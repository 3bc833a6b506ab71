//! The line itself: who leaves it, how it moves on, and who is woken.

use std::fs;

use super::{LONG, is_contended, is_queued, join_queue, lockers, pools, rw_lockers};
use crate::asleep::{times_slept, until_asleep};
use crate::exclusion::hammer_by_eight;
use crate::stage::{Actor, Stage, until};
use crate::trials;

trials![
    one_that_gives_up_leaves_the_line,
    one_that_dies_leaves_the_line,
    a_release_wakes_one_of_a_hundred,
    a_line_moves_to_a_new_file,
    an_attempt_in_vain_keeps_the_place,
];

fn one_that_gives_up_leaves_the_line() {
    for (options, command, kind) in [
        ("fifo", "for a g 20", "timed-out:"),
        ("fifo on-wait=1", "lock a g", "cancelled:"),
        ("fifo on-wait=2 interval=1", "lock a g", "cancelled:"),
        ("fifo on-wait-panic", "lock-catching a", "other:"),
    ] {
        let stage = Stage::new();
        let [mut holder, mut first, mut last] = lockers(&stage, "fifo");
        let [mut gives_up] = lockers(&stage, options);
        holder.ask("lock a g");
        let waiting = join_queue(&mut first, "lock a g", &stage);
        let told = gives_up.ask_in_vain(command);
        assert!(told.starts_with(kind), "{told}");
        assert!(!is_queued(&gives_up, &stage));
        if options == "fifo" {
            assert_eq!(gives_up.ask("task-dropped a"), "true");
            assert!(!is_queued(&gives_up, &stage));
        }
        holder.ask("release g");
        first.succeeds(waiting);
        first.ask("release g");
        last.ask("try a g");
    }

    let stage = Stage::new();
    let [mut holder, mut gives_up] = pools(&stage, 1);
    holder.ask("sem acquire a g");
    let told = gives_up.ask_in_vain("sem for a g 20");
    assert!(told.starts_with("timed-out:"), "{told}");
    assert!(!is_queued(&gives_up, &stage));
    holder.ask("sem release g");
    holder.ask("sem try a g");
}

fn one_that_dies_leaves_the_line() {
    let stage = Stage::new();
    let [mut holder, mut first, mut second, mut third, mut fourth] = lockers(&stage, "fifo");
    holder.ask("lock a g");
    let waiting = join_queue(&mut first, "lock a g", &stage);
    join_queue(&mut second, "lock a g", &stage);
    let later = join_queue(&mut third, "lock a g", &stage);
    let last = join_queue(&mut fourth, LONG, &stage);
    second.kill();
    holder.kill();
    first.succeeds(waiting);
    assert!(!third.has_answered(later));
    assert!(!fourth.has_answered(last));
    first.kill();
    third.succeeds(later);
    assert!(!fourth.has_answered(last));
    third.ask("release g");
    fourth.succeeds(last);
}

fn a_release_wakes_one_of_a_hundred() {
    let stage = Stage::new();
    let mut holder = Actor::with_lock(&stage, "fifo");
    holder.ask("lock a g");
    let mut waiters: Vec<_> = (0..100).map(|_| Actor::with_lock(&stage, "fifo")).collect();
    let pending: Vec<_> = waiters
        .iter_mut()
        .map(|waiter| join_queue(waiter, "lock a g", &stage))
        .collect();
    until_asleep(&waiters.iter().collect::<Vec<_>>());
    let slept = |waiters: &[Actor]| -> u64 { waiters.iter().map(times_slept).sum() };
    let before: Vec<_> = (0..20)
        .map(|number| slept(&waiters[number + 1..]))
        .collect();
    holder.ask("release g");
    for (number, &before) in before.iter().enumerate() {
        waiters[number].succeeds(pending[number]);
        assert_eq!(slept(&waiters[number + 1..]), before, "at release {number}");
        waiters[number].ask("release g");
    }
}

fn a_line_moves_to_a_new_file() {
    let stage = Stage::new();
    let [mut old, mut waiter, mut new, mut first, mut second] = lockers(&stage, "fifo");
    old.ask("lock a g");
    let waiting = join_queue(&mut waiter, "lock a g", &stage);
    fs::remove_file(stage.lock()).expect("removed");
    new.ask("lock a g");
    let next = join_queue(&mut first, "lock a g", &stage);
    let later = join_queue(&mut second, "lock a g", &stage);
    old.ask("release g");
    until("a place in the new line", || is_queued(&waiter, &stage));
    // The first of the new line waits for the lock itself already; the next one has to respect that
    // somebody came earlier.
    new.ask("release g");
    first.succeeds(next);
    first.ask("release g");
    waiter.succeeds(waiting);
    assert!(!second.has_answered(later));
    waiter.ask("release g");
    second.succeeds(later);
    hammer_by_eight("hammer", "remove fifo", 50);
}

/// Where nothing interrupts the kernel's wait it is asked again and again, and in vain as long as a
/// program has the other family's lock.
fn an_attempt_in_vain_keeps_the_place() {
    let stage = Stage::new();
    let [mut other] = lockers(&stage, "protocol=flock");
    let [mut waiter] = lockers(&stage, "fifo protocol=both on-wait= interval=1");
    waiter.ask("signal handle all-real-time");
    other.ask("lock a g");
    let waiting = join_queue(&mut waiter, LONG, &stage);
    for _ in 0..20 {
        waiter.event();
    }
    assert!(is_queued(&waiter, &stage));
    let [mut newcomer] = lockers(&stage, "fifo protocol=both");
    is_contended(&mut newcomer, "try a g");
    other.ask("release g");
    waiter.succeeds(waiting);

    let stage = Stage::new();
    let [mut upgradable, mut reader] = rw_lockers(&stage, "fifo");
    let [mut waiter] = rw_lockers(&stage, "fifo on-wait= interval=1");
    waiter.ask("signal handle all-real-time");
    upgradable.ask("rw upgradable a g");
    let waiting = join_queue(&mut waiter, "rw upgradable-for a g 3600000", &stage);
    for _ in 0..20 {
        waiter.event();
    }
    is_contended(&mut reader, "rw try-read a g");
    upgradable.ask("rw release g");
    waiter.succeeds(waiting);
}
