//! etcd of three members.

use std::ffi::OsStr;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use lockfast_servers::etcd::{Cluster, Release};
use lockfast_servers::network;
use lockfast_space::Space;

use crate::raw::Raw;
use crate::report::{Report, time};
use crate::{command, cut, herd, tooz};

/// The time after which a waiter has begun to watch.
const SETTLED: Duration = Duration::from_millis(20);

pub(crate) fn measure(
    report: &mut Report,
    rounds: usize,
    lockfast: Option<&OsStr>,
    python: Option<&OsStr>,
) {
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
    herd::measure(report, &url, &endpoints);
    cut::measure(report, "etcd x3", rounds / 50, &endpoints[0], |endpoint| {
        format!("etcd://{endpoint}/cut")
    });
    match lockfast {
        Some(lockfast) => command::measure(report, rounds / 10, lockfast, &url, &endpoints[0]),
        None => report.leave_out("the command", "no --lockfast"),
    }
    match python {
        Some(python) => tooz::measure(report, rounds / 5, python, &url, &endpoints[0]),
        None => report.leave_out("tooz", "no --python"),
    }
}

pub(crate) fn open(url: &str) -> Space {
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
