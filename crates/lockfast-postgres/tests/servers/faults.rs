//! Faults of the server, the network or a session, as the holder and the next waiter see them.

use std::thread;

use libtest_mimic::Trial;
use lockfast::{ErrorKind, HoldState};
use lockfast_postgres::Client;
use lockfast_servers::postgres::{Options, Server};
use lockfast_servers::proxy::{Proxy, Way};

use crate::releases::{Shared, lock, open, open_with, semaphore, wait_for_waiters};

pub(crate) fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        shared.trial_alone("a_restart_is_reported_and_tokens_go_on", a_restart),
        shared.trial("a_holder_that_is_cut_off_is_told_and_then_freed", cut_off),
        shared.trial(
            "a_connection_that_ends_is_a_lost_lock",
            a_connection_that_ends,
        ),
        shared.trial(
            "a_waiter_whose_session_ends_is_told",
            a_waiter_whose_session_ends,
        ),
        shared.trial(
            "a_waiter_for_permits_whose_session_ends_is_told",
            a_waiter_for_permits_whose_session_ends,
        ),
        shared.trial(
            "a_release_without_an_answer_is_unknown",
            release_without_an_answer,
        ),
        shared.trial(
            "a_kept_session_that_has_ended_is_replaced",
            kept_session_that_has_ended,
        ),
    ]
}

/// Opens a space through a proxy.
fn through(proxy: &Proxy, options: &str) -> Client {
    let url = format!(
        "postgres://postgres@{}/postgres?{options}",
        proxy.endpoint()
    );
    Client::open(&url).unwrap_or_else(|error| panic!("{error}"))
}

fn proxy_of(server: &Server) -> Proxy {
    Proxy::start(server.endpoint().parse().expect("an address"))
}

fn a_restart(options: Options) {
    let mut server = options.start();
    let client = open(&server, "restart");
    let guard = lock(&client, "a").lock().expect("free");
    let (token, epoch) = (guard.token(), guard.epoch());
    let lost = guard.lost();
    server.restart();
    smol::block_on(lost);
    assert_eq!(guard.state(), HoldState::Lost);
    let error = guard.release().expect_err("lost");
    assert_eq!(error.kind(), ErrorKind::NotHeld, "{error}");
    let guard = lock(&client, "a").lock().expect("free");
    assert!(guard.token() > token && guard.epoch() == epoch);
}

fn cut_off(server: &Server) {
    let proxy = proxy_of(server);
    let holder = through(&proxy, "namespace=cut_off&ttl=2s");
    let other = open(server, "cut_off");
    let guard = lock(&holder, "a").lock().expect("free");
    thread::scope(|scope| {
        let next = scope.spawn(|| {
            let next = lock(&other, "a").lock().expect("the server frees it");
            // Whatever this thread does now, the other one does not believe that it has the lock.
            (guard.state(), next.token())
        });
        wait_for_waiters(&other, "a", 1);
        proxy.stall(Way::Requests);
        proxy.stall(Way::Answers);
        smol::block_on(guard.lost());
        assert_ne!(guard.state(), HoldState::Valid);
        let (state, token) = next.join().expect("no panic");
        assert_ne!(state, HoldState::Valid);
        assert!(token > guard.token());
    });
}

fn a_connection_that_ends(server: &Server) {
    let proxy = proxy_of(server);
    let client = through(&proxy, "namespace=ends");
    let guard = lock(&client, "a").lock().expect("free");
    let lost = guard.lost();
    proxy.reset();
    smol::block_on(lost);
    assert_eq!(guard.state(), HoldState::Lost);
    let other = open(server, "ends");
    assert!(lock(&other, "a").lock().is_ok(), "the server noticed too");
}

fn a_waiter_whose_session_ends(server: &Server) {
    let client = open(server, "waiter");
    let held = lock(&client, "a").lock().expect("free");
    thread::scope(|scope| {
        let waits = scope.spawn(|| lock(&client, "a").lock().map(drop));
        wait_for_waiters(&client, "a", 1);
        let token = client.list("a").expect("listed")[0].waiters[0].token;
        assert!(client.break_token("a", token).expect("compared"));
        let error = waits
            .join()
            .expect("no panic")
            .expect_err("its session has ended");
        assert_eq!(error.kind(), ErrorKind::NotHeld, "{error}");
    });
    assert_eq!(held.state(), HoldState::Valid);
    held.release().expect("released");
}

fn a_waiter_for_permits_whose_session_ends(server: &Server) {
    let client = open(server, "permit_waiter");
    let held = semaphore(&client, "a", 1).acquire().expect("free");
    // The first in line has the gate, and the second waits for it.
    for order in [[0, 1], [1, 0]] {
        thread::scope(|scope| {
            let first = scope.spawn(|| semaphore(&client, "a", 1).acquire().map(drop));
            wait_for_waiters(&client, "a", 1);
            let second = scope.spawn(|| semaphore(&client, "a", 1).acquire().map(drop));
            wait_for_waiters(&client, "a", 2);
            let entries = client.list("a").expect("listed");
            for place in order {
                let token = entries[0].waiters[place].token;
                assert!(client.break_token("a", token).expect("compared"));
            }
            for wait in [first, second] {
                let error = wait.join().expect("no panic").expect_err("it has ended");
                assert_eq!(error.kind(), ErrorKind::NotHeld, "{error}");
            }
        });
    }
    assert_eq!(held.state(), HoldState::Valid);
    held.release().expect("released");
}

fn release_without_an_answer(server: &Server) {
    let proxy = proxy_of(server);
    // The usual time-out: it is that of the statements before as well, which a busy machine has to answer.
    let client = through(&proxy, "namespace=unknown");
    let guard = lock(&client, "a").lock().expect("free");
    proxy.stall(Way::Answers);
    let error = guard.release().expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(error.to_string().contains("unknown"), "{error}");
}

fn kept_session_that_has_ended(server: &Server) {
    let client = open_with(server, "kept", "");
    drop(lock(&client, "a").lock().expect("free"));
    server.query(
        "select pg_terminate_backend(pid) from pg_stat_activity \
         where application_name like 'lockfast %' and query like '%unlock%'",
    );
    for _ in 0..3 {
        drop(lock(&client, "a").try_lock().expect("in another session"));
    }
}
