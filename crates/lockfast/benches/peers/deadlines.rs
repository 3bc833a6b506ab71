//! How late a wait with a deadline ends.

use std::path::Path;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use lockfast::Lock;

use crate::Outcome;
use crate::bench::Bench;
use crate::report::{Part, Table};
use crate::statistics::{number, quantile};

/// Who waits, and when.
#[derive(Clone, Copy)]
struct Crowd {
    name: &'static str,
    size: u32,
    waits: Waits,
    /// Between one deadline and the next.
    apart: Duration,
    /// Is it promised to be punctual?
    is_promised: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// By a handle of its own.
    ByItself,
    /// All by one handle.
    Together,
    /// For nothing but the time.
    Sleeps,
}

const CROWDS: [Crowd; 5] = [
    Crowd {
        name: "1 wait",
        size: 1,
        waits: Waits::ByItself,
        apart: Duration::ZERO,
        is_promised: true,
    },
    Crowd {
        name: "200 waits by 200 handles, 0.25 ms apart",
        size: 200,
        waits: Waits::ByItself,
        apart: Duration::from_micros(250),
        is_promised: true,
    },
    Crowd {
        name: "200 waits by one handle, at one instant",
        size: 200,
        waits: Waits::Together,
        apart: Duration::ZERO,
        is_promised: true,
    },
    Crowd {
        name: "200 waits by 200 handles, at one instant",
        size: 200,
        waits: Waits::ByItself,
        apart: Duration::ZERO,
        is_promised: false,
    },
    Crowd {
        name: "200 threads that sleep, until one instant",
        size: 200,
        waits: Waits::Sleeps,
        apart: Duration::ZERO,
        is_promised: false,
    },
];

/// How long the first one waits.
const TIMEOUT: Duration = Duration::from_millis(50);

pub(crate) fn run(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let path = bench.lock("deadlines");
    let held = Lock::open(&path)?.lock()?;
    let mut table = Table::new(
        "Waits with a deadline",
        &["who", "waits", "late by: p50 µs", "p99 µs"],
        "Threads of one process give up on a lock. How much later than their deadline the calls \
         return, on a machine that does nothing else. When a wait in the kernel's queue ends early, \
         the kernel wakes all who came later for the same lock and lets them line up again: many \
         that end at one instant by handles of their own pay for that.",
    );
    for crowd in CROWDS {
        let mut late = Vec::new();
        while late.len() < bench.extent(4000, 400) / if crowd.size == 1 { 20 } else { 1 } {
            late.extend(crowd.wait(&path)?);
        }
        let late_by = |share| quantile(&late, share).unwrap_or(f64::NAN);
        let (p50, p99) = (late_by(0.5), late_by(0.99));
        table.row(vec![
            crowd.name.to_owned(),
            late.len().to_string(),
            format!("{p50:.0}"),
            format!("{p99:.0}"),
        ]);
        if crowd.is_promised {
            for (limit, name, late) in [(1.0, "p50", p50), (5.0, "p99", p99)] {
                let milliseconds = late / 1e3;
                let promise = format!(
                    "{} that time out, {name} of how late they end: at most {limit} ms",
                    crowd.name
                );
                let figure = format!("{milliseconds:.2} ms");
                part.promise(&promise, &figure, milliseconds <= limit);
            }
        }
    }
    part.table(table);
    drop(held);
    Ok(())
}

impl Crowd {
    /// How late each of them ends, in microseconds.
    fn wait(self, path: &Path) -> Outcome<Vec<f64>> {
        let start = Arc::new(Barrier::new(usize::try_from(self.size)?));
        let shared = Lock::open(path)?;
        let threads: Vec<_> = (0..self.size)
            .map(|number| {
                let lock = match self.waits {
                    Waits::ByItself => Lock::open(path)?,
                    Waits::Together | Waits::Sleeps => shared.clone(),
                };
                let start = Arc::clone(&start);
                Ok(thread::spawn(move || {
                    start.wait();
                    let deadline = Instant::now() + TIMEOUT + self.apart * number;
                    if self.waits == Waits::Sleeps {
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
