//! Faults of a certain process at a certain moment. The numbers are those of the list in `docs/design/engine-tests.md`.

mod clients;
mod copies;
mod failover;
mod watched;

use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use lockfast_servers::checkers::register::Register;
use lockfast_servers::network::{self, Network};
use lockfast_servers::{etcd, postgres};
use lockfast_testing::trial_needing;

use crate::steps::Stepper;

/// A test that gets the URL of a server.
type OnServer = fn(&str);
type OnCluster = fn(&mut etcd::Cluster);

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    let on_each: [(&str, OnServer); 3] = [
        (
            "f01_a_killed_holder_is_followed",
            a_killed_holder_is_followed,
        ),
        (
            "f02_a_stopped_holder_is_refused",
            a_stopped_holder_is_refused,
        ),
        (
            "f03_a_stopped_waiter_is_passed_over",
            a_stopped_waiter_is_passed_over,
        ),
    ];
    for (name, test) in on_each {
        trials.extend(on_each_engine(name, "2s", || Ok(()), test));
    }
    let server = || network::available().and(postgres::Release::Debian.find().map(drop));
    let name = "postgres::f04_a_holder_that_is_cut_off_knows_first";
    trials.push(trial_needing!(
        name,
        server(),
        postgres_tells_the_holder_first
    ));
    let on_cluster: [(&str, OnCluster); 6] = [
        (
            "f04_a_holder_that_is_cut_off_knows_first",
            etcd_tells_the_holder_first,
        ),
        (
            "f04_one_member_out_of_reach_changes_nothing",
            one_member_out_of_reach,
        ),
        (
            "f05_the_death_of_a_leader_changes_nothing",
            the_death_of_a_leader,
        ),
        (
            "f05_a_leader_that_stands_still_changes_nothing",
            a_leader_that_stands_still,
        ),
        (
            "f06_without_a_majority_a_holder_is_in_doubt",
            without_a_majority,
        ),
        (
            "f07_no_other_gets_in_while_all_are_down",
            all_members_are_down,
        ),
    ];
    for (name, test) in on_cluster {
        let needed = network::available().and(etcd::Release::Debian.find().map(drop));
        trials.push(trial_needing!(
            &format!("etcd::{name}"),
            needed,
            move || {
                test(&mut etcd::Cluster::start(etcd::Release::Debian));
            }
        ));
    }
    trials.extend(clients::trials());
    trials.extend(copies::trials());
    trials.extend(failover::trials());
    trials.extend(watched::trials());
    trials
}

/// A test on one server of each engine, whose clients have that TTL.
fn on_each_engine(
    name: &str,
    ttl: &'static str,
    needed: fn() -> Result<(), String>,
    test: OnServer,
) -> [Trial; 2] {
    let etcd = needed().and(etcd::Release::Debian.find().map(drop));
    let postgres = needed().and(postgres::Release::Debian.find().map(drop));
    [
        trial_needing!(&format!("etcd::{name}"), etcd, move || {
            let server = etcd::Server::start();
            test(&format!("etcd://{}/faults?ttl={ttl}", server.endpoint()));
        }),
        trial_needing!(&format!("postgres::{name}"), postgres, move || {
            let server = postgres::Server::start();
            test(&format!("{}?ttl={ttl}", server.url()));
        }),
    ]
}

fn a_killed_holder_is_followed(url: &str) {
    let (mut holder, mut waiter) = (Stepper::start(url, None), Stepper::start(url, None));
    let first = holder.lock();
    waiter.begin("lock");
    holder.kill();
    assert!(waiter.granted() > first);
    assert_eq!(waiter.step("release"), "released");
}

fn a_stopped_holder_is_refused(url: &str) {
    let (mut holder, mut waiter) = (Stepper::start(url, None), Stepper::start(url, None));
    let mut register = Register::default();
    let first = holder.lock();
    assert!(register.write(first));
    waiter.begin("lock");
    holder.pause();
    let second = waiter.granted();
    assert!(register.write(second));
    holder.resume();
    assert_ne!(holder.step("state"), "Valid");
    assert!(!register.write(first), "the fence refuses a late writer");
    assert_eq!(holder.step("release"), "lost");
    assert_eq!(waiter.step("state"), "Valid");
    assert_eq!(waiter.step("release"), "released");
}

fn a_stopped_waiter_is_passed_over(url: &str) {
    let mut clients = [(); 3].map(|()| Stepper::start(url, None));
    let [holder, stopped, other] = &mut clients;
    let first = holder.lock();
    stopped.begin("lock");
    // The holder knows of no waiter, so the line may have either order: both are passed on.
    stopped.pause();
    other.begin("lock");
    assert_eq!(holder.step("release"), "released");
    let second = other.granted();
    assert!(second > first);
    stopped.resume();
    assert_eq!(other.step("state"), "Valid");
    assert_eq!(other.step("release"), "released");
    // It waits anew, or says that it lost its place. It has not had the lock before the other.
    let answer = stopped.answer();
    match answer.strip_prefix("held ") {
        Some(token) => assert!(token.parse::<u64>().expect("a token") > second),
        None => assert!(answer.starts_with("failed"), "{answer}"),
    }
}

