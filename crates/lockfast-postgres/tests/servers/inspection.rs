//! Lists of holders and waiters, breaking a lock, and checks of a server.

use std::thread;

use libtest_mimic::Trial;
use lockfast::engine::Mode;
use lockfast::{ErrorKind, HoldState, SemaphorePermit};
use lockfast_lease::{Kind, Verdict};
use lockfast_servers::postgres::Server;

use crate::releases::{Shared, lock, open, rwlock, semaphore, wait_for_waiters};

pub(crate) fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        shared.trial(
            "holders_and_waiters_are_listed",
            holders_and_waiters_are_listed,
        ),
        shared.trial(
            "readers_and_permits_are_listed",
            readers_and_permits_are_listed,
        ),
        shared.trial(
            "only_the_holder_with_the_token_is_broken",
            only_with_the_token,
        ),
        shared.trial("a_reader_can_be_broken", a_reader_can_be_broken),
        shared.trial(
            "permits_are_listed_and_broken_by_their_token",
            permits_by_their_token,
        ),
        shared.trial(
            "a_prepared_transaction_is_a_holder_without_a_process",
            a_prepared_transaction_is_listed,
        ),
        shared.trial("a_good_server_passes_the_checks", a_good_server_passes),
    ]
}

fn holders_and_waiters_are_listed(server: &Server) {
    let client = open(server, "listed");
    let guard = lock(&client, "jobs/nightly").lock().expect("free");
    let _other = lock(&client, "other").lock().expect("free");
    assert!(open(server, "empty").list("").expect("listed").is_empty());
    thread::scope(|scope| {
        for place in 1..=2 {
            let client = &client;
            scope.spawn(move || lock(client, "jobs/nightly").lock().map(drop));
            wait_for_waiters(client, "jobs/nightly", place);
        }
        let entries = client.list("jobs/").expect("listed");
        let [entry] = &entries[..] else {
            panic!("one name has the prefix: {entries:?}");
        };
        assert_eq!(
            (entry.name.as_str(), entry.kind),
            ("jobs/nightly", Kind::Lock)
        );
        let [holder] = &entry.holders[..] else {
            panic!("one holds it: {entry:?}");
        };
        assert_eq!(
            (Some(holder.token), holder.epoch),
            (guard.token(), client.epoch())
        );
        assert_eq!((holder.mode, holder.place), (Some(Mode::Exclusive), 0));
        let places: Vec<_> = entry.waiters.iter().map(|waiter| waiter.place).collect();
        assert_eq!(places, [1, 2]);
        assert!(entry.waiters[0].since <= entry.waiters[1].since);
        for party in entry.holders.iter().chain(&entry.waiters) {
            assert_eq!(party.pid, Some(std::process::id()));
            assert_eq!(party.user.as_deref(), Some("postgres"));
            assert!(party.since.is_some() && party.host.is_some() && party.command.is_some());
        }
        drop(guard);
    });
    assert!(client.list("jobs/").expect("listed").is_empty());
}

fn readers_and_permits_are_listed(server: &Server) {
    let client = open(server, "kinds");
    let _readers = (
        rwlock(&client, "a").read().expect("free"),
        rwlock(&client, "a").read().expect("shared"),
    );
    let _permits = semaphore(&client, "b", 3).acquire_many(2).expect("free");
    let entries = client.list("").expect("listed");
    assert_eq!(entries.len(), 2, "{entries:?}");
    let modes: Vec<_> = entries[0]
        .holders
        .iter()
        .map(|holder| holder.mode)
        .collect();
    assert_eq!(modes, [Some(Mode::Read); 2]);
    assert_eq!(entries[1].kind, Kind::Semaphore(3));
    let permits: Vec<_> = entries[1]
        .holders
        .iter()
        .map(|holder| holder.permits)
        .collect();
    assert_eq!(permits, [2]);
}

