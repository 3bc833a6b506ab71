//! Faults that a client of etcd sees by its watches.

use libtest_mimic::Trial;

use lockfast_servers::etcd::{Release, Server};
use lockfast_servers::within;
use lockfast_testing::trial_needing;

use crate::steps::{LONG, NAME, Stepper};

pub(crate) fn trials() -> Vec<Trial> {
    let server = || Release::Debian.find().map(drop);
    let revoked = "etcd::f12_a_revoked_lease_is_a_lost_lock";
    let herd = "etcd::f17_a_release_wakes_one_waiter";
    vec![
        trial_needing!(revoked, server(), a_revoked_lease),
        trial_needing!(herd, server(), one_release_and_many_waiters),
    ]
}

fn a_revoked_lease() {
    let server = Server::start();
    // So long that nothing is lost by a deadline.
    let url = format!("etcd://{}/faults?ttl=600s", server.endpoint());
    let (mut holder, mut waiter) = (Stepper::start(&url, None), Stepper::start(&url, None));
    let first = holder.lock();
    let leases = server.etcdctl(&["lease", "list"]);
    let lease = leases.lines().last().expect("that of the holder");
    waiter.begin("lock");
    server.etcdctl(&["lease", "revoke", lease]);
    assert_eq!(holder.step("lost"), "true");
    assert_eq!(holder.step("state"), "Lost");
    assert!(waiter.granted() > first);
    assert_eq!(holder.step("release"), "lost");
    assert_eq!(waiter.step("state"), "Valid");
    assert_eq!(waiter.step("release"), "released");
}

fn one_release_and_many_waiters() {
    const WAITERS: u64 = 12;
    let server = Server::start();
    let url = format!("etcd://{}/faults?ttl=60s", server.endpoint());
    let mut holder = Stepper::start(&url, None);
    holder.lock();
    let mut waiters: Vec<_> = (0..WAITERS).map(|_| Stepper::start(&url, None)).collect();
    let in_line = || {
        let range = format!("faults/v1/{NAME}/q/x/");
        let keys = server.etcdctl(&["get", "--prefix", "--keys-only", &range]);
        keys.lines().filter(|line| !line.is_empty()).count()
    };
    for waiter in &mut waiters {
        let before = in_line();
        waiter.begin("lock");
        assert!(within(LONG, || in_line() > before), "it waits");
    }
    let before = server.watch_events();
    assert_eq!(holder.step("release"), "released");
    for waiter in &mut waiters {
        waiter.granted();
        assert_eq!(waiter.step("release"), "released");
    }
    let events = server.watch_events() - before;
    // One for the next waiter, and perhaps one for the holder itself, which watches its key until it is deleted.
    let most = 2 * (WAITERS + 1);
    assert!((WAITERS..=most).contains(&events), "{events} events");
}
