//! From the release of one process to the acquisition of another.
//!
//! Every process notes three instants of each acquisition on the clock that all share: just before
//! it asks, just after it has the lock, and just before it releases it. A hand-over is a release
//! followed by the acquisition of a process that was waiting at that instant; how long it takes is
//! the time between the two.
//!
//! What processes do after a release decides what is measured, so there are two ways:
//!
//! * **Relay**: who releases asks again once somebody else has the lock. Every release finds all
//!   others waiting and nobody can overtake them, so every release is a hand-over, for those who
//!   wait in the kernel and for those who sleep and retry. This is how quickly a waiter is served.
//! * **Rush**: who releases goes back for the lock at once. It is awake and the one that waits has to
//!   be woken, so with the kernel's bare calls too it often gets the lock again: how often is
//!   reported as "overtaken". Only the other releases are hand-overs. For contenders that sleep and
//!   retry these are the few times that a retry falls into the gap between a release and the next
//!   acquisition, so what tells about them here is how evenly the lock is shared and the longest
//!   wait.

use std::time::Duration;

use crate::Outcome;
use crate::bench::Bench;
use crate::contenders::Contender;
use crate::report::{Part, Table, in_short, or_none};
use crate::statistics::{median, number, quantile};
use crate::{relay, rush};

const CONTENDERS: [Contender; 14] = [
    Contender::Raw,
    Contender::Lockfast,
    Contender::LockfastTimed,
    Contender::LockfastTask,
    Contender::LockfastOff,
    Contender::LockfastFifo,
    Contender::Std,
    Contender::Fs4,
    Contender::RawTask,
    Contender::Fs4Task,
    Contender::FdLock,
    Contender::Fasteners,
    Contender::Filelock,
    Contender::Portalocker,
];

/// How many processes pass the lock on.
pub(crate) const SIZES: [usize; 2] = [2, 8];

const HOLD: Duration = Duration::from_millis(1);

/// What a contender did in all rounds with that many processes.
#[derive(Debug)]
pub(crate) struct Handovers {
    pub(crate) contender: Contender,
    pub(crate) processes: usize,
    /// In nanoseconds.
    relay: Vec<f64>,
    rush: Rush,
}

#[derive(Debug, Default)]
struct Rush {
    /// In nanoseconds.
    handovers: Vec<f64>,
    overtaken: u64,
    contended: u64,
    longest_wait: u64,
    least_to_most: Vec<f64>,
}

pub(crate) fn run(bench: &Bench, part: &mut Part) -> Outcome<Vec<Handovers>> {
    let rounds = bench.extent(4, 1);
    let lasting = Duration::from_millis(bench.extent(1500, 500));
    let contenders = bench.available(&CONTENDERS);
    let mut all = Vec::new();
    for processes in SIZES {
        for &contender in &contenders {
            all.push(Handovers::new(contender, processes));
        }
    }
    for _ in 0..rounds {
        for handovers in &mut all {
            handovers.measure(bench, lasting)?;
        }
    }
    for processes in SIZES {
        let of_this_size = || all.iter().filter(move |one| one.processes == processes);
        relay_table(part, processes, of_this_size());
        rush_table(part, processes, of_this_size());
        let find = |contender| of_this_size().find(|one| one.contender == contender);
        bars(part, processes, find);
    }
    Ok(all)
}

impl Handovers {
    fn new(contender: Contender, processes: usize) -> Self {
        Self {
            contender,
            processes,
            relay: Vec::new(),
            rush: Rush::default(),
        }
    }

    /// The latency below which that share of the hand-overs in the relay stays, in microseconds.
    pub(crate) fn relay(&self, share: f64) -> Option<f64> {
        quantile(&self.relay, share).map(|latency| latency / 1e3)
    }

    fn rush(&self, share: f64) -> Option<f64> {
        quantile(&self.rush.handovers, share).map(|latency| latency / 1e3)
    }

    fn least_to_most(&self) -> Option<f64> {
        median(&self.rush.least_to_most)
    }

    fn measure(&mut self, bench: &Bench, lasting: Duration) -> Outcome<()> {
        let mut crew = bench.crew(self.processes, self.contender)?;
        let relay = relay::run(&mut crew, HOLD, lasting)?;
        self.relay.extend(relay.handovers());

        let log = rush::run(&mut crew, HOLD, lasting)?;
        let rush = &mut self.rush;
        rush.handovers.extend(log.handovers());
        let (overtaken, contended) = log.overtakings();
        rush.overtaken += overtaken;
        rush.contended += contended;
        rush.longest_wait = rush.longest_wait.max(log.longest_wait());
        rush.least_to_most.extend(log.least_to_most());
        Ok(())
    }
}

