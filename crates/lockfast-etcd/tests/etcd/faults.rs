//! Faults of the server and of the way to it.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use lockfast::HoldState;
use lockfast_conformance::Place;
use lockfast_servers::etcd::{Release, Server};
use lockfast_servers::proxy::Proxy;
use lockfast_testing::skip;

use crate::prefix::Prefix;

/// Longer than anything that ends.
const LONG: Duration = Duration::from_secs(60);
const TTL: Duration = Duration::from_secs(3);

macro_rules! server {
    () => {{
        if let Err(reason) = Release::Debian.find() {
            skip!("{reason}");
        }
        Server::start()
    }};
}

fn proxied(server: &Server) -> (Proxy, Prefix) {
    let address: SocketAddr = server.endpoint().parse().expect("an address");
    let proxy = Proxy::start(address);
    let prefix = Prefix::at(&proxy.endpoint(), "?ttl=30s");
    (proxy, prefix)
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < LONG, "{what}");
        thread::yield_now();
    }
}

#[test]
fn a_holder_that_is_cut_off_is_told_before_the_lease_ends() {
    let server = server!();
    let place = Prefix::at(&server.endpoint(), "?ttl=3s");
    let guard = place.lock("a").lock().expect("free");
    let token = guard.token();
    server.process().pause();
    let paused = Instant::now();
    assert!(guard.lost_within(LONG));
    // The server frees the lock after the TTL at the earliest.
    assert!(paused.elapsed() < TTL);
    assert_eq!(guard.state(), HoldState::Unconfirmed);
    server.process().resume();
    wait_until("confirmed or lost", || {
        guard.state() != HoldState::Unconfirmed
    });
    // A short pause leaves the key; a long one, of a slow machine, may have ended the lease.
    if guard.state() == HoldState::Valid {
        assert_eq!(guard.token(), token);
        guard.release().expect("it was held all the time");
    }
}

#[test]
fn a_lock_outlives_the_restart_of_the_server() {
    let mut server = server!();
    let place = Prefix::at(&server.endpoint(), "?ttl=30s");
    let guard = place.lock("a").lock().expect("free");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| place.lock("a").lock().expect("granted").token());
        wait_until("it waits", || place.waiters("a") == Some(1));
        server.kill();
        server.restart();
        assert_eq!(guard.state(), HoldState::Valid);
        let token = guard.token();
        guard.release().expect("released");
        assert!(waiter.join().expect("no panic") > token);
    });
}

#[test]
fn lost_requests_and_answers_leave_one_ticket() {
    let server = server!();
    let losses: [fn(&Proxy); 2] = [
        |proxy| proxy.lose_request(b"/q/x/"),
        |proxy| proxy.lose_answer(b"/q/x/"),
    ];
    for lose in losses {
        let (proxy, place) = proxied(&server);
        let lock = place.lock("a");
        drop(lock.lock().expect("connected"));
        for attempt in [true, false] {
            lose(&proxy);
            let guard = if attempt {
                lock.try_lock()
            } else {
                lock.lock()
            };
            let guard = guard.expect("free");
            let entry = place.entry("a").expect("held");
            assert_eq!((entry.holders.len(), entry.waiters.len()), (1, 0));
            assert_eq!(Some(entry.holders[0].token), guard.token());
            lose(&proxy);
            guard.release().expect("released");
            wait_until("no ghost", || place.entry("a").is_none());
        }
        proxy.wait_for_losses(4);
    }
}

#[test]
fn a_wait_that_ends_leaves_no_ticket_and_names_the_holder() {
    let server = server!();
    let place = Prefix::at(&server.endpoint(), "");
    let held = place.lock("a").lock().expect("free");
    let error = place
        .lock("a")
        .try_lock_for(place.short())
        .expect_err("held");
    assert!(error.is_timed_out(), "{error}");
    let holder = error.holder().expect("it describes itself");
    assert_eq!(holder.pid(), Some(std::process::id()));
    assert_eq!(place.waiters("a"), Some(0));
    drop(held);
}

#[test]
fn a_wait_goes_on_after_a_compaction() {
    let server = server!();
    let place = Prefix::at(&server.endpoint(), "");
    let held = place.lock("a").lock().expect("free");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| place.lock("a").lock().map(drop));
        wait_until("it waits", || place.waiters("a") == Some(1));
        drop(place.lock("b").lock().expect("free"));
        let revision = place.lock("b").lock().expect("free").token();
        let revision = revision.expect("it has tokens").to_string();
        server.etcdctl(&["compact", &revision]);
        held.release().expect("released");
        waiter.join().expect("no panic").expect("granted");
    });
}

#[test]
fn a_waiter_whose_place_is_taken_away_is_told() {
    let server = server!();
    let place = Prefix::at(&server.endpoint(), "");
    let held = place.lock("a").lock().expect("free");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| place.lock("a").lock().map(drop));
        wait_until("it waits", || place.waiters("a") == Some(1));
        let token = place.entry("a").expect("held").waiters[0].token;
        assert!(place.client.break_token("a", token).expect("broken"));
        assert!(!place.client.break_token("a", token).expect("asked"));
        held.release().expect("released");
        let error = waiter.join().expect("no panic").expect_err("not granted");
        assert_eq!(error.kind(), lockfast::ErrorKind::NotHeld, "{error}");
    });
}