/// The lease of the clients of a cluster: longer than an election.
const TTL: Duration = Duration::from_secs(5);

fn url(cluster: &etcd::Cluster) -> String {
    format!(
        "etcd://{}/faults?ttl={}s",
        cluster.endpoints(),
        TTL.as_secs()
    )
}

fn etcd_tells_the_holder_first(cluster: &mut etcd::Cluster) {
    let host = cluster.add_host();
    let mut holder = Stepper::start(&url(cluster), Some(&host));
    let mut waiter = Stepper::start(&url(cluster), None);
    let first = holder.lock();
    waiter.begin("lock");
    host.cut();
    assert!(waiter.granted() > first);
    assert_ne!(holder.step("state"), "Valid");
    host.heal();
    assert_eq!(waiter.step("release"), "released");
}

fn postgres_tells_the_holder_first() {
    let mut network = Network::new();
    let host = network.add_host();
    let server = postgres::Options::default().start_on(Some(network.add_host()));
    let url = format!("{}?ttl=2s", server.url());
    let (mut holder, mut waiter) = (
        Stepper::start(&url, Some(&host)),
        Stepper::start(&url, None),
    );
    let first = holder.lock();
    waiter.begin("lock");
    host.cut();
    assert!(waiter.granted() > first);
    assert_ne!(holder.step("state"), "Valid");
    host.heal();
    assert_eq!(waiter.step("release"), "released");
}

/// Asserts that the holder finds its lock valid for that long, at every look.
fn stays_valid(holder: &mut Stepper, time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        assert_eq!(holder.step("state"), "Valid");
        thread::sleep(Duration::from_millis(50));
    }
}

fn one_member_out_of_reach(cluster: &mut etcd::Cluster) {
    let host = cluster.add_host();
    let mut holder = Stepper::start(&url(cluster), Some(&host));
    holder.lock();
    for member in 0..cluster.size() {
        host.lose_from_address(cluster.host(member).address());
        stays_valid(&mut holder, TTL);
        host.lose_nothing();
    }
    assert_eq!(holder.step("release"), "released");
}

fn the_death_of_a_leader(cluster: &mut etcd::Cluster) {
    let mut holder = Stepper::start(&url(cluster), None);
    holder.lock();
    let leader = cluster.leader();
    cluster.kill(leader);
    stays_valid(&mut holder, TTL);
    cluster.restart(leader);
    assert_eq!(holder.step("release"), "released");
}

fn a_leader_that_stands_still(cluster: &mut etcd::Cluster) {
    let mut holder = Stepper::start(&url(cluster), None);
    holder.lock();
    let leader = cluster.leader();
    cluster.process(leader).pause();
    stays_valid(&mut holder, TTL);
    cluster.process(leader).resume();
    assert_eq!(holder.step("release"), "released");
}

fn without_a_majority(cluster: &mut etcd::Cluster) {
    let mut holder = Stepper::start(&url(cluster), None);
    holder.lock();
    cluster.kill(0);
    cluster.kill(1);
    becomes(&mut holder, "Unconfirmed");
    cluster.launch(0);
    cluster.launch(1);
    becomes(&mut holder, "Valid");
    assert_eq!(holder.step("release"), "released");
}

/// Waits until the holder finds its lock in that state.
fn becomes(holder: &mut Stepper, state: &str) {
    let begin = Instant::now();
    loop {
        let found = holder.step("state");
        if found == state {
            return;
        }
        assert!(begin.elapsed() < crate::steps::LONG, "{found}, not {state}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn all_members_are_down(cluster: &mut etcd::Cluster) {
    let mut holder = Stepper::start(&url(cluster), None);
    let mut waiter = Stepper::start(&url(cluster), None);
    let first = holder.lock();
    waiter.begin("lock");
    for member in 0..cluster.size() {
        cluster.kill(member);
    }
    becomes(&mut holder, "Unconfirmed");
    thread::sleep(2 * TTL);
    for member in 0..cluster.size() {
        cluster.launch(member);
    }
    becomes(&mut holder, "Valid");
    assert_eq!(holder.step("release"), "released");
    let answer = waiter.answer();
    match answer.strip_prefix("held ") {
        Some(token) => assert!(token.parse::<u64>().expect("a token") > first),
        None => assert!(answer.starts_with("failed"), "{answer}"),
    }
}
