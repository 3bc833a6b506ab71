//! Time from the release of one process to the acquisition of another.
//!
//! Every process notes three instants of each acquisition on the clock that all share: just before
//! it asks, just after it has the lock, and just before it releases it. A hand-over is a release
//! followed by the acquisition of a process that was waiting at that instant; how long it takes is
//! the time between the two.
//!
//! It is measured in a relay: a process that releases asks again once another one has the lock. Every
//! release finds all others waiting and nobody can overtake them, so every release is a hand-over, for
//! those who wait in the kernel and for those who sleep and retry. Processes that go back at once are
//! another matter (see `fairness`).

use std::time::Duration;

use crate::Outcome;
use crate::bench::Bench;
use crate::contenders::Contender;
use crate::relay;
use crate::report::{Part, Table, in_short, or_none};
use crate::statistics::quantile;

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

/// The contenders that are compared with the code before, if there is any.
const COMPARED: [Contender; 3] = [
    Contender::Lockfast,
    Contender::LockfastTimed,
    Contender::LockfastTask,
];

/// Two measurements of the same code differ by that much.
const NOT_ABOVE: f64 = 1.05;

const HOLD: Duration = Duration::from_millis(1);

/// The figures of a contender in all rounds with that many processes.
#[derive(Debug)]
pub(crate) struct Handovers {
    pub(crate) contender: Contender,
    pub(crate) processes: usize,
    /// Whether the code before is measured, instead of today's.
    is_before: bool,
    /// In nanoseconds.
    relay: Vec<f64>,
}

pub(crate) fn run(bench: &Bench, part: &mut Part) -> Outcome<Vec<Handovers>> {
    let rounds = bench.extent(4, 1);
    let lasting = Duration::from_millis(bench.extent(1500, 500));
    let contenders = bench.available(&CONTENDERS);
    let mut all = Vec::new();
    for processes in SIZES {
        for &contender in &contenders {
            all.push(Handovers::new(contender, processes));
            if bench.before().is_some() && COMPARED.contains(&contender) {
                all.push(Handovers {
                    is_before: true,
                    ..Handovers::new(contender, processes)
                });
            }
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
        bars(part, processes, |contender, is_before| {
            let mut all = of_this_size().filter(|one| one.is_before == is_before);
            all.find(|one| one.contender == contender)
        });
    }
    all.retain(|one| !one.is_before);
    Ok(all)
}

impl Handovers {
    fn new(contender: Contender, processes: usize) -> Self {
        Self {
            contender,
            processes,
            is_before: false,
            relay: Vec::new(),
        }
    }

    fn name(&self) -> String {
        let before = if self.is_before {
            ", the code before"
        } else {
            ""
        };
        format!("{}{before}", self.contender)
    }

    /// The latency below which that share of the hand-overs in the relay stays, in microseconds.
    pub(crate) fn relay(&self, share: f64) -> Option<f64> {
        quantile(&self.relay, share).map(|latency| latency / 1e3)
    }

    fn measure(&mut self, bench: &Bench, lasting: Duration) -> Outcome<()> {
        let mut crew = if self.is_before {
            bench.crew_before(self.processes, self.contender)?
        } else {
            bench.crew(self.processes, self.contender)?
        };
        let relay = relay::run(&mut crew, HOLD, lasting)?;
        self.relay.extend(relay.handovers());
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
            one.name(),
            one.relay.len().to_string(),
            or_none(p50, |p50| format!("{p50:.1}")),
            or_none(p99, |p99| format!("{p99:.1}")),
            or_none(ratio(p50, raw), in_short),
        ]);
    }
    part.table(table);
}

fn bars<'a>(
    part: &mut Part,
    processes: usize,
    find: impl Fn(Contender, bool) -> Option<&'a Handovers>,
) {
    let p50 = |contender| find(contender, false)?.relay(0.5);
    let shown = |p50| or_none(p50, |p50| format!("{p50:.1} µs"));
    let raw = p50(Contender::Raw);
    for (limit, contender) in [
        (1.3, Contender::Lockfast),
        (2.0, Contender::LockfastTimed),
        (3.0, Contender::LockfastTask),
    ] {
        let what = format!("{processes} processes in a relay, p50 of {contender}");
        let beside = format!("raw {}", shown(raw));
        let to_raw = ratio(p50(contender), raw);
        part.at_most(limit, &format!("{what} / raw"), to_raw, beside);
        let before = find(contender, true).and_then(|before| before.relay(0.5));
        let beside = before.map_or_else(
            || "no --before was given".to_owned(),
            |before| format!("before {before:.1} µs, raw {}", shown(raw)),
        );
        let to_before = ratio(p50(contender), before);
        let promise = format!("{what} / the code before");
        part.at_most(NOT_ABOVE, &promise, to_before, beside);
    }
    let fifo = Contender::LockfastFifo;
    let lockfast = p50(Contender::Lockfast);
    let beside = format!("raw {}, lockfast {}", shown(raw), shown(lockfast));
    let promise = format!("{processes} processes in a relay, p50 of {fifo} / lockfast");
    part.at_most(2.5, &promise, ratio(p50(fifo), lockfast), beside.clone());
    for peer in [Contender::Fasteners, Contender::Filelock] {
        let promise = format!("{processes} processes in a relay, p50 of {peer} / lockfast");
        part.at_least(500.0, &promise, ratio(p50(peer), lockfast), beside.clone());
    }
}

fn ratio(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    Some(one? / other?)
}
