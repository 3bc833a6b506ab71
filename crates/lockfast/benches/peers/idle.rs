//! The cost of waiting.

use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::bench::Bench;
use crate::contenders::Contender;
use crate::processes;
use crate::report::{Part, Table};
use crate::statistics::number;

const CONTENDERS: [Contender; 6] = [
    Contender::Raw,
    Contender::Lockfast,
    Contender::LockfastTimed,
    Contender::Fasteners,
    Contender::Filelock,
    Contender::Portalocker,
];

/// How long it may take until all of them wait.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn run(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let lasting = Duration::from_millis(bench.extent(5000, 1000));
    let mut table = Table::new(
        "Waiting for a lock that is held",
        &[
            "contender",
            "processes",
            "CPU ms of all",
            "CPU µs/s of each",
        ],
        "Processor time of the waiting processes over some seconds, by the kernel's `schedstat`, \
         which counts nanoseconds.",
    );
    for contender in bench.available(&CONTENDERS) {
        // Those that poll are measured with fewer: the interpreters need memory.
        let waiters = if contender.is_python() {
            bench.extent(20, 5)
        } else {
            bench.extent(200, 50)
        };
        let taken = waiting(bench, contender, waiters, lasting)?;
        let milliseconds = number(taken) / 1e6;
        let of_each = number(taken) / 1e3 / lasting.as_secs_f64() / number(waiters);
        table.row(vec![
            contender.to_string(),
            waiters.to_string(),
            format!("{milliseconds:.3}"),
            format!("{of_each:.1}"),
        ]);
        if matches!(contender, Contender::Lockfast | Contender::LockfastTimed) {
            let machine = bench.machine();
            let promise = format!(
                "{waiters} processes waiting, {contender}: CPU time of each in a second / that of a \
                 bare sleep of 1 ms"
            );
            let beside = format!("a bare sleep {:.1} µs", machine.wake_cpu);
            let to_sleep = of_each / machine.wake_cpu;
            part.at_most(1.0, &promise, Some(to_sleep), beside);
        }
    }
    part.table(table);
    Ok(())
}

/// The processor time of so many processes that wait, in nanoseconds.
fn waiting(bench: &Bench, contender: Contender, waiters: u64, lasting: Duration) -> Outcome<u64> {
    let mut holder = bench.crew(1, contender)?;
    holder.tell_all("hold")?;
    holder.expect_all("asking")?;
    holder.expect_all("held")?;

    let mut crew = bench.crew(usize::try_from(waiters)?, contender)?;
    crew.tell_all("hold")?;
    crew.expect_all("asking")?;
    until_asleep(crew.pids())?;
    let cpu_time = || -> Outcome<u64> { crew.pids().into_iter().map(processes::cpu_time).sum() };
    let before = cpu_time()?;
    thread::sleep(lasting);
    Ok(cpu_time()? - before)
}

/// Waits until all of them sleep, which nobody announces.
pub(crate) fn until_asleep(pids: impl IntoIterator<Item = u32>) -> Outcome<()> {
    let deadline = Instant::now() + PATIENCE;
    for pid in pids {
        while !processes::sleeps(pid)? {
            if Instant::now() >= deadline {
                return Err("some of those who should wait do not sleep".into());
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(())
}
