//! Promise 2: whoever dies, however, leaves the lock free and nothing to repair.

use std::process::Command;

use libtest_mimic::Trial;
use lockfast_testing::{trial, trial_needing};

use crate::stage::{Actor, Stage, installed, waiters};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "crash::a_killed_holder_frees_the_lock",
            a_killed_holder_frees_the_lock,
        ),
        trial(
            "crash::an_aborting_holder_frees_the_lock",
            an_aborting_holder_frees_the_lock,
        ),
        trial(
            "crash::a_killed_waiter_leaves_no_ghost",
            a_killed_waiter_leaves_no_ghost,
        ),
        trial_needing!(
            "crash::killed_at_each_system_call_nothing_is_left",
            installed("strace"),
            killed_at_each_system_call_nothing_is_left,
        ),
    ]
}

fn a_killed_holder_frees_the_lock() {
    let stage = Stage::new();
    let mut holder = Actor::with_lock(&stage, "");
    let mut waiter = Actor::with_lock(&stage, "");
    let mut timed = Actor::with_lock(&stage, "");
    holder.ask("lock a g");
    let waiting = waiter.begin_waiting("lock a g", &stage);
    let timed_waiting = timed.begin_waiting("for a g 3600000", &stage);
    holder.kill();
    waiter.succeeds(waiting);
    waiter.kill();
    timed.succeeds(timed_waiting);
}

fn an_aborting_holder_frees_the_lock() {
    let stage = Stage::new();
    let mut holder = Actor::with_lock(&stage, "");
    let mut waiter = Actor::with_lock(&stage, "");
    holder.ask("lock a g");
    let waiting = waiter.begin_waiting("lock a g", &stage);
    holder.crashes("abort");
    waiter.succeeds(waiting);
}

fn a_killed_waiter_leaves_no_ghost() {
    let stage = Stage::new();
    let mut holder = Actor::with_lock(&stage, "");
    let mut waiter = Actor::with_lock(&stage, "");
    let mut third = Actor::with_lock(&stage, "");
    holder.ask("lock a g");
    waiter.begin_waiting("lock a g", &stage);
    waiter.kill();
    assert_eq!(waiters(&stage.lock()), 0);
    holder.ask("release g");
    third.ask("try a g");
}

/// strace kills the actor when it enters its first, second, third ... system call.
fn killed_at_each_system_call_nothing_is_left() {
    let own = std::env::current_exe().expect("this program");
    let mut finished = 0;
    for options in ["", "remove", "protocol=both mode=640"] {
        for step in 1.. {
            let stage = Stage::new();
            let calls = "openat,fcntl,flock,fstat,newfstatat,statx,unlink,close,linkat,fchmod";
            let mut victim = Actor::start_by(
                Command::new("strace")
                    .args(["-f", "-o", "/dev/null", "-e", &format!("trace={calls}")])
                    // Counted from the start of the program, so from its start-up's calls on.
                    .args(["-e", &format!("inject={calls}:signal=KILL:when={step}")])
                    .arg(&own)
                    .arg("actor"),
            );
            let hammer = format!("hammer {} 3 {options}", stage.lock().display());
            let done = victim.survives(hammer.trim_end());
            let mut heir = Actor::with_lock(&stage, options);
            heir.ask("try a g");
            heir.ask("release g");
            if done {
                finished += 1;
                break;
            }
        }
    }
    assert_eq!(finished, 3);
}
