//! Locking and unlocking what nobody else wants.

use crate::Outcome;
use crate::bench::Bench;
use crate::contenders::Contender;
use crate::report::{Part, Table, in_short};
use crate::statistics::{median, number};

const CONTENDERS: [Contender; 24] = [
    Contender::RawTry,
    Contender::Raw,
    Contender::Lockfast,
    Contender::LockfastTimed,
    Contender::LockfastOff,
    Contender::LockfastFifo,
    Contender::LockfastPath,
    Contender::LockfastWrite,
    Contender::LockfastPermit,
    Contender::LockfastReentrant,
    Contender::LockfastAgain,
    Contender::Mutex,
    Contender::RawShared,
    Contender::LockfastRead,
    Contender::RawFlock,
    Contender::LockfastFlock,
    Contender::LockfastFlockOff,
    Contender::LockfastBoth,
    Contender::Std,
    Contender::Fs4,
    Contender::FdLock,
    Contender::Fasteners,
    Contender::Filelock,
    Contender::Portalocker,
];

/// How often a worker locks and unlocks each time that it is its turn: for one or two milliseconds,
/// so that few turns are disturbed.
const COUNT: u32 = 1000;

pub(crate) fn run(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let all = nanoseconds(bench, &CONTENDERS)?;
    let mut table = Table::new(
        "Uncontended",
        &["contender", "ns", "/ raw"],
        "Lock and unlock on a handle that is open already, in a process of one thread; the median \
         of many turns. Raw are two `F_OFD_SETLK` calls on the whole file. The peers in Python open \
         and close the file each time, as that is what they do.",
    );
    let of = |wanted| {
        let (_, taken) = all.iter().find(|(contender, _)| *contender == wanted)?;
        Some(*taken)
    };
    let raw = of(Contender::RawTry).ok_or("no figures")?;
    for &(contender, taken) in &all {
        table.row(vec![
            contender.to_string(),
            format!("{taken:.0}"),
            in_short(taken / raw),
        ]);
    }
    part.table(table);
    for (limit, own, other) in [
        (1.45, Contender::Lockfast, Contender::RawTry),
        (1.1, Contender::LockfastOff, Contender::RawTry),
        (1.5, Contender::LockfastWrite, Contender::RawTry),
        (2.0, Contender::LockfastRead, Contender::RawTry),
        (2.0, Contender::LockfastPermit, Contender::RawTry),
        (1.2, Contender::LockfastFlockOff, Contender::Std),
        (1.5, Contender::LockfastAgain, Contender::Mutex),
    ] {
        let bare = of(other).ok_or("no figures")?;
        let beside = format!("{other} {bare:.*} ns", usize::from(bare < 100.0));
        let ratio = of(own).map(|taken| taken / bare);
        let promise = format!("a free lock in a loop, {own} / {other}");
        part.at_most(limit, &promise, ratio, beside);
    }
    Ok(())
}

/// How long those of them that can be measured here take to lock and unlock, by turns.
pub(crate) fn nanoseconds(
    bench: &Bench,
    contenders: &[Contender],
) -> Outcome<Vec<(Contender, f64)>> {
    let turns = bench.extent(200, 20);
    let order = format!("rounds {COUNT}");
    let mut crews = Vec::new();
    for contender in bench.available(contenders) {
        crews.push((contender, bench.crew(1, contender)?, Vec::new()));
    }
    for _ in 0..turns {
        for (_, crew, figures) in &mut crews {
            let taken: Vec<u64> = crew.ask_all(&order)?;
            figures.push(number(taken[0]) / f64::from(COUNT));
        }
    }
    crews
        .iter()
        .map(|(contender, _, figures)| Ok((*contender, median(figures).ok_or("no figures")?)))
        .collect()
}
