//! Many threads of one process that lock and unlock as fast as they can, and another process.

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use lockfast::Lock;

use crate::Outcome;
use crate::bench::Bench;
use crate::clock;
use crate::contenders::Contender;
use crate::locks;
use crate::report::{Part, Table, in_short, or_none};
use crate::statistics::{median, number, quantile};
use crate::visits::{self, Visits};

const CONTENDERS: [Contender; 2] = [Contender::Raw, Contender::Lockfast];

const THREADS: usize = 8;

/// How long the other process pauses after each visit.
const PAUSE: Duration = Duration::from_millis(5);

/// How often each thread got the lock.
#[derive(Debug)]
pub(crate) struct Counts(Vec<u64>);

/// The visits of each thread.
#[derive(Debug)]
pub(crate) struct Crowd(pub(crate) Vec<Visits>);

/// The figures of a contender in all rounds.
#[derive(Debug, Default)]
struct Threads {
    throughput: Vec<f64>,
    least_to_most: Vec<f64>,
    /// How long the other process waited, in nanoseconds.
    waits: Vec<f64>,
}

pub(crate) fn run(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let rounds = bench.extent(5, 1);
    let lasting = Duration::from_millis(bench.extent(1000, 300));
    let mut all = CONTENDERS.map(|contender| (contender, Threads::default()));
    for _ in 0..rounds {
        for (contender, threads) in &mut all {
            threads.measure(bench, *contender, lasting)?;
        }
    }

    let mut table = Table::new(
        format!("{THREADS} threads of a process"),
        &[
            "contender",
            "acquisitions/s",
            "/ raw",
            "least / most",
            "another process: p50 µs",
            "p99 µs",
            "longest ms",
        ],
        "Lock and unlock with nothing in between, over and over; with the kernel's bare calls each \
         thread has a descriptor of its own, with lockfast all share one handle. Then the same \
         again, and another process locks every 5 ms: how long it waits.",
    );
    let [(_, raw), (_, lockfast)] = &all;
    let throughput = |threads: &Threads| median(&threads.throughput).ok_or("no figures");
    let ratio = throughput(lockfast)? / throughput(raw)?;
    for (contender, threads) in &all {
        let wait = |share, unit| quantile(&threads.waits, share).map(|wait: f64| wait / unit);
        table.row(vec![
            contender.to_string(),
            format!("{:.0}", throughput(threads)?),
            in_short(throughput(threads)? / throughput(raw)?),
            or_none(median(&threads.least_to_most), in_short),
            or_none(wait(0.5, 1e3), |wait| format!("{wait:.0}")),
            or_none(wait(0.99, 1e3), |wait| format!("{wait:.0}")),
            or_none(wait(1.0, 1e6), |wait| format!("{wait:.1}")),
        ]);
    }
    part.table(table);
    let promise = format!("{THREADS} threads of a process, throughput of lockfast / raw");
    let beside = format!("raw {:.0}/s", throughput(raw)?);
    part.at_least(10.0, &promise, Some(ratio), beside);
    Ok(())
}

impl Threads {
    fn measure(&mut self, bench: &Bench, contender: Contender, lasting: Duration) -> Outcome<()> {
        let mut crew = bench.crew(1, contender)?;
        let order = |until| format!("threads {THREADS} {until}");
        let until = clock::now() + clock::nanoseconds(lasting);
        let counts: Vec<Counts> = crew.ask_all(&order(until))?;
        let Counts(counts) = &counts[0];
        let sum: u64 = counts.iter().sum();
        self.throughput.push(number(sum) / lasting.as_secs_f64());
        let least = counts.iter().min().ok_or("nobody")?;
        let most = counts.iter().max().ok_or("nobody")?;
        self.least_to_most.push(number(*least) / number(*most));

        let mut visitor = bench.crew(1, contender)?;
        let until = clock::now() + clock::nanoseconds(lasting);
        crew.tell_all(&order(until))?;
        let pause = clock::nanoseconds(PAUSE);
        let visits: Vec<Visits> = visitor.ask_all(&format!("visits 0 {pause} {until}"))?;
        crew.answers::<Counts>()?;
        self.waits.extend(visits[0].waits().map(number));
        Ok(())
    }
}

/// Has so many threads lock and unlock until that instant; how often each did.
pub(crate) fn hammer(
    contender: Contender,
    path: &Path,
    threads: usize,
    until: u64,
) -> Outcome<Counts> {
    let over = Arc::new(AtomicBool::new(false));
    let shared = (contender == Contender::Lockfast)
        .then(|| Lock::open(path))
        .transpose()?;
    let hammer = || -> Outcome<u64> {
        let mut count = 0;
        if let Some(lock) = &shared {
            while !over.load(Ordering::Relaxed) {
                lock.lock()?.release()?;
                count += 1;
            }
        } else {
            let mut lock = locks::open(contender, path)?;
            while !over.load(Ordering::Relaxed) {
                lock.locked(&mut || {})?;
                count += 1;
            }
        }
        Ok(count)
    };
    thread::scope(|scope| {
        let hammering: Vec<_> = (0..threads).map(|_| scope.spawn(hammer)).collect();
        thread::sleep(Duration::from_nanos(until.saturating_sub(clock::now())));
        over.store(true, Ordering::Relaxed);
        let join = |thread: thread::ScopedJoinHandle<'_, Outcome<u64>>| {
            thread.join().map_err(|_| "a thread panicked")?
        };
        let counts = hammering.into_iter().map(join);
        Ok(Counts(counts.collect::<Outcome<_>>()?))
    })
}

/// Has so many threads of one handle rush for the lock, each holding it for `hold`.
pub(crate) fn rush(path: &Path, threads: usize, hold: Duration, until: u64) -> Outcome<Crowd> {
    let shared = Lock::open(path)?;
    thread::scope(|scope| {
        let rush = || visits::rush(&mut locks::Untimed(shared.clone()), hold, until);
        let rushing: Vec<_> = (0..threads).map(|_| scope.spawn(rush)).collect();
        let visits = rushing
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a thread panicked")?);
        Ok(Crowd(visits.collect::<Outcome<_>>()?))
    })
}

impl fmt::Display for Crowd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let visits: Vec<_> = self.0.iter().map(Visits::to_string).collect();
        f.write_str(&visits.join(";"))
    }
}

impl FromStr for Crowd {
    type Err = Box<dyn Error + Send + Sync>;

    fn from_str(text: &str) -> Outcome<Self> {
        let visits = text.split(';').map(str::parse);
        Ok(Self(visits.collect::<Outcome<_>>()?))
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<_> = self.0.iter().map(u64::to_string).collect();
        f.write_str(&counts.join(","))
    }
}

impl FromStr for Counts {
    type Err = Box<dyn Error + Send + Sync>;

    fn from_str(text: &str) -> Outcome<Self> {
        let counts = text.split(',').map(|count| Ok(count.parse()?));
        Ok(Self(counts.collect::<Outcome<_>>()?))
    }
}
