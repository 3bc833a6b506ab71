//! Locks that linger: alone, with a visitor now and then, and two processes that both want to keep it.

use std::time::Duration;

use crate::Outcome;
use crate::bench::Bench;
use crate::clock;
use crate::contenders::Contender;
use crate::report::{Part, Table, in_short, or_none};
use crate::statistics::{median, number, quantile};
use crate::visits::Visits;

/// Contenders whose lock nobody else wants.
const ALONE: [Contender; 5] = [
    Contender::Mutex,
    Contender::Lockfast,
    Contender::LockfastLinger,
    Contender::LockfastRead,
    Contender::LockfastLingerRead,
];

/// Contenders of which two want the same lock.
const FIGHTING: [Contender; 2] = [Contender::Lockfast, Contender::LockfastLinger];

/// How often a worker locks and unlocks each time that it is its turn: some milliseconds at most, so
/// that few turns are disturbed, and many times more than it takes until the lock is kept.
const COUNT: u32 = 10_000;

/// How long the visitor pauses after each visit.
const PAUSE: Duration = Duration::from_millis(5);

/// The figures of two processes that contend, in all rounds.
struct Fight {
    contender: Contender,
    throughput: Vec<f64>,
    least_to_most: Vec<f64>,
}

pub(crate) fn run(bench: &Bench, part: &mut Part) -> Outcome<()> {
    alone(bench, part)?;
    visited(bench, part)?;
    fighting(bench, part)
}

fn alone(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let turns = bench.extent(100, 10);
    let order = format!("rounds {COUNT}");
    let mut crews = Vec::new();
    for contender in ALONE {
        crews.push((contender, bench.crew(1, contender)?, Vec::new()));
    }
    for _ in 0..turns {
        for (_, crew, figures) in &mut crews {
            let taken: Vec<u64> = crew.ask_all(&order)?;
            figures.push(number(taken[0]) / f64::from(COUNT));
        }
    }
    let mut table = Table::new(
        "A lock that lingers, alone",
        &["contender", "ns", "/ std Mutex"],
        "Lock and unlock, over and over, in a process of one thread that nobody disturbs; the median \
         of many turns. The `Mutex` is one that nobody else knows.",
    );
    let mut mutex = None;
    for (contender, _, figures) in &crews {
        let taken = median(figures).ok_or("no figures")?;
        let mutex = *mutex.get_or_insert(taken);
        table.row(vec![
            contender.to_string(),
            format!("{taken:.1}"),
            in_short(taken / mutex),
        ]);
        if matches!(
            contender,
            Contender::LockfastLinger | Contender::LockfastLingerRead
        ) {
            let promise = format!("{contender}, alone / an idle std Mutex");
            let beside = format!("std Mutex {mutex:.1} ns");
            part.at_most(1.3, &promise, Some(taken / mutex), beside);
        }
    }
    part.table(table);
    Ok(())
}

fn visited(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let lasting = Duration::from_millis(bench.extent(5_000, 1_000));
    let mut table = Table::new(
        "A lock that lingers, and a visitor",
        &[
            "keeper",
            "its ns",
            "visits",
            "visitor: p50 µs",
            "p99 µs",
            "longest ms",
        ],
        "One process locks and unlocks all the time; another one, by plain lockfast, locks every \
         5 ms: how long it waits.",
    );
    for keeper in FIGHTING {
        let mut keepers = bench.crew(1, keeper)?;
        let mut visitors = bench.crew_beside(1, Contender::Lockfast, keeper)?;
        let until = clock::now() + clock::nanoseconds(lasting);
        keepers.tell_all(&format!("flood {until}"))?;
        let pause = clock::nanoseconds(PAUSE);
        let visits: Vec<Visits> = visitors.ask_all(&format!("visits 0 {pause} {until}"))?;
        let counts: Vec<u64> = keepers.answers()?;
        let waits: Vec<_> = visits[0].waits().map(number).collect();
        let p50 = quantile(&waits, 0.5).map(|wait| wait / 1e3);
        let micros = |share| quantile(&waits, share).map(|wait| wait / 1e3);
        table.row(vec![
            keeper.to_string(),
            format!("{:.1}", lasting.as_secs_f64() * 1e9 / number(counts[0])),
            waits.len().to_string(),
            or_none(p50, |p50| format!("{p50:.0}")),
            or_none(micros(0.99), |p99| format!("{p99:.0}")),
            or_none(micros(1.0), |longest| format!("{:.1}", longest / 1e3)),
        ]);
        if keeper == Contender::LockfastLinger {
            let machine = bench.machine();
            let to_wake = p50.ok_or("nobody got in")? / machine.wake;
            let promise = "a visitor of a lock that lingers, p50 / a bare wake-up";
            part.at_most(10.0, promise, Some(to_wake), machine.beside_wake());
        }
    }
    part.table(table);
    Ok(())
}

fn fighting(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let rounds = bench.extent(7, 3);
    let lasting = Duration::from_millis(bench.extent(1_000, 300));
    let mut fights = FIGHTING.map(|contender| Fight {
        contender,
        throughput: Vec::new(),
        least_to_most: Vec::new(),
    });
    for _ in 0..rounds {
        for fight in &mut fights {
            fight.measure(bench, lasting)?;
        }
    }
    let mut table = Table::new(
        "Two processes that want it all the time",
        &["contender", "acquisitions/s", "least / most"],
        "Lock and unlock with nothing in between, over and over; the median of all rounds.",
    );
    for fight in &fights {
        table.row(vec![
            fight.contender.to_string(),
            or_none(median(&fight.throughput), |all| format!("{all:.0}")),
            or_none(median(&fight.least_to_most), in_short),
        ]);
    }
    part.table(table);
    let [plain, lingering] = &fights;
    let ratio = median(&lingering.throughput).zip(median(&plain.throughput));
    part.at_least(
        0.7,
        "two processes that want it all the time, throughput with linger / without",
        ratio.map(|(lingering, plain)| lingering / plain),
        bench.machine().beside_call(),
    );
    Ok(())
}

impl Fight {
    fn measure(&mut self, bench: &Bench, lasting: Duration) -> Outcome<()> {
        let mut crew = bench.crew(2, self.contender)?;
        let until = clock::now() + clock::nanoseconds(lasting);
        let counts: Vec<u64> = crew.ask_all(&format!("flood {until}"))?;
        let sum: u64 = counts.iter().sum();
        self.throughput.push(number(sum) / lasting.as_secs_f64());
        let least = counts.iter().min().ok_or("nobody")?;
        let most = counts.iter().max().ok_or("nobody")?;
        self.least_to_most.push(number(*least) / number(*most));
        Ok(())
    }
}
