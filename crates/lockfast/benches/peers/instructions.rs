//! The instructions that a free lock executes in user space, counted by valgrind's callgrind.
//!
//! The count is a difference of two runs, so that starting and opening cancel out. It does not depend
//! on what else the machine does.

use std::process::{Command, Stdio};

use crate::Outcome;
use crate::bench::Bench;
use crate::command::tool;
use crate::contenders::Contender;
use crate::report::{Part, Table, in_short, or_none};
use crate::worker;

const CONTENDERS: [Contender; 12] = [
    Contender::RawTry,
    Contender::Lockfast,
    Contender::LockfastOff,
    Contender::LockfastWrite,
    Contender::LockfastRead,
    Contender::LockfastReentrant,
    Contender::LockfastPermit,
    Contender::LockfastTimed,
    Contender::LockfastFifo,
    Contender::LockfastFlock,
    Contender::LockfastFlockOff,
    Contender::Std,
];

/// The lengths of the two runs: so far apart that it makes no difference how long each takes to start.
const RUNS: [u32; 2] = [1000, 41_000];

pub(crate) fn run(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let counted = if tool("valgrind").is_some() {
        Some(count_all(bench)?)
    } else {
        part.leave_out("instructions, as valgrind is not installed");
        None
    };
    let of = |wanted| {
        let counted = counted.as_ref()?.iter();
        let mut of_it = counted.filter(|(contender, _)| *contender == wanted);
        of_it.next().map(|(_, instructions)| *instructions)
    };
    let raw = or_none(of(Contender::RawTry), |raw| format!("{raw:.0}"));
    for contender in [Contender::Lockfast, Contender::LockfastOff] {
        let promise = format!("instructions of lock + unlock in user space, {contender}");
        part.at_most(300.0, &promise, of(contender), format!("raw {raw}"));
    }
    let Some(counted) = &counted else {
        return Ok(());
    };
    let mut table = Table::new(
        "Instructions in user space",
        &["contender", "lock + unlock"],
        "Counted by callgrind, as the difference of two runs of one process, by the rounds that one \
         of them does more. What the kernel executes is not in it.",
    );
    for (contender, instructions) in counted {
        table.row(vec![contender.to_string(), in_short(*instructions)]);
    }
    part.table(table);
    Ok(())
}

fn count_all(bench: &Bench) -> Outcome<Vec<(Contender, f64)>> {
    let of_each = |contender| {
        let [short, long] = RUNS.map(|rounds| count(bench, contender, rounds));
        let [fewer, more] = RUNS.map(f64::from);
        Ok((contender, (long? - short?) / (more - fewer)))
    };
    CONTENDERS.into_iter().map(of_each).collect()
}

/// The instructions of a process that locks and unlocks so often.
fn count(bench: &Bench, contender: Contender, rounds: u32) -> Outcome<f64> {
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args([worker::ROUNDS, contender.name()])
        .arg(bench.lock_of(contender))
        .arg(rounds.to_string())
        .stdin(Stdio::null());
    let output = valgrind.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!(
            "valgrind with {contender} ended with {}: {said}",
            output.status
        )
        .into());
    }
    let mut counts = said
        .lines()
        .filter_map(|line| line.split_once("Collected :"));
    let (_, count) = counts.next().ok_or("callgrind tells no count")?;
    Ok(count.trim().parse()?)
}
