//! The times when threads fell asleep, by the scheduler's statistics.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, SystemTime};

use super::process::Stat;
use super::waiters::WaitingThread;
use crate::sys::alarm::without_signals;

/// The last runs of threads, and the clocks to date them.
///
/// In the statistics each processor has a clock of its own, which stands still while the processor serves
/// interrupts or another virtual machine. So the last run of a thread is compared with a run of a helper
/// thread on the same processor now.
#[derive(Debug, Default)]
pub(super) struct Sleepers {
    last_runs: HashMap<(u32, u32), LastRun>,
    clocks: HashMap<u32, Reading>,
}

/// The last run of a thread.
#[derive(Clone, Copy, Debug)]
struct LastRun {
    processor: u32,
    at: Duration,
}

/// The clock of a processor at that time.
#[derive(Clone, Copy, Debug)]
struct Reading {
    clock: Duration,
    time: SystemTime,
}

/// The time that a processor has to run the helper. It may be reserved for another program.
const PATIENCE: Duration = Duration::from_millis(200);

impl Sleepers {
    pub(super) fn new<'a>(waiters: impl Iterator<Item = &'a WaitingThread>) -> Self {
        let last_run =
            |waiter: &WaitingThread| Some(((waiter.pid, waiter.tid), LastRun::of(waiter)?));
        let last_runs: HashMap<_, _> = waiters.filter_map(last_run).collect();
        let processors = last_runs.values().map(|run| run.processor).collect();
        Self {
            clocks: readings(processors),
            last_runs,
        }
    }

    pub(super) fn since(&self, waiter: &WaitingThread) -> Option<SystemTime> {
        let run = self.last_runs.get(&(waiter.pid, waiter.tid))?;
        let Reading { clock, time } = self.clocks.get(&run.processor)?;
        // Both are of one processor's clock, so it does not matter how far the clocks of processors differ.
        time.checked_sub(clock.saturating_sub(run.at))
    }
}

impl LastRun {
    fn of(waiter: &WaitingThread) -> Option<Self> {
        let &WaitingThread { pid, tid, .. } = waiter;
        let at = ran(&format!("/proc/{pid}/task/{tid}/sched"))?;
        let processor = Stat::of_thread(pid, tid)?.processor;
        Some(Self { processor, at })
    }
}

/// Lets a helper run on each of the processors and read its clock. The helper is left behind if one of them
/// does not run it.
fn readings(processors: BTreeSet<u32>) -> HashMap<u32, Reading> {
    if processors.is_empty() {
        return HashMap::new();
    }
    let (sender, receiver) = mpsc::channel();
    let name = "lockfast-clocks".to_owned();
    let read = move || {
        for processor in processors {
            // This process may not be allowed to run there.
            let reading = run_on(processor).then(reading).flatten();
            if sender.send((processor, reading)).is_err() {
                return;
            }
        }
    };
    let helper = without_signals(|| thread::Builder::new().name(name).spawn(read));
    let mut readings = HashMap::new();
    if helper.is_ok() {
        while let Ok((processor, reading)) = receiver.recv_timeout(PATIENCE) {
            readings.extend(reading.map(|reading| (processor, reading)));
        }
    }
    readings
}

/// Moves this thread to the processor. Returns whether that worked.
fn run_on(processor: u32) -> bool {
    const BITS: usize = u64::BITS as usize;
    let number = processor as usize;
    // Only the helper moves, and it ends afterwards. No thread of the program is moved.
    let mut set = vec![0_u64; number / BITS + 1];
    set[number / BITS] = 1 << (number % BITS);
    // SAFETY: the set is as long as the call says.
    let answer =
        unsafe { libc::sched_setaffinity(0, set.len() * size_of::<u64>(), set.as_ptr().cast()) };
    answer == 0
}

fn reading() -> Option<Reading> {
    // The kernel updates the time when a thread begins to run, and when it yields.
    thread::yield_now();
    let clock = ran("/proc/thread-self/sched")?;
    let time = SystemTime::now();
    Some(Reading { clock, time })
}

fn ran(path: &str) -> Option<Duration> {
    parse(&fs::read_to_string(path).ok()?)
}

/// Parses the statistics of a thread.
fn parse(text: &str) -> Option<Duration> {
    let line = text
        .lines()
        .find(|line| line.starts_with("se.exec_start"))?;
    let milliseconds: f64 = line.split(':').nth(1)?.trim().parse().ok()?;
    let at = Duration::try_from_secs_f64(milliseconds / 1000.0).ok()?;
    // Zero while the thread moves to another processor, until it runs there.
    (!at.is_zero()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_moves_has_no_last_run() {
        let text = |at: &str| {
            format!("sh (7, #threads: 1)\n---\nse.exec_start      :   {at}\nse.vruntime : 3.2\n")
        };
        assert_eq!(
            parse(&text("43749001.250000")),
            Some(Duration::from_micros(43_749_001_250))
        );
        assert_eq!(parse(&text("0.000000")), None);
        assert_eq!(parse("se.vruntime : 3.2\n"), None);
    }
}
