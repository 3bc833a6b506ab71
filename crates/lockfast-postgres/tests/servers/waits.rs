//! Waiting: the order, the end of a wait, and what it leaves behind.

use std::future::Future;
use std::sync::{Arc, Barrier};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use libtest_mimic::Trial;
use lockfast::ErrorKind;
use lockfast_servers::postgres::Server;

use crate::releases::{
    Shared, lock, open, open_with, rwlock, semaphore, wait_for_waiters, waiters,
};

pub(crate) fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        shared.trial(
            "a_dropped_wait_leaves_the_line",
            a_dropped_wait_leaves_the_line,
        ),
        shared.trial(
            "the_session_of_a_dropped_wait_is_not_used_again",
            session_of_a_dropped_wait,
        ),
        shared.trial(
            "a_reader_waits_behind_a_writer",
            a_reader_waits_behind_a_writer,
        ),
        shared.trial(
            "a_wait_that_ends_names_the_holder",
            a_wait_that_ends_names_the_holder,
        ),
        shared.trial(
            "tokens_are_in_the_order_of_grants",
            tokens_are_in_the_order_of_grants,
        ),
        shared.trial(
            "readers_have_no_token_and_write_no_row",
            readers_have_no_token,
        ),
        shared.trial("permits_are_given_in_order", permits_are_given_in_order),
        shared.trial(
            "a_dropped_wait_for_permits_lets_the_next_in",
            dropped_wait_for_permits,
        ),
        shared.trial(
            "permits_of_a_dead_session_are_found",
            permits_of_a_dead_session_are_found,
        ),
        shared.trial(
            "an_attempt_gives_way_to_those_who_pass",
            an_attempt_gives_way,
        ),
        shared.trial("two_clients_are_in_each_others_way", two_clients),
    ]
}

fn poll_once(wait: std::pin::Pin<&mut impl Future>) {
    let mut context = Context::from_waker(Waker::noop());
    assert!(wait.poll(&mut context).is_pending());
}

fn a_dropped_wait_leaves_the_line(server: &Server) {
    let client = open(server, "dropped");
    let held = lock(&client, "a").lock().expect("free");
    let waiting = lock(&client, "a");
    for is_in_line in [true, false] {
        let mut wait = Box::pin(waiting.lock_async());
        poll_once(wait.as_mut());
        if is_in_line {
            wait_for_waiters(&client, "a", 1);
        }
        drop(wait);
        assert_eq!(waiters(&client, "a"), 0, "the drop has ended it");
    }
    held.release().expect("released");
    assert!(waiting.try_lock().is_ok());
}

/// The cancel request that ends a wait may be late, and then ends what the session does next.
fn session_of_a_dropped_wait(server: &Server) {
    let client = open(server, "cancelled");
    let backends = |key: i64, is_granted: bool| {
        server.query(&format!(
            "select string_agg(pid::text, ',') from pg_locks where locktype = 'advisory' \
             and (classid::bigint << 32 | objid::bigint) = {key} and granted = {is_granted}"
        ))
    };
    let _held = lock(&client, "a").lock().expect("free");
    let waiting = lock(&client, "a");
    let mut wait = Box::pin(waiting.lock_async());
    poll_once(wait.as_mut());
    wait_for_waiters(&client, "a", 1);
    let waiter = backends(client.key("a"), false);
    drop(wait);
    let next: Vec<_> = ["b", "c", "d"]
        .map(|name| lock(&client, name).lock())
        .into();
    for (guard, name) in next.iter().zip(["b", "c", "d"]) {
        assert!(guard.is_ok());
        assert_ne!(backends(client.key(name), true), waiter, "{name}");
    }
}

fn a_reader_waits_behind_a_writer(server: &Server) {
    let client = open(server, "behind");
    let held = rwlock(&client, "a").read().expect("free");
    let order = std::sync::Mutex::new(Vec::new());
    thread::scope(|scope| {
        scope.spawn(|| {
            let guard = rwlock(&client, "a").write().expect("granted");
            order.lock().expect("no panic").push("writer");
            drop(guard);
        });
        wait_for_waiters(&client, "a", 1);
        let late = rwlock(&client, "a");
        assert!(late.try_read().expect_err("a writer waits").is_contended());
        scope.spawn(|| {
            let guard = rwlock(&client, "a").read().expect("granted");
            order.lock().expect("no panic").push("reader");
            drop(guard);
        });
        wait_for_waiters(&client, "a", 2);
        drop(held);
    });
    assert_eq!(order.into_inner().expect("no panic"), ["writer", "reader"]);
}

fn a_wait_that_ends_names_the_holder(server: &Server) {
    let client = open(server, "names");
    let _held = lock(&client, "a").lock().expect("free");
    let own = std::process::id();
    let waiting = lock(&client, "a");
    for error in [
        waiting.try_lock().expect_err("held"),
        waiting
            .try_lock_for(Duration::from_millis(10))
            .expect_err("held"),
    ] {
        let holder = error.holder().unwrap_or_else(|| panic!("{error}"));
        assert_eq!(holder.pid(), Some(own));
        assert!(holder.host().is_some());
    }
}

