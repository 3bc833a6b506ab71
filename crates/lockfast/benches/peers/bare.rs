//! Measurement of the machine alone.

use std::thread;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

use crate::Outcome;
use crate::bench::Bench;
use crate::contenders::Contender;
use crate::machine::Machine;
use crate::statistics::{median, quantile};
use crate::{ring, uncontended};

const HOLD: Duration = Duration::from_millis(1);

/// Measures for about a second.
pub(crate) fn measure(bench: &Bench) -> Outcome<Machine> {
    let raw = uncontended::nanoseconds(bench, &[Contender::RawTry])?;
    let passed = ring::run(bench, 2, HOLD, Duration::from_millis(500))?;
    let wakes: Vec<_> = passed.handovers().map(|wake| wake / 1e3).collect();
    let (sleep, wake_cpu) = sleeps(200)?;
    Ok(Machine {
        raw: raw.first().ok_or("no figures")?.1,
        wake: median(&wakes).ok_or("no figures")?,
        wake_p90: quantile(&wakes, 0.9).ok_or("no figures")?,
        sleep,
        wake_cpu,
    })
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
