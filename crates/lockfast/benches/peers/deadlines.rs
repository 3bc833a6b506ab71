//! How late a wait with a deadline ends.

use std::path::Path;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use lockfast::Lock;

use crate::Outcome;
use crate::bench::Bench;
use crate::report::{Part, Table, in_short};
use crate::statistics::{number, quantile};

/// Waits that end at the same times, and sleeps that do.
#[derive(Clone, Copy)]
struct Crowd {
    name: &'static str,
    size: u32,
    /// Between one deadline and the next.
    apart: Duration,
    /// The ways to wait, each with its bars, if there are any. The last one sleeps.
    ways: &'static [(Way, Option<Limits>)],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// By a handle of its own.
    ByItself,
    /// All by one handle.
    Together,
    /// For nothing but the time.
    Sleeps,
}

/// The p50 and the p99 of how late the waits end, in relation to those of bare sleeps.
type Limits = [f64; 2];

const CROWDS: [Crowd; 3] = [
    Crowd {
        name: "1 wait",
        size: 1,
        apart: Duration::ZERO,
        ways: &[(Way::ByItself, Some([3.0, 5.0])), (Way::Sleeps, None)],
    },
    Crowd {
        name: "200 waits, 0.25 ms apart",
        size: 200,
        apart: Duration::from_micros(250),
        ways: &[(Way::ByItself, Some([3.0, 5.0])), (Way::Sleeps, None)],
    },
    Crowd {
        name: "200 waits, at one instant",
        size: 200,
        apart: Duration::ZERO,
        ways: &[
            (Way::Together, Some([3.0, 5.0])),
            (Way::ByItself, None),
            (Way::Sleeps, None),
        ],
    },
];

/// The quantiles that are promised.
const SHARES: [(&str, f64); 2] = [("p50", 0.5), ("p99", 0.99)];

/// How long the first one waits.
const TIMEOUT: Duration = Duration::from_millis(50);

pub(crate) fn run(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let path = bench.lock("deadlines");
    let held = Lock::open(&path)?.lock()?;
    let mut table = Table::new(
        "Waits with a deadline",
        &[
            "waits",
            "way",
            "late by: p50 µs",
            "p99 µs",
            "/ sleeps: p50",
            "p99",
        ],
        "Threads of one process give up on a lock: how much later than their deadline the calls \
         return, beside as many threads that only sleep until the same instants, by turns. When a \
         wait in the kernel's queue ends early, the kernel wakes all who came later for the same lock \
         and lets them line up again: many that end at one instant by handles of their own pay for \
         that.",
    );
    for crowd in CROWDS {
        let mut all: Vec<_> = crowd
            .ways
            .iter()
            .map(|&(way, limits)| (way, limits, Vec::new()))
            .collect();
        let enough = bench.extent(4000, 400) / if crowd.size == 1 { 20 } else { 1 };
        while all[0].2.len() < enough {
            for (way, _, late) in &mut all {
                late.extend(crowd.wait(*way, &path)?);
            }
        }
        let late_by =
            |late: &[f64]| SHARES.map(|(_, share)| quantile(late, share).unwrap_or(f64::NAN));
        let sleeps = all
            .last()
            .map_or([f64::NAN; 2], |(_, _, late)| late_by(late));
        for (way, limits, late) in &all {
            let late = late_by(late);
            let ratios = [late[0] / sleeps[0], late[1] / sleeps[1]];
            let mut row = vec![crowd.name.to_owned(), way.name().to_owned()];
            row.extend(late.map(|late| format!("{late:.0}")));
            row.extend(ratios.map(in_short));
            table.row(row);
            for (number, limit) in limits.iter().flatten().enumerate() {
                let (share, _) = SHARES[number];
                let promise = format!(
                    "deadlines, {}, {}: {share} of how late they end / bare sleeps",
                    crowd.name,
                    way.name()
                );
                let beside = format!("a bare sleep is late by {:.0} µs", sleeps[number]);
                part.at_most(*limit, &promise, Some(ratios[number]), beside);
            }
        }
    }
    part.table(table);
    drop(held);
    Ok(())
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::ByItself => "each by a handle of its own",
            Self::Together => "all by one handle",
            Self::Sleeps => "bare sleeps",
        }
    }
}

impl Crowd {
    /// How late each of them ends, in microseconds.
    fn wait(self, way: Way, path: &Path) -> Outcome<Vec<f64>> {
        let start = Arc::new(Barrier::new(usize::try_from(self.size)?));
        let shared = Lock::open(path)?;
        let threads: Vec<_> = (0..self.size)
            .map(|number| {
                let lock = match way {
                    Way::ByItself => Lock::open(path)?,
                    Way::Together | Way::Sleeps => shared.clone(),
                };
                let start = Arc::clone(&start);
                Ok(thread::spawn(move || {
                    start.wait();
                    let deadline = Instant::now() + TIMEOUT + self.apart * number;
                    if way == Way::Sleeps {
                        thread::sleep(deadline.saturating_duration_since(Instant::now()));
                    } else {
                        let outcome = lock.try_lock_until(deadline);
                        assert!(outcome.is_err_and(|error| error.is_timed_out()));
                    }
                    deadline.elapsed()
                }))
            })
            .collect::<Outcome<_>>()?;
        threads
            .into_iter()
            .map(|thread| {
                let late = thread.join().map_err(|_| "a wait did not time out")?;
                Ok(number(u64::try_from(late.as_nanos())?) / 1e3)
            })
            .collect()
    }
}
