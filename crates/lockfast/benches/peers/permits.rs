//! Semaphores: a permit that nobody disputes, and more processes than permits.

use std::time::Duration;

use crate::Outcome;
use crate::bench::Bench;
use crate::contenders::{Contender, PERMITS};
use crate::report::{Part, Table, in_short, or_none};
use crate::statistics::{mean, median, number, quantile};
use crate::visits::Log;
use crate::{relay, rush, uncontended};

const SEMAPHORES: [Contender; 2] = [Contender::LockfastPermit, Contender::PortalockerPermit];

const PROCESSES: usize = 12;

const HOLD: Duration = Duration::from_millis(2);

/// The figures of a semaphore in all rounds, in nanoseconds.
#[derive(Debug)]
struct Crowd {
    contender: Contender,
    relay: Vec<f64>,
    /// Acquisitions of all processes in a second.
    throughput: Vec<f64>,
    holds: Vec<f64>,
    waits: Waits,
}

/// The waits for a permit when all rush for them.
#[derive(Debug, Default)]
struct Waits {
    overtaken: u64,
    contended: u64,
    longest: u64,
    least_to_most: Vec<f64>,
}

pub(crate) fn run(bench: &Bench, part: &mut Part) -> Outcome<()> {
    undisputed(bench, part)?;
    let rounds = bench.extent(4, 1);
    let lasting = Duration::from_millis(bench.extent(2500, 500));
    let mut all: Vec<_> = bench
        .available(&SEMAPHORES)
        .into_iter()
        .map(Crowd::new)
        .collect();
    for _ in 0..rounds {
        for crowd in &mut all {
            crowd.measure(bench, lasting)?;
        }
    }
    relay_table(part, &all);
    rush_table(part, &all);
    let lockfast = all
        .iter()
        .find(|crowd| crowd.contender == Contender::LockfastPermit)
        .ok_or("no figures")?;
    bars(bench, part, lockfast);
    Ok(())
}

/// A process, and a permit for it.
fn undisputed(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let mut contenders = vec![Contender::RawTry, Contender::Lockfast];
    contenders.extend(SEMAPHORES);
    let all = uncontended::nanoseconds(bench, &contenders)?;
    let of = |wanted| {
        let (_, taken) = all.iter().find(|(contender, _)| *contender == wanted)?;
        Some(*taken)
    };
    let raw = of(Contender::RawTry).ok_or("no figures")?;
    let mut table = Table::new(
        "A permit that nobody disputes",
        &["contender", "ns", "/ raw"],
        "Acquire and release, on a handle that is open already, in a process of one thread; the \
         median of many turns. Raw are two `F_OFD_SETLK` calls on the whole file.",
    );
    for &(contender, taken) in &all {
        table.row(vec![
            contender.to_string(),
            format!("{taken:.0}"),
            in_short(taken / raw),
        ]);
    }
    part.table(table);
    Ok(())
}

impl Crowd {
    fn new(contender: Contender) -> Self {
        Self {
            contender,
            relay: Vec::new(),
            throughput: Vec::new(),
            holds: Vec::new(),
            waits: Waits::default(),
        }
    }

    fn measure(&mut self, bench: &Bench, lasting: Duration) -> Outcome<()> {
        let mut crew = bench.crew(PROCESSES, self.contender)?;
        let relay = relay::run(&mut crew, HOLD, lasting)?;
        self.relay.extend(relay.handovers());

        let rush = rush::run(&mut crew, HOLD, lasting)?;
        self.throughput.extend(rush.throughput());
        self.holds.extend(rush.holds());
        self.waits.add(&rush);
        Ok(())
    }

    /// The latency below which that share of the hand-overs in the relay stays, in microseconds.
    fn relay(&self, share: f64) -> Option<f64> {
        quantile(&self.relay, share).map(|latency| latency / 1e3)
    }

    /// The acquisitions in relation to what holds of exactly `HOLD` would allow.
    fn of_nominal(&self) -> Option<f64> {
        Some(median(&self.throughput)? / ideal(HOLD.as_secs_f64()))
    }

