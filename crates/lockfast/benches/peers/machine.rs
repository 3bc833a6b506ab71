//! Figures of the machine alone, which stand beside those of the locks.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

use crate::Outcome;
use crate::bench::Bench;
use crate::contenders::Contender;
use crate::statistics::{median, quantile};
use crate::{ring, uncontended};

/// Costs of the bare calls that locks are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    /// Two `F_OFD_SETLK` calls, in nanoseconds.
    pub(crate) raw: f64,
    /// Time from the write into a pipe to the reader that runs, in microseconds: the middle of many.
    pub(crate) wake: f64,
    /// Nine of ten wake-ups take less, in microseconds.
    wake_p90: f64,
    /// The duration of a sleep of 1 ms, in microseconds.
    sleep: f64,
    /// Processor time of a sleep and its wake-up, in microseconds.
    pub(crate) wake_cpu: f64,
}

const HOLD: Duration = Duration::from_millis(1);

impl Machine {
    /// Measures for about a second.
    pub(crate) fn measure(bench: &Bench) -> Outcome<Self> {
        let raw = uncontended::nanoseconds(bench, &[Contender::RawTry])?;
        let passed = ring::run(bench, 2, HOLD, Duration::from_millis(500))?;
        let wakes: Vec<_> = passed.handovers().map(|wake| wake / 1e3).collect();
        let (sleep, wake_cpu) = sleeps(200)?;
        Ok(Self {
            raw: raw.first().ok_or("no figures")?.1,
            wake: median(&wakes).ok_or("no figures")?,
            wake_p90: quantile(&wakes, 0.9).ok_or("no figures")?,
            sleep,
            wake_cpu,
        })
    }

    /// The cost of the bare call, for the table of bars.
    pub(crate) fn beside_call(&self) -> String {
        format!("raw {:.0} ns", self.raw)
    }

    /// The duration of a wake-up, for the table of bars.
    pub(crate) fn beside_wake(&self) -> String {
        format!("wake-up {:.1} µs", self.wake)
    }
}

/// The middle duration of so many sleeps of 1 ms, and the processor time of each, in microseconds.
fn sleeps(count: u32) -> Outcome<(f64, f64)> {
    let cpu_time = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from);
    let before = cpu_time()?;
    let durations: Vec<_> = (0..count)
        .map(|_| {
            let begin = Instant::now();
            thread::sleep(HOLD);
            begin.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    let spent = cpu_time()?.saturating_sub(before).as_secs_f64() * 1e6;
    let middle = median(&durations).ok_or("no figures")?;
    Ok((middle, spent / f64::from(count)))
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "The machine alone: raw lock + unlock {:.0} ns; a process that a pipe wakes runs after \
             {:.1} µs (nine of ten: {:.1} µs); a sleep of 1 ms lasts {:.2} ms and costs {:.1} µs of \
             processor time.",
            self.raw,
            self.wake,
            self.wake_p90,
            self.sleep / 1e3,
            self.wake_cpu,
        )
    }
}
