//! Many processes that lock and unlock as fast as they can.

use std::time::Duration;

use crate::Outcome;
use crate::bench::Bench;
use crate::clock;
use crate::contenders::Contender;
use crate::report::{Part, Table, in_short, or_none};
use crate::statistics::{median, number};

const CONTENDERS: [Contender; 13] = [
    Contender::Raw,
    Contender::Lockfast,
    Contender::LockfastTimed,
    Contender::LockfastOff,
    Contender::LockfastFifo,
    Contender::RawFlock,
    Contender::LockfastFlock,
    Contender::Std,
    Contender::Fs4,
    Contender::FdLock,
    Contender::Fasteners,
    Contender::Filelock,
    Contender::Portalocker,
];

const PROCESSES: usize = 8;

/// The figures of a contender in all rounds.
struct Hammering {
    contender: Contender,
    /// Acquisitions of all processes in a second.
    throughput: Vec<f64>,
    least_to_most: Vec<f64>,
}

pub(crate) fn run(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let rounds = bench.extent(7, 1);
    let lasting = Duration::from_millis(bench.extent(1000, 300));
    let mut all: Vec<_> = bench
        .available(&CONTENDERS)
        .into_iter()
        .map(Hammering::new)
        .collect();
    for _ in 0..rounds {
        for hammering in &mut all {
            hammering.measure(bench, lasting)?;
        }
    }

    let mut table = Table::new(
        format!("Hammer, {PROCESSES} processes"),
        &["contender", "acquisitions/s", "/ raw", "least / most"],
        "Lock and unlock with nothing in between, over and over; the median of all rounds. \
         Contenders that sleep and retry do well here by leaving the lock to one process: see \
         least / most, the acquisitions of the process that got the fewest and of the one that got \
         the most.",
    );
    let of = |wanted| {
        let hammering = all.iter().find(|one| one.contender == wanted)?;
        median(&hammering.throughput)
    };
    let raw = of(Contender::Raw).ok_or("no figures")?;
    for hammering in &all {
        let throughput = median(&hammering.throughput).ok_or("no figures")?;
        table.row(vec![
            hammering.contender.to_string(),
            format!("{throughput:.0}"),
            in_short(throughput / raw),
            or_none(median(&hammering.least_to_most), |share| {
                format!("{share:.2}")
            }),
        ]);
    }
    part.table(table);
    let promise = format!("hammer, {PROCESSES} processes, throughput of lockfast / raw");
    let lockfast = of(Contender::Lockfast).map(|throughput| throughput / raw);
    part.at_least(0.75, &promise, lockfast, format!("raw {raw:.0}/s"));
    Ok(())
}

impl Hammering {
    fn new(contender: Contender) -> Self {
        Self {
            contender,
            throughput: Vec::new(),
            least_to_most: Vec::new(),
        }
    }

    fn measure(&mut self, bench: &Bench, lasting: Duration) -> Outcome<()> {
        let mut crew = bench.crew(PROCESSES, self.contender)?;
        let until = clock::now() + clock::nanoseconds(lasting);
        let counts: Vec<u64> = crew.ask_all(&format!("hammer {until}"))?;
        let sum: u64 = counts.iter().sum();
        self.throughput.push(number(sum) / lasting.as_secs_f64());
        let least = counts.iter().min().ok_or("nobody")?;
        let most = counts.iter().max().ok_or("nobody")?;
        self.least_to_most.push(number(*least) / number(*most));
        Ok(())
    }
}
