//! The package for Python, beside those that Python has.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::bench::Bench;
use crate::contenders::Contender;
use crate::relay;
use crate::report::{Beside, Part, Table, in_short, or_none};
use crate::statistics::{median, quantile};
use crate::uncontended::nanoseconds;

const UNCONTENDED: [Contender; 10] = [
    Contender::Fasteners,
    Contender::FastenersWith,
    Contender::FastenersRead,
    Contender::Filelock,
    Contender::Portalocker,
    Contender::DropIn,
    Contender::DropInWith,
    Contender::DropInRead,
    Contender::Package,
    Contender::PackageWith,
];

/// First the peers, then this package, then what the kernel and Python leave to gain.
const RELAY: [Contender; 7] = [
    Contender::Fasteners,
    Contender::Filelock,
    Contender::Portalocker,
    Contender::DropIn,
    Contender::Package,
    Contender::Lockf,
    Contender::Raw,
];

/// About 50 ms. At exactly 50 ms filelock, which sleeps that long between attempts, would come just in
/// time by chance.
const HOLDS: [Duration; 3] = [
    Duration::from_millis(43),
    Duration::from_millis(50),
    Duration::from_millis(57),
];

const IMPORTS: [&str; 4] = [
    "pass",
    "import fasteners",
    "import lockfast.fasteners",
    "import lockfast",
];

pub(crate) fn run(bench: &Bench, part: &mut Part) -> Outcome<()> {
    // Without it, that is reported already.
    let Some(python) = bench.python() else {
        return Ok(());
    };
    if import(python, "import lockfast.fasteners").is_err() {
        part.leave_out("the package for Python, which the interpreter does not have");
        return Ok(());
    }
    uncontended(bench, part)?;
    relayed(bench, part)?;
    imported(bench, python, part)
}

fn uncontended(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let all = nanoseconds(bench, &UNCONTENDED)?;
    let of = |wanted| {
        let (_, taken) = all.iter().find(|(contender, _)| *contender == wanted)?;
        Some(*taken)
    };
    let mut table = Table::new(
        "Python: uncontended",
        &["contender", "µs", "fasteners / it"],
        "Acquire and release in a process of one thread; the median of many turns. Those that are \
         not lockfast open and close the file each time; the drop-in does so unless it is acquired \
         again within 10 ms.",
    );
    for &(contender, taken) in &all {
        let fasteners = of(Contender::Fasteners).map(|fasteners| fasteners / taken);
        table.row(vec![
            contender.to_string(),
            in_short(taken / 1e3),
            or_none(fasteners, in_short),
        ]);
    }
    part.table(table);
    for (limit, fasteners, own) in [
        (4.0, Contender::Fasteners, Contender::DropIn),
        (4.0, Contender::FastenersRead, Contender::DropInRead),
        (8.0, Contender::Fasteners, Contender::Package),
        (7.0, Contender::FastenersWith, Contender::PackageWith),
    ] {
        let promise = format!("Python, uncontended, {fasteners} / {own}");
        let to_own = of(fasteners).zip(of(own)).map(quotient);
        part.at_least(limit, &promise, to_own, bench.machine().beside_call());
    }
    Ok(())
}

fn relayed(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let lasting = Duration::from_millis(bench.extent(4000, 1000));
    let mut all: Vec<(Contender, [Vec<f64>; 3])> = RELAY
        .map(|contender| (contender, Default::default()))
        .into();
    for (turn, hold) in HOLDS.into_iter().enumerate() {
        for (contender, handovers) in &mut all {
            let mut crew = bench.crew(2, *contender)?;
            let log = relay::run(&mut crew, hold, lasting)?;
            handovers[turn] = log.handovers().collect();
        }
    }
    let mut table = Table::new(
        "Python: hand-over, 2 processes in a relay",
        &[
            "contender",
            "hand-overs",
            "p50 µs",
            "p99 µs",
            "p50 µs at 50 ms",
        ],
        "Each holds the lock for 43, 50 or 57 ms, a third of the time each, and asks again when the \
         other one has it. (At exactly 50 ms filelock, which sleeps that long between attempts, comes \
         just in time.) The latency is from just before the release to just after the acquisition. \
         The last ones are the least that a process has to wait which sleeps in the kernel, on a \
         processor that went to sleep too: in Python, and without it.",
    );
    let p50 = |handovers: &[f64]| quantile(handovers, 0.5).map(|latency| latency / 1e3);
    let mut medians = Vec::new();
    for (contender, [less, exactly, more]) in &all {
        let together = [less.as_slice(), exactly, more].concat();
        let p99 = quantile(&together, 0.99).map(|latency| latency / 1e3);
        table.row(vec![
            contender.to_string(),
            together.len().to_string(),
            or_none(p50(&together), |p50| format!("{p50:.1}")),
            or_none(p99, |p99| format!("{p99:.1}")),
            or_none(p50(exactly), |p50| format!("{p50:.1}")),
        ]);
        medians.push((*contender, p50(&together)));
    }
    part.table(table);
    let (peers, own) = medians.split_at(3);
    let (_, bare) = own[2];
    let beside = format!(
        "fcntl.lockf {}",
        or_none(bare, |bare| format!("{bare:.0} µs"))
    );
    for (own, quick) in &own[..2] {
        for (peer, slow) in peers {
            let promise =
                format!("Python, 2 processes that hold about 50 ms, p50 of {peer} / {own}");
            let ratio = slow.zip(*quick).map(quotient);
            let best = Beside::best(beside.clone(), slow.zip(bare).map(quotient));
            part.at_least(100.0, &promise, ratio, best);
        }
    }
    Ok(())
}

fn imported(bench: &Bench, python: &Path, part: &mut Part) -> Outcome<()> {
    let turns = bench.extent(60, 5);
    let mut all = IMPORTS.map(|script| (script, Vec::new()));
    for _ in 0..turns {
        for (script, times) in &mut all {
            times.push(import(python, script)?.as_secs_f64() * 1e3);
        }
    }
    let mut table = Table::new(
        "Python: import",
        &["script", "ms"],
        "An interpreter from its start to its end; the median of many.",
    );
    let of = |wanted: &str| {
        let (_, times) = all.iter().find(|(script, _)| *script == wanted)?;
        median(times)
    };
    for (script, times) in &all {
        table.row(vec![(*script).to_owned(), or_none(median(times), in_short)]);
    }
    part.table(table);
    let fasteners = of(IMPORTS[1]);
    let nothing = or_none(of(IMPORTS[0]), |nothing| format!("{nothing:.1} ms"));
    let beside = format!("without an import {nothing}");
    for own in &IMPORTS[2..] {
        let promise = format!("Python, {own} / {}", IMPORTS[1]);
        let to_fasteners = of(own).zip(fasteners).map(quotient);
        part.at_most(1.0, &promise, to_fasteners, beside.clone());
    }
    Ok(())
}

/// Runs a script, and tells how long that took.
fn import(python: &Path, script: &str) -> Outcome<Duration> {
    let begin = Instant::now();
    let status = Command::new(python)
        .args(["-c", script])
        .stderr(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(format!("{script:?} fails: {status}").into());
    }
    Ok(begin.elapsed())
}

fn quotient((one, other): (f64, f64)) -> f64 {
    one / other
}
