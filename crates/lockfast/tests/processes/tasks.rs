//! Waits of tasks, beside other processes.

use crate::stage::{Actor, Stage, until, waiters};
use crate::trials;

trials![
    a_task_is_woken_by_the_release_of_another_process,
    a_task_is_woken_by_the_death_of_the_holder,
    a_task_that_is_dropped_leaves_the_kernels_queue,
    a_signal_that_the_program_took_meanwhile_is_left_to_it,
    a_killed_process_takes_its_tasks_along,
    a_forked_child_may_wait_as_a_task_too,
    a_forked_childs_copy_of_a_wait_is_inert,
    a_forked_childs_copy_of_a_place_in_the_queue_is_inert,
    a_forked_childs_copy_of_a_wait_says_so_when_it_is_polled,
];

fn held() -> (Stage, Actor, Actor) {
    let stage = Stage::new();
    let mut holder = Actor::with_lock(&stage, "");
    holder.ask("lock a g");
    let waiter = Actor::with_lock(&stage, "");
    (stage, holder, waiter)
}

fn a_task_is_woken_by_the_release_of_another_process() {
    for wait in ["task tokio a g", "task smol a g"] {
        let (stage, mut holder, mut waiter) = held();
        let waiting = waiter.begin_waiting(wait, &stage);
        holder.ask("release g");
        waiter.succeeds(waiting);
        let error = holder.ask_in_vain("try a g");
        assert!(error.starts_with("contended:"), "{error}");
    }
}

fn a_task_is_woken_by_the_death_of_the_holder() {
    let (stage, mut holder, mut waiter) = held();
    let waiting = waiter.begin_waiting("task tokio a g", &stage);
    holder.kill();
    waiter.succeeds(waiting);
}

/// The release comes after the drop, so a wait that was still there would get the lock.
fn a_task_that_is_dropped_leaves_the_kernels_queue() {
    let (stage, mut holder, mut waiter) = held();
    let before = waiter.ask("count fd");
    for _ in 0..200 {
        assert_eq!(waiter.ask("task-dropped a"), "true");
        assert_eq!(waiters(&stage.lock()), 0);
        holder.ask("release g");
        holder.ask("try a g");
    }
    assert_eq!(waiter.ask("count fd"), before);
    assert_eq!(waiter.ask("timers"), "0");
}

/// The helper keeps what ends its waits from one to the next.
fn a_signal_that_the_program_took_meanwhile_is_left_to_it() {
    for handlers in ["all-real-time-but-one", "all-real-time"] {
        let (stage, mut holder, mut waiter) = held();
        // It keeps only what never had to end a wait.
        let waiting = waiter.begin_waiting("task tokio a g", &stage);
        holder.ask("release g");
        waiter.succeeds(waiting);
        waiter.ask("release g");
        holder.ask("lock a g");
        waiter.ask(&format!("signal handle {handlers}"));
        assert_eq!(waiter.ask("task-dropped a"), "true");
        assert_eq!(waiters(&stage.lock()), 0);
        assert_eq!(waiter.ask("signal handled"), "0");
        holder.ask("release g");
        holder.ask("try a g");
    }
}

fn a_killed_process_takes_its_tasks_along() {
    let (stage, mut holder, mut waiter) = held();
    waiter.begin_waiting("task smol a g", &stage);
    waiter.kill();
    until("an empty queue", || waiters(&stage.lock()) == 0);
    holder.ask("release g");
    holder.ask("try a g");
}

/// The helper threads of the parent do not exist in the child.
fn a_forked_child_may_wait_as_a_task_too() {
    let (stage, mut holder, mut parent) = held();
    assert_eq!(parent.ask("task-dropped a"), "true");
    let mut child = parent.fork("libc");
    let waiting = child.begin_waiting("task smol a g", &stage);
    holder.ask("release g");
    child.succeeds(waiting);
}

/// The drop of a wait is over when its helper has left the kernel, which in the child none does.
fn a_forked_childs_copy_of_a_wait_is_inert() {
    for kind in ["libc", "raw"] {
        let (stage, mut holder, mut parent) = held();
        assert_eq!(parent.ask("task-begun a"), "true");
        until("the helper in the queue", || waiters(&stage.lock()) == 1);
        let mut child = parent.fork(kind);
        child.ask("task-forgotten");
        assert_eq!(waiters(&stage.lock()), 1, "{kind}");
        assert_eq!(child.ask("task-dropped a"), "true");
        holder.ask("release g");
        parent.ask("task-ended g");
        let told = child.ask_in_vain("try a g");
        assert!(told.starts_with("contended:"), "{kind} {told}");
    }
}

/// At the fork another thread may be in the middle of the queue, whose mutex is locked in the child for ever.
fn a_forked_childs_copy_of_a_place_in_the_queue_is_inert() {
    let stage = Stage::new();
    let mut parent = Actor::with_lock(&stage, "");
    parent.ask("lock a g");
    assert_eq!(parent.ask("task-begun a"), "true");
    parent.ask("try-in-threads a 2");
    for _ in 0..100 {
        let mut child = parent.fork("libc");
        child.ask("task-forgotten");
        child.kill();
    }
    parent.ask("release g");
    parent.ask("task-ended h");
}

fn a_forked_childs_copy_of_a_wait_says_so_when_it_is_polled() {
    // In the kernel's queue, and in that of its handle.
    for holds_itself in [false, true] {
        let (_place, mut holder, mut parent) = held();
        if holds_itself {
            holder.ask("release g");
            parent.ask("lock a g");
        }
        assert_eq!(parent.ask("task-begun a"), "true");
        let mut child = parent.fork("libc");
        let told = child.ask_in_vain("task-ended h");
        assert!(told.contains("a forked child's copy"), "{told}");
        let holds = if holds_itself {
            &mut parent
        } else {
            &mut holder
        };
        holds.ask("release g");
        parent.ask("task-ended h");
    }
}
