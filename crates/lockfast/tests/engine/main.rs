//! One suite that every engine passes: files, and an engine in memory that is written only against the contract
//! of `lockfast::engine`.

#![cfg(not(lockfast_unsupported))]

mod conformance;
mod memory;
mod places;

use lockfast::{HoldState, Lock};

use memory::{Memory, Space};
use places::{Directory, Place};

macro_rules! conformance {
    ($($test:ident),* $(,)?) => {
        mod files {
            $(#[test] fn $test() { crate::conformance::$test(&crate::Directory::new()); })*
        }
        mod in_memory {
            $(#[test] fn $test() { crate::conformance::$test(&crate::Space::new()); })*
        }
    };
}

conformance! {
    threads_keep_each_other_out,
    tasks_keep_each_other_out,
    readers_share_and_a_writer_is_alone,
    guards_are_converted_or_given_back,
    permits_are_counted_split_and_merged,
    timed_waits_end,
    a_token_ends_the_wait_of_a_thread,
    a_dropped_wait_leaves_nothing,
    a_release_wakes_the_waiter,
    a_wait_for_oneself_is_reported,
    several_locks_are_taken_together,
    tokens_grow_where_there_are_tokens,
    a_thread_takes_a_reentrant_lock_again,
}

#[test]
fn a_lost_lock_is_reported_by_its_guard() {
    let space = Space::new();
    let lock: Lock<Memory> = space.lock("a");
    let guard = lock.lock().expect("it is free");
    assert_eq!(guard.state(), HoldState::Valid);
    let lost = guard.lost();
    space.break_lock("a");
    smol::block_on(lost);
    assert_eq!(guard.state(), HoldState::Lost);
    assert!(lock.try_lock().is_ok(), "others get in");
    let error = guard.release().expect_err("it was lost");
    assert_eq!(error.kind(), lockfast::ErrorKind::NotHeld);
}

#[test]
fn errors_name_the_lock_of_an_engine() {
    let lock = Space::new().lock("jobs/nightly");
    let guard = lock.lock().expect("it is free");
    assert_eq!(guard.resource().name(), Some("jobs/nightly"));
    let error = lock.try_lock().expect_err("it is held");
    assert_eq!(error.resource().name(), Some("jobs/nightly"));
    assert_eq!(
        error.to_string(),
        "cannot take lock jobs/nightly: it is held"
    );
    assert_eq!(
        format!("{guard:?}"),
        "LockGuard { name: \"jobs/nightly\", .. }"
    );
}