fn only_with_the_token(server: &Server) {
    let client = open(server, "broken");
    let old = lock(&client, "a")
        .lock()
        .expect("free")
        .token()
        .expect("a token");
    let guard = lock(&client, "a").lock().expect("free");
    assert!(!client.break_token("a", old).expect("compared"));
    assert!(!client.break_token("b", old).expect("compared"));
    assert_eq!(guard.state(), HoldState::Valid);
    let token = guard.token().expect("a token");
    assert!(client.break_token("a", token).expect("compared"));
    smol::block_on(guard.lost());
    assert_eq!(guard.state(), HoldState::Lost);
    assert_eq!(
        guard.release().expect_err("lost").kind(),
        ErrorKind::NotHeld
    );
    // The server tells the client before it frees the lock.
    while !client.list("a").expect("listed").is_empty() {
        thread::yield_now();
    }
    assert!(!client.break_token("a", token).expect("compared"), "once");
    assert!(lock(&client, "a").lock().expect("free").token() > Some(token));
}

fn a_reader_can_be_broken(server: &Server) {
    let client = open(server, "broken_reader");
    let guards = [(); 2].map(|()| rwlock(&client, "a").read().expect("shared"));
    let token = client.list("a").expect("listed")[0].holders[0].token;
    assert!(client.break_token("a", token).expect("compared"));
    let is_valid = |guard: &lockfast::RwLockReadGuard<_>| guard.state() == HoldState::Valid;
    while guards.iter().all(is_valid) {
        thread::yield_now();
    }
    assert_eq!(guards.iter().filter(|guard| is_valid(guard)).count(), 1);
}

fn permits_by_their_token(server: &Server) {
    let client = open(server, "permit_tokens");
    let pool = semaphore(&client, "a", 4);
    let mut permits = [1, 2, 1].map(|count| pool.acquire_many(count).expect("free"));
    let part = permits[1].split(1).expect("one of two");
    let tokens = permits.each_ref().map(SemaphorePermit::token);
    assert_eq!(
        (tokens, part.token()),
        ([Some(1), Some(2), Some(3)], Some(2))
    );
    let listed = || {
        let entries = client.list("a").expect("listed");
        let holders = entries.iter().flat_map(|entry| &entry.holders);
        holders
            .map(|holder| (holder.token, holder.permits))
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(), [(1, 1), (2, 2), (3, 1)]);
    assert!(client.break_token("a", 2).expect("compared"));
    smol::block_on(part.lost());
    while listed().len() > 2 {
        thread::yield_now();
    }
    assert_eq!(listed(), [(1, 1), (3, 1)]);
    let states = permits.each_ref().map(SemaphorePermit::state);
    assert_eq!(
        states,
        [HoldState::Valid, HoldState::Lost, HoldState::Valid]
    );
    assert!(!client.break_token("a", 2).expect("compared"), "once");
    // The session of permits that were given back takes others.
    let [first, ..] = permits;
    first.release().expect("held");
    let next = pool.acquire().expect("free");
    assert_eq!(next.token(), Some(4));
    assert_eq!(listed(), [(3, 1), (4, 1)]);
}

fn a_prepared_transaction_is_listed(server: &Server) {
    let client = open(server, "prepared");
    let lock = lock(&client, "a");
    drop(lock.lock().expect("free"));
    // Of another program: the server names no process for it.
    let key = client.key("a");
    server.query(&format!(
        "begin; select pg_advisory_xact_lock({key}); prepare transaction 'other'"
    ));
    assert!(lock.try_lock().expect_err("held").is_contended());
    let entries = client.list("").expect("listed");
    assert_eq!(entries[0].holders.len(), 1, "{entries:?}");
    assert_eq!(entries[0].holders[0].pid, None, "{entries:?}");
    server.query("rollback prepared 'other'");
    assert!(lock.try_lock().is_ok());
}

fn a_good_server_passes(server: &Server) {
    let checks = open(server, "doctor").diagnose();
    let names: Vec<_> = checks.iter().map(|check| check.name).collect();
    assert_eq!(
        names,
        [
            "server",
            "lease",
            "latency",
            "clock",
            "permission",
            "connections",
            "durability",
            "encryption"
        ]
    );
    for check in checks {
        assert!(check.verdict != Verdict::Fail, "{check:?}");
    }
}
