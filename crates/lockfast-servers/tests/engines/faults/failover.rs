//! A standby of PostgreSQL that takes the place of its primary.

use libtest_mimic::Trial;

use lockfast_servers::postgres::{Copy, Release, Server};
use lockfast_servers::within;
use lockfast_testing::trial_needing;

use crate::steps::{LONG, Stepper};

pub(crate) fn trials() -> Vec<Trial> {
    let server = Release::Debian.find().map(drop);
    let name = "postgres::f22_a_promoted_standby_begins_an_epoch";
    vec![trial_needing!(name, server, a_promoted_standby)]
}

fn a_promoted_standby() {
    let mut primary = Server::start();
    let standby = primary.start_copy(Copy::Standby);
    let hosts = [primary.endpoint(), standby.endpoint()].join(",");
    let url = format!("postgres://postgres@{hosts}/postgres?ttl=30s");
    let (mut holder, mut waiter) = (Stepper::start(&url, None), Stepper::start(&url, None));
    let first = holder.lock();
    let epoch = holder.number("epoch");
    waiter.begin("lock");
    let waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted";
    assert!(within(LONG, || primary.query(waiting) == "1"), "it waits");
    standby.catch_up(&primary);
    primary.kill();
    assert_eq!(holder.step("lost"), "true");
    assert_eq!(holder.step("state"), "Lost");
    let answer = waiter.answer();
    asks_until_the_primary_is_gone(&mut waiter, answer);
    standby.promote();
    assert!(waiter.lock() > first);
    assert_ne!(waiter.number("epoch"), epoch);
    assert_eq!(holder.number("epoch"), epoch);
    assert_eq!(holder.step("release"), "lost");
    assert_eq!(waiter.step("state"), "Valid");
    assert_eq!(waiter.step("release"), "released");
}

/// Has the client ask again until no server is there for it: nobody gets a lock of a standby.
fn asks_until_the_primary_is_gone(client: &mut Stepper, mut answer: String) {
    while !answer.starts_with("failed Unreachable") {
        // Processes of the primary outlive it for a moment, and may even grant the lock.
        if answer.starts_with("held") {
            assert_eq!(client.step("lost"), "true");
            assert_eq!(client.step("release"), "lost");
        } else {
            assert!(answer.starts_with("failed NotHeld"), "{answer}");
        }
        answer = client.step("lock");
    }
}
