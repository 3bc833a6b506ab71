//! Locks on etcd and PostgreSQL against the bare requests that they need, all in one run.
//!
//! ```text
//! cargo bench --package lockfast-space --features etcd,postgres --bench engines -- [--lockfast PATH] [--python PATH] [--quick]
//! ```
//!
//! `--lockfast` is the release build of the command; without it the command is left out. `--python` is an
//! interpreter that has lockfast and tooz. Each measurement is made in
//! rounds that have both contenders, so that whatever else the machine does hits both. For Linux.

#[cfg(target_os = "linux")]
mod command;
#[cfg(target_os = "linux")]
mod cut;
#[cfg(target_os = "linux")]
mod etcd;
#[cfg(target_os = "linux")]
mod herd;
#[cfg(target_os = "linux")]
mod postgres;
#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "the engine needs more messages")]
#[path = "../../../lockfast-etcd/src/proto.rs"]
mod proto;
#[cfg(target_os = "linux")]
mod raw;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod tooz;

#[cfg(target_os = "linux")]
fn main() {
    if herd::is_member() {
        return herd::wait();
    }
    lockfast_servers::network::enter();
    let mut report = report::Report::default();
    let (mut lockfast, mut python, mut rounds) = (None, None, 1_000);
    let mut words = std::env::args_os().skip(1);
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("--lockfast") => lockfast = words.next(),
            Some("--python") => python = words.next(),
            Some("--quick") => rounds = 100,
            // Cargo adds this to every benchmark.
            Some("--bench") => {}
            _ => panic!("no such argument: {}", word.to_string_lossy()),
        }
    }
    etcd::measure(&mut report, rounds, lockfast.as_deref(), python.as_deref());
    postgres::measure(&mut report, rounds);
    println!("{report}");
}

#[cfg(not(target_os = "linux"))]
fn main() {}