/// The row of the fence is newer than the snapshot of a statement that waited for the lock.
fn tokens_are_in_the_order_of_grants(server: &Server) {
    let client = open(server, "order");
    let tokens = std::sync::Mutex::new(Vec::new());
    let together = Barrier::new(8);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let lock = lock(&client, "a");
                together.wait();
                for _ in 0..10 {
                    let guard = lock.lock().expect("granted");
                    let mut tokens = tokens.lock().expect("no panic");
                    tokens.push(guard.token().expect("exclusive"));
                }
            });
        }
    });
    let tokens = tokens.into_inner().expect("no panic");
    assert_eq!(tokens, (1..=80).collect::<Vec<_>>());
}

fn readers_have_no_token(server: &Server) {
    let client = open(server, "readers");
    let lock = rwlock(&client, "a");
    let writer = lock.write().expect("free").token();
    let reader = lock.read().expect("free").token();
    assert_eq!((writer, reader), (Some(1), None));
    assert_eq!(lock.write().expect("free").token(), Some(2));
    let plain = open_with(server, "readers", "&fence=off");
    assert!(!plain.capabilities().token);
    assert_eq!(rwlock(&plain, "a").write().expect("free").token(), None);
    assert_eq!(lock.write().expect("free").token(), Some(3));
}

fn permits_are_given_in_order(server: &Server) {
    let client = open(server, "permits");
    let held = semaphore(&client, "a", 3).acquire_many(3).expect("free");
    let order = std::sync::Mutex::new(Vec::new());
    thread::scope(|scope| {
        // The first wants more than the second, who could be served before.
        for (place, count) in [(1, 2), (2, 1), (3, 3)] {
            let (client, order) = (&client, &order);
            scope.spawn(move || {
                let permits = semaphore(client, "a", 3)
                    .acquire_many(count)
                    .expect("granted");
                let token = permits.token().expect("it has one");
                order.lock().expect("no panic").push((place, token));
            });
            wait_for_waiters(client, "a", place);
        }
        let mut held = held;
        drop(held.split(1));
        let other = semaphore(&client, "a", 3);
        assert!(other.try_acquire().expect_err("others wait").is_contended());
        drop(held);
    });
    let order = order.into_inner().expect("no panic");
    assert_eq!(order.iter().map(|(place, _)| *place).max(), Some(3));
    let mut by_token = order.clone();
    by_token.sort_by_key(|(_, token)| *token);
    let places: Vec<_> = by_token.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, [1, 2, 3]);
}

fn dropped_wait_for_permits(server: &Server) {
    let client = open(server, "leaving");
    let pool = semaphore(&client, "a", 2);
    let held = pool.acquire().expect("free");
    let mut first = Box::pin(pool.acquire_many_async(2));
    poll_once(first.as_mut());
    wait_for_waiters(&client, "a", 1);
    thread::scope(|scope| {
        let second = scope.spawn(|| semaphore(&client, "a", 2).acquire().map(drop));
        wait_for_waiters(&client, "a", 2);
        drop(first);
        second
            .join()
            .expect("no panic")
            .expect("the first has left");
    });
    assert_eq!(pool.available_permits().expect("counted"), 1);
    drop(held);
    assert_eq!(pool.available_permits().expect("counted"), 2);
}

fn permits_of_a_dead_session_are_found(server: &Server) {
    let client = open(server, "dead");
    let pool = semaphore(&client, "a", 1);
    let held = pool.acquire().expect("free");
    thread::scope(|scope| {
        let waits = scope.spawn(|| semaphore(&client, "a", 1).acquire().map(drop));
        wait_for_waiters(&client, "a", 1);
        let holder = client.list("a").expect("listed")[0].holders[0].token;
        assert!(client.break_token("a", holder).expect("broken"));
        waits.join().expect("no panic").expect("granted");
    });
    let error = held.release().expect_err("lost");
    assert_eq!(error.kind(), ErrorKind::NotHeld, "{error}");
}

/// Attempts without a wait never fail while there are permits for all.
fn an_attempt_gives_way(server: &Server) {
    let client = open(server, "passing");
    let together = Arc::new(Barrier::new(4));
    thread::scope(|scope| {
        for _ in 0..4 {
            let (client, together) = (&client, Arc::clone(&together));
            scope.spawn(move || {
                let pool = semaphore(client, "a", 4);
                together.wait();
                for _ in 0..10 {
                    drop(pool.try_acquire().expect("there are four"));
                }
            });
        }
    });
}

fn two_clients(server: &Server) {
    let (one, other) = (open(server, "two"), open(server, "two"));
    let held = lock(&one, "a").lock().expect("free");
    assert!(
        lock(&other, "a")
            .try_lock()
            .expect_err("held")
            .is_contended()
    );
    let elsewhere = open(server, "another");
    assert!(
        lock(&elsewhere, "a").try_lock().is_ok(),
        "another namespace"
    );
    drop(held);
    assert!(lock(&other, "a").try_lock().is_ok());
}
