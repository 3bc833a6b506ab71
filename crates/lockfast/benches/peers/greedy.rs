//! A writer among readers who are always there.

use std::thread;
use std::time::Duration;

use crate::Outcome;
use crate::bench::Bench;
use crate::clock;
use crate::contenders::Contender;
use crate::report::{Part, Table};
use crate::statistics::{median, number};
use crate::visits::Visits;

/// Readers, and their writer.
const PAIRS: [(Contender, Contender); 3] = [
    (Contender::RawShared, Contender::Raw),
    (Contender::LockfastRead, Contender::LockfastWrite),
    (Contender::FastenersRead, Contender::FastenersWrite),
];

const READERS: usize = 4;
const READ: Duration = Duration::from_millis(20);
const PAUSE: Duration = Duration::from_millis(1);

/// The writer holds as briefly as it can, and comes again after that.
const BREAK: Duration = Duration::from_millis(50);

pub(crate) fn run(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let lasting = Duration::from_millis(bench.extent(10_000, 1_500));
    let mut table = Table::new(
        "A writer among greedy readers",
        &["readers and writer", "writes", "p50 ms", "longest wait ms"],
        "Four processes read for 20 ms and pause for 1 ms, all the time; one process writes as \
         often as it gets in, with a break of 50 ms. How long the writer waits; to the end of the \
         measurement at most, when the readers go.",
    );
    let mut raw = None;
    for (reader, writer) in PAIRS {
        if bench.available(&[reader, writer]).len() < 2 {
            continue;
        }
        let mut readers = bench.crew(READERS, reader)?;
        let mut writers = bench.crew_beside(1, writer, reader)?;
        let until = clock::now() + clock::nanoseconds(lasting);
        let order = |hold, pause| {
            let (hold, pause) = (clock::nanoseconds(hold), clock::nanoseconds(pause));
            format!("visits {hold} {pause} {until}")
        };
        for reader in 0..READERS {
            readers.tell(reader, &order(READ, PAUSE))?;
            // One after the other, so that they do not pause together.
            thread::sleep(READ / 3);
        }
        writers.tell_all(&order(Duration::ZERO, BREAK))?;
        let visits: Visits = writers.answers()?.pop().ok_or("no figures")?;
        readers.answers::<Visits>()?;
        let waits: Vec<_> = visits.waits().map(|wait| number(wait) / 1e6).collect();
        let longest = waits.iter().copied().fold(0.0, f64::max);
        table.row(vec![
            format!("{reader}, {writer}"),
            waits.len().to_string(),
            format!("{:.1}", median(&waits).ok_or("no figures")?),
            format!("{longest:.1}"),
        ]);
        let raw = *raw.get_or_insert(longest);
        if writer == Contender::LockfastWrite {
            let promise = "longest wait of a writer among greedy readers / their hold";
            let to_hold = longest / (READ.as_secs_f64() * 1e3);
            part.at_most(1.5, promise, Some(to_hold), format!("raw {raw:.1} ms"));
        }
    }
    part.table(table);
    Ok(())
}