fn relay_table<'a>(part: &mut Part, processes: usize, all: impl Iterator<Item = &'a Handovers>) {
    let mut table = Table::new(
        format!("Hand-over, {processes} processes in a relay"),
        &["contender", "hand-overs", "p50 µs", "p99 µs", "p50 / raw"],
        "Each holds the lock for 1 ms and asks again when another process has it, so that every \
         release finds all others waiting and none can overtake. The latency is from just before \
         the release to just after the acquisition of the next one. Of several that sleep and retry \
         the first to retry counts.",
    );
    let mut raw = None;
    for one in all {
        let (p50, p99) = (one.relay(0.5), one.relay(0.99));
        let raw = *raw.get_or_insert(p50);
        table.row(vec![
            one.contender.to_string(),
            one.relay.len().to_string(),
            or_none(p50, |p50| format!("{p50:.1}")),
            or_none(p99, |p99| format!("{p99:.1}")),
            or_none(ratio(p50, raw), in_short),
        ]);
    }
    part.table(table);
}

fn rush_table<'a>(part: &mut Part, processes: usize, all: impl Iterator<Item = &'a Handovers>) {
    let mut table = Table::new(
        format!("Fairness, {processes} processes in a rush"),
        &[
            "contender",
            "least / most",
            "longest wait ms",
            "overtaken",
            "hand-overs",
            "p50 µs",
            "p99 µs",
            "p50 / raw",
        ],
        "Each holds the lock for 1 ms and goes back for it at once. Least / most: acquisitions of \
         the process that got the fewest and of the one that got the most, the middle one of all \
         rounds. Overtaken: after how many of the releases for which somebody waited the lock went \
         to a process that had not asked yet, mostly the one that released it; the other releases \
         are the hand-overs. Those of contenders that sleep and retry are lucky retries: their \
         latency says little, the longest wait much.",
    );
    let mut raw = None;
    for one in all {
        let (p50, p99) = (one.rush(0.5), one.rush(0.99));
        let raw = *raw.get_or_insert(p50);
        let rush = &one.rush;
        let overtaken = 100.0 * number(rush.overtaken) / number(rush.contended.max(1));
        table.row(vec![
            one.contender.to_string(),
            or_none(one.least_to_most(), |share| format!("{share:.2}")),
            format!("{:.0}", number(rush.longest_wait) / 1e6),
            format!("{overtaken:.0} %"),
            rush.handovers.len().to_string(),
            or_none(p50, |p50| format!("{p50:.1}")),
            or_none(p99, |p99| format!("{p99:.1}")),
            or_none(ratio(p50, raw), in_short),
        ]);
    }
    part.table(table);
}

fn bars<'a>(part: &mut Part, processes: usize, find: impl Fn(Contender) -> Option<&'a Handovers>) {
    let relay = |contender| find(contender)?.relay(0.5);
    let rush = |contender| find(contender)?.rush(0.5);
    let promised = [
        (1.3, Contender::Lockfast),
        (2.0, Contender::LockfastTimed),
        (3.0, Contender::LockfastTask),
    ];
    for (limit, contender) in promised {
        let promise = format!("{processes} processes in a relay, p50 of {contender} / raw");
        let to_raw = ratio(relay(contender), relay(Contender::Raw));
        part.at_most(limit, &promise, to_raw);
        // In a rush the one that releases keeps a processor busy while a task is woken by its helper: with
        // few processors that is what would be measured.
        if contender != Contender::LockfastTask {
            let promise = format!("{processes} processes in a rush, p50 of {contender} / raw");
            let to_raw = ratio(rush(contender), rush(Contender::Raw));
            part.at_most(limit, &promise, to_raw);
        }
        let promise = format!("{processes} processes in a rush, least / most of {contender}");
        let least_to_most = find(contender).and_then(Handovers::least_to_most);
        part.at_least(0.5, &promise, least_to_most);
    }
    let fifo = Contender::LockfastFifo;
    let promise = format!("{processes} processes in a relay, p50 of {fifo} / lockfast");
    let to_default = ratio(relay(fifo), relay(Contender::Lockfast));
    part.at_most(2.5, &promise, to_default);
    for peer in [Contender::Fasteners, Contender::Filelock] {
        let promise = format!("{processes} processes in a relay, p50 of {peer} / lockfast");
        let to_lockfast = ratio(relay(peer), relay(Contender::Lockfast));
        part.at_least(500.0, &promise, to_lockfast);
    }
}

fn ratio(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    Some(one? / other?)
}
