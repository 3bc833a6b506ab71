//! etcd of three members.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use lockfast_servers::etcd::{Cluster, Release};
use lockfast_servers::network;
use lockfast_space::Space;

use crate::command;
use crate::raw::Raw;
use crate::report::{Report, time};

/// The time after which a waiter has begun to watch.
const SETTLED: Duration = Duration::from_millis(20);
const WAITERS: u32 = 200;

pub(crate) fn measure(report: &mut Report, rounds: usize, lockfast: Option<&OsStr>) {
    let needed = network::available().and(Release::Debian.find().map(drop));
    if let Err(reason) = needed {
        return report.leave_out("etcd", &reason);
    }
    let cluster = Cluster::start(Release::Debian);
    let leader = cluster.leader();
    let order = (0..cluster.size()).map(|member| (leader + member) % cluster.size());
    let endpoints: Vec<_> = order.map(|member| cluster.endpoint(member)).collect();
    let url = format!("etcd://{}/bench", endpoints.join(","));
    uncontended(report, rounds, &url, &endpoints[0]);
    hand_over(report, rounds / 5, &url, &endpoints[0]);
    herd(report, &url, &endpoints);
    match lockfast {
        Some(lockfast) => command::measure(report, rounds / 10, lockfast, &url, &endpoints[0]),
        None => report.leave_out("the command", "no --lockfast"),
    }
}

fn open(url: &str) -> Space {
    Space::open(url).unwrap_or_else(|error| panic!("{error}"))
}

fn uncontended(report: &mut Report, rounds: usize, url: &str, endpoint: &str) {
    let space = open(url);
    let lock = space.lock("uncontended").expect("opened");
    let mut raw = Raw::new(endpoint, "raw/uncontended");
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(time(|| lock.lock().expect("free").release().expect("held")));
        bare.push(time(|| {
            let revision = raw.create();
            raw.delete(revision);
        }));
    }
    report.compare(
        "etcd x3: lock + unlock / two transactions",
        &ours,
        &bare,
        1.3,
    );
}

fn hand_over(report: &mut Report, rounds: usize, url: &str, endpoint: &str) {
    let spaces = [open(url), open(url)];
    let locks = spaces
        .each_ref()
        .map(|space| space.lock("relay").expect("opened"));
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    let mut raw = Raw::new(endpoint, "raw/relay");
    for _ in 0..rounds {
        ours.push(thread::scope(|scope| {
            let guard = locks[0].lock().expect("free");
            let waiter = scope.spawn(|| {
                let guard = locks[1].lock().expect("granted");
                let granted = Instant::now();
                drop(guard);
                granted
            });
            let waits = || spaces[0].holders("relay").expect("known");
            while waits().is_none_or(|entry| entry.waiters.is_empty()) {
                thread::yield_now();
            }
            thread::sleep(SETTLED);
            let begin = Instant::now();
            guard.release().expect("held");
            waiter.join().expect("no panic") - begin
        }));
        bare.push(thread::scope(|scope| {
            let revision = raw.create();
            let (ready, is_ready) = mpsc::channel();
            let watcher = scope.spawn(move || {
                let next = Raw::new(endpoint, "raw/relay").watch(revision + 1);
                ready.send(()).expect("awaited");
                next();
                Instant::now()
            });
            is_ready.recv().expect("it watches");
            thread::sleep(SETTLED);
            let begin = Instant::now();
            raw.delete(revision);
            watcher.join().expect("no panic") - begin
        }));
    }
    report.compare(
        "etcd x3: hand-over / delete to watch event",
        &ours,
        &bare,
        1.5,
    );
}

/// Counts the watch events and the threads of one process that has many waiters.
fn herd(report: &mut Report, url: &str, endpoints: &[String]) {
    let space = open(url);
    let waiters = || {
        let entry = space.holders("herd").expect("known");
        entry.map(|entry| entry.waiters.len())
    };
    let mut threads = Vec::new();
    let mut sent = 0.0;
    for number in [1, WAITERS] {
        let guard = space.lock("herd").expect("opened").lock().expect("free");
        let before = threads_of_process();
        thread::scope(|scope| {
            for _ in 0..number {
                scope.spawn(|| drop(space.lock("herd").expect("opened").lock().expect("granted")));
            }
            while waiters() != Some(number as usize) {
                thread::sleep(SETTLED);
            }
            thread::sleep(SETTLED);
            let own = threads_of_process().saturating_sub(before + number);
            threads.push(f64::from(own));
            sent = events(endpoints);
            guard.release().expect("held");
            while waiters().is_some() {
                thread::sleep(SETTLED);
            }
            sent = events(endpoints) - sent;
        });
    }
    let label = "etcd x3: watch events for each release with 200 waiters / one";
    report.count(label, sent / f64::from(WAITERS), 1.0, 1.05);
    let label = "threads of the library that 200 waiters add, plus one / one waiter";
    report.count(label, threads[1] + 1.0, threads[0] + 1.0, 1.0);
}

fn threads_of_process() -> u32 {
    let threads = fs::read_dir("/proc/self/task").expect("the system's");
    u32::try_from(threads.count()).unwrap_or(u32::MAX)
}

/// The watch events that the members have sent.
fn events(endpoints: &[String]) -> f64 {
    const NAME: &str = "etcd_debugging_mvcc_events_total ";
    let of_member = |endpoint: &String| {
        let address = endpoint.replace(":2379", ":2381");
        let mut stream = TcpStream::connect(&address).expect("its metrics");
        write!(stream, "GET /metrics HTTP/1.0\r\n\r\n").expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("answered");
        let line = text.lines().find_map(|line| line.strip_prefix(NAME));
        line.expect("counted").parse::<f64>().expect("a number")
    };
    endpoints.iter().map(of_member).sum()
}