    /// The acquisitions in relation to what the holds as they were would allow.
    fn of_actual(&self) -> Option<f64> {
        Some(median(&self.throughput)? / ideal(self.hold()? / 1e9))
    }

    /// How long a permit was held, on average: so long is it missing to others.
    fn hold(&self) -> Option<f64> {
        mean(self.holds.iter().copied())
    }
}

impl Waits {
    fn add(&mut self, rush: &Log) {
        let (overtaken, contended) = rush.overtakings();
        self.overtaken += overtaken;
        self.contended += contended;
        self.longest = self.longest.max(rush.longest_wait());
        self.least_to_most.extend(rush.least_to_most());
    }
}

/// How many acquisitions there can be in a second when each is held for so many seconds.
fn ideal(hold: f64) -> f64 {
    f64::from(PERMITS) / hold
}

fn relay_table(part: &mut Part, all: &[Crowd]) {
    let mut table = Table::new(
        format!("Wake-up, {PROCESSES} processes in a relay with {PERMITS} permits"),
        &["contender", "hand-overs", "p50 µs", "p99 µs"],
        "Each holds its permit for 2 ms and asks again when as many others have got one after it, \
         so that every release finds somebody waiting and none can overtake. The latency is from \
         just before a release to just after the acquisition that it made possible. Those who sleep \
         and retry began together and retry together: several permits change hands at once, and none \
         for the rest of the time, so of them the number of hand-overs and the p99 tell more.",
    );
    for crowd in all {
        table.row(vec![
            crowd.contender.to_string(),
            crowd.relay.len().to_string(),
            or_none(crowd.relay(0.5), |p50| format!("{p50:.1}")),
            or_none(crowd.relay(0.99), |p99| format!("{p99:.1}")),
        ]);
    }
    part.table(table);
}

fn rush_table(part: &mut Part, all: &[Crowd]) {
    let mut table = Table::new(
        format!("Throughput, {PROCESSES} processes in a rush with {PERMITS} permits"),
        &[
            "contender",
            "acquisitions/s",
            "of those at 2 ms",
            "hold ms",
            "of those at that hold",
            "least / most",
            "longest wait ms",
            "overtaken",
        ],
        "Each holds its permit for 2 ms, asleep, and goes back for one at once. Permits that are \
         always out for exactly 2 ms each allow 1500 acquisitions a second. The sleep lasts a bit \
         longer than 2 ms, whatever the semaphore does: so the share is also told of those that the \
         hold as it was allows, which leaves what is lost between a release and the next \
         acquisition. Overtaken: after how many of the releases for which somebody waited the \
         permit went to a process that had not asked yet.",
    );
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    for crowd in all {
        let waits = &crowd.waits;
        let overtaken = number(waits.overtaken) / number(waits.contended.max(1));
        table.row(vec![
            crowd.contender.to_string(),
            or_none(median(&crowd.throughput), |throughput| {
                format!("{throughput:.0}")
            }),
            or_none(crowd.of_nominal(), percent),
            or_none(crowd.hold(), |hold| format!("{:.3}", hold / 1e6)),
            or_none(crowd.of_actual(), percent),
            or_none(median(&waits.least_to_most), |share| format!("{share:.2}")),
            format!("{:.0}", number(waits.longest) / 1e6),
            percent(overtaken),
        ]);
    }
    part.table(table);
}

fn bars(bench: &Bench, part: &mut Part, crowd: &Crowd) {
    let name = crowd.contender;
    let what = format!("{PROCESSES} processes, {PERMITS} permits, 2 ms each, {name}");
    let promise = format!("{what}: share of the acquisitions that the hold as it was allows");
    let hold = or_none(crowd.hold(), |hold| format!("a hold {:.3} ms", hold / 1e6));
    part.at_least(0.9, &promise, crowd.of_actual(), hold);
    let machine = bench.machine();
    let promise = format!("{what}: p50 from a release to the next holder / a bare wake-up");
    let to_wake = crowd.relay(0.5).map(|p50| p50 / machine.wake);
    part.at_most(20.0, &promise, to_wake, machine.beside_wake());
}
