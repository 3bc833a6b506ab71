//! Processes that all go back for the lock at once: who gets it, how often, and after how long.
//!
//! Where a woken process takes longer to run than the one that releases takes to come back, the bare
//! calls of the kernel leave the lock to one process. So each figure stands beside those of the raw
//! call, and of a token that goes round in a ring of pipes, which is as fair as the machine can be.

use std::time::Duration;

use crate::Outcome;
use crate::bench::Bench;
use crate::command;
use crate::contenders::{Contender, PERMITS};
use crate::report::{Beside, Part, Table, in_short, or_none};
use crate::rush::Members;
use crate::statistics::{mean, median, number, quantile};
use crate::visits::Log;

const SIZES: [usize; 3] = [2, 8, 64];

const HOLDS: [Duration; 4] = [
    Duration::from_micros(20),
    Duration::from_micros(100),
    Duration::from_millis(1),
    Duration::from_millis(10),
];

/// The holds from that one on are long ones, with bars of their own.
const LONG: Duration = Duration::from_millis(1);

/// Added to the longest wait that is allowed.
const GRACE: Duration = Duration::from_millis(5);

const HEADER: [&str; 13] = [
    "contender",
    "2 × 20 µs",
    "2 × 0.1 ms",
    "2 × 1 ms",
    "2 × 10 ms",
    "8 × 20 µs",
    "8 × 0.1 ms",
    "8 × 1 ms",
    "8 × 10 ms",
    "64 × 20 µs",
    "64 × 0.1 ms",
    "64 × 1 ms",
    "64 × 10 ms",
];

/// A participant, and what is expected of it.
#[derive(Clone, Copy, Debug)]
struct Entrant {
    name: &'static str,
    members: Members,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A measure for the others.
    Bare,
    /// A mode of lockfast, with its measure for the throughput, if there is a bar for that.
    Mode(Option<Members>),
    Peer,
}

const RAW: Members = Members::All(Contender::Raw);
const RAW_TASK: Members = Members::All(Contender::RawTask);
const SEMAPHORE: Members = Members::All(Contender::LockfastPermit);

const ENTRANTS: [Entrant; 24] = [
    bare("raw F_OFD_SETLKW", RAW),
    bare("… in tokio's spawn_blocking", RAW_TASK),
    bare("a token in a ring", Members::Ring),
    mode("Lock", Members::All(Contender::Lockfast)),
    mode("ReentrantLock", Members::All(Contender::LockfastReentrant)),
    mode("RwLock::write", Members::All(Contender::LockfastWrite)),
    mode(
        "RwLock::read, half writers",
        Members::Readers(Contender::LockfastRead, Contender::LockfastWrite),
    ),
    mode(
        "RwLock::upgradable_read, half writers",
        Members::Halves(Contender::LockfastUpgradable, Contender::LockfastWrite),
    ),
    mode(
        "RwLock upgrade, half writers",
        Members::Halves(Contender::LockfastUpgrade, Contender::LockfastWrite),
    ),
    mode("Semaphore, 3 permits", SEMAPHORE),
    mode("with a deadline", Members::All(Contender::LockfastTimed)),
    Entrant {
        kind: Kind::Mode(Some(RAW_TASK)),
        ..mode("lock_async", Members::All(Contender::LockfastTask))
    },
    Entrant {
        kind: Kind::Mode(None),
        ..mode("Fairness::Fifo", Members::All(Contender::LockfastFifo))
    },
    mode("Protocol::Flock", Members::All(Contender::LockfastFlock)),
    mode("Protocol::Both", Members::All(Contender::LockfastBoth)),
    mode("threads of one handle", Members::Threads),
    peer("raw flock", Contender::RawFlock),
    peer("std File::lock", Contender::Std),
    peer("fs4", Contender::Fs4),
    peer("fd-lock", Contender::FdLock),
    peer("flock(1) on a descriptor", Contender::FlockTool),
    peer("fasteners", Contender::Fasteners),
    peer("filelock", Contender::Filelock),
    peer("portalocker", Contender::Portalocker),
];

/// A number of members, and how long each holds the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    size: usize,
    hold: Duration,
}

/// The figures of an entrant in a cell, from all rounds.
#[derive(Debug)]
struct Figures {
    entrant: Entrant,
    cell: Cell,
    least_to_most: Vec<f64>,
    throughput: Vec<f64>,
    /// The longest wait in nanoseconds.
    longest: f64,
    /// The longest wait in relation to the longest that is allowed: the worst round.
    longest_to_allowed: f64,
    /// In nanoseconds.
    handovers: Vec<f64>,
    overtaken: u64,
    contended: u64,
}

/// One kind of figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    Evenness,
    LongestWait,
    Throughput,
}

pub(crate) fn run(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let mut all = Vec::new();
    let entrants = entrants(bench, part);
    for cell in cells() {
        let rounds = if cell.lasting(bench) > Duration::from_secs(2) {
            1
        } else {
            bench.extent(3, 1)
        };
        let mut of_cell: Vec<_> = entrants
            .iter()
            .filter(|entrant| entrant.takes_part(cell))
            .map(|&entrant| Figures::new(entrant, cell))
            .collect();
        for round in 0..rounds {
            for figures in &mut of_cell {
                // Peers are measured once: how they starve is no matter of chance.
                if round > 0 && figures.entrant.kind == Kind::Peer {
                    continue;
                }
                let log =
                    figures
                        .entrant
                        .members
                        .rush(bench, cell.size, cell.hold, cell.lasting(bench));
                match log {
                    Ok(log) => figures.add(&log),
                    Err(error) if figures.entrant.kind == Kind::Peer => {
                        part.leave_out(&format!("{} in a rush: {error}", figures.entrant.name));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        all.extend(of_cell);
    }
    let results = Results(all);
    for measure in [Measure::Evenness, Measure::LongestWait, Measure::Throughput] {
        part.table(results.table(measure, &entrants));
    }
    for processes in [2, 8] {
        let cell = Cell {
            size: processes,
            hold: LONG,
        };
        part.table(results.handovers(cell));
    }
    results.bars(part);
    Ok(())
}

const fn bare(name: &'static str, members: Members) -> Entrant {
    Entrant {
        name,
        members,
        kind: Kind::Bare,
    }
}

const fn mode(name: &'static str, members: Members) -> Entrant {
    Entrant {
        name,
        members,
        kind: Kind::Mode(Some(RAW)),
    }
}

const fn peer(name: &'static str, contender: Contender) -> Entrant {
    Entrant {
        name,
        members: Members::All(contender),
        kind: Kind::Peer,
    }
}

/// The entrants that can be measured here.
fn entrants(bench: &Bench, part: &mut Part) -> Vec<Entrant> {
    let has_flock = command::tool("flock").is_some();
    if !has_flock {
        part.leave_out("flock(1) in a rush, as it is not installed");
    }
    let is_there = |entrant: &&Entrant| match entrant.members {
        Members::All(Contender::FlockTool) => has_flock,
        Members::All(contender) => !bench.available(&[contender]).is_empty(),
        _ => true,
    };
    ENTRANTS.iter().filter(is_there).copied().collect()
}

fn cells() -> impl Iterator<Item = Cell> {
    SIZES
        .into_iter()
        .flat_map(|size| HOLDS.map(|hold| Cell { size, hold }))
}

impl Entrant {
    fn takes_part(&self, cell: Cell) -> bool {
        match self.kind {
            Kind::Peer => cell.hold >= LONG,
            // Each has a permit.
            _ if self.members == SEMAPHORE => cell.size > PERMITS as usize,
            _ => true,
        }
    }
}

impl Cell {
    /// Time for a dozen turns of each member, so that one more or less is no unevenness.
    fn lasting(self, bench: &Bench) -> Duration {
        let turns = bench.extent(12, 4);
        let shortest = match self.size {
            64 => bench.extent(600, 150),
            _ => bench.extent(300, 100),
        };
        let members = u32::try_from(self.size).expect("a few");
        Duration::from_millis(shortest).max(self.hold * members * turns)
    }

    /// The longest wait that is allowed with holds that last so many nanoseconds, in nanoseconds.
    fn allowed(self, hold: f64) -> f64 {
        let members = u64::try_from(self.size).expect("a few");
        number(members + 2) * hold + GRACE.as_secs_f64() * 1e9
    }

    fn name(self) -> String {
        format!("{} processes, holds of {:?}", self.size, self.hold)
    }
}

impl Figures {
    fn new(entrant: Entrant, cell: Cell) -> Self {
        Self {
            entrant,
            cell,
            least_to_most: Vec::new(),
            throughput: Vec::new(),
            longest: 0.0,
            longest_to_allowed: 0.0,
            handovers: Vec::new(),
            overtaken: 0,
            contended: 0,
        }
    }

    fn add(&mut self, log: &Log) {
        self.least_to_most.push(log.least_to_most().unwrap_or(0.0));
        self.throughput.extend(log.throughput());
        let longest = number(log.longest_wait());
        self.longest = self.longest.max(longest);
        let hold = mean(log.holds()).unwrap_or(0.0);
        let to_allowed = longest / self.cell.allowed(hold);
        self.longest_to_allowed = self.longest_to_allowed.max(to_allowed);
        // Readers that share a lock hand nothing over.
        if !matches!(self.entrant.members, Members::Readers(..)) {
            self.handovers.extend(log.handovers());
            let (overtaken, contended) = log.overtakings();
            self.overtaken += overtaken;
            self.contended += contended;
        }
    }

    /// From the release to the next one that waited, in microseconds.
    fn handover(&self, share: f64) -> Option<f64> {
        quantile(&self.handovers, share).map(|handover| handover / 1e3)
    }
}

impl Measure {
    /// The bar for a cell, if there is one.
    fn bar(self, cell: Cell) -> Option<f64> {
        match (self, cell.hold >= LONG, cell.size) {
            (Self::Evenness, true, _) => Some(0.8),
            (Self::Evenness, false, 8..) => Some(0.7),
            (Self::LongestWait, true, _) => Some(1.0),
            (Self::Throughput, false, 8..) => Some(0.9),
            _ => None,
        }
    }

    fn is_met(self, bar: f64, figure: f64) -> bool {
        match self {
            Self::LongestWait => figure <= bar,
            Self::Evenness | Self::Throughput => figure >= bar,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Evenness => "least / most",
            Self::LongestWait => "longest wait / ((processes + 2) × hold + 5 ms)",
            Self::Throughput => "acquisitions/s to those of the raw call",
        }
    }

    fn method(self) -> &'static str {
        match self {
            Self::Evenness => {
                "Each member holds the lock, asleep, and goes back for it at once. The acquisitions \
                 of the member that got the fewest, in relation to those of the one that got the \
                 most; the middle one of all rounds. Bold is what misses its bar: 0.8 with holds of \
                 1 ms and more, 0.7 with shorter ones and at least 8 members. The ring has no lock: a \
                 token goes round through pipes. Threads: half of them in each of two processes, or \
                 two in one."
            }
            Self::LongestWait => {
                "The longest wait of the same rushes, in relation to what is allowed: the holds, as \
                 long as they were on average, of all members and of two more, and 5 ms. The worst of all \
                 rounds; in brackets in milliseconds. A wait can't be longer than the measurement."
            }
            Self::Throughput => {
                "The acquisitions of all members in a second, in relation to those of the raw call, or \
                 of tasks to those of the raw call in `spawn_blocking`. The bar is 0.9 with holds \
                 below 1 ms and at least 8 members; `Fifo` has none, which pays for its order."
            }
        }
    }
}

/// The figures of all entrants in all cells.
struct Results(Vec<Figures>);

impl Results {
    fn of(&self, members: Members, cell: Cell) -> Option<&Figures> {
        let mut of_cell = self.0.iter().filter(|one| one.cell == cell);
        of_cell.find(|one| one.entrant.members == members)
    }

    fn figure(&self, measure: Measure, figures: &Figures) -> Option<f64> {
        // It could not be measured.
        if figures.least_to_most.is_empty() {
            return None;
        }
        match measure {
            Measure::Evenness => median(&figures.least_to_most),
            Measure::LongestWait => Some(figures.longest_to_allowed),
            Measure::Throughput => {
                let Kind::Mode(to) = figures.entrant.kind else {
                    return self.to(RAW, figures);
                };
                self.to(to.unwrap_or(RAW), figures)
            }
        }
    }

    /// The throughput in relation to that of others in the same cell.
    fn to(&self, others: Members, figures: &Figures) -> Option<f64> {
        let others = self.of(others, figures.cell)?;
        Some(median(&figures.throughput)? / median(&others.throughput)?)
    }

    fn table(&self, measure: Measure, entrants: &[Entrant]) -> Table {
        let mut table = Table::new(
            format!("Rush: {}", measure.name()),
            &HEADER,
            measure.method(),
        );
        for entrant in entrants {
            let cells = cells().map(|cell| {
                let Some(figures) = self.of(entrant.members, cell) else {
                    return String::new();
                };
                let figure = self.figure(measure, figures);
                let mut shown = or_none(figure, in_short);
                if measure == Measure::LongestWait {
                    shown = format!("{shown} ({:.0})", figures.longest / 1e6);
                }
                let misses = entrant.misses(measure, cell, figure);
                if misses {
                    format!("**{shown}**")
                } else {
                    shown
                }
            });
            table.row([entrant.name.to_owned()].into_iter().chain(cells).collect());
        }
        table
    }

    fn handovers(&self, cell: Cell) -> Table {
        let mut table = Table::new(
            format!("Rush: hand-overs, {} processes for 1 ms each", cell.size),
            &["contender", "overtaken", "hand-overs", "p50 µs", "p99 µs"],
            "Overtaken: after how many of the releases for which somebody waited the lock went to a \
             process that had not asked yet, mostly the one that released it. The other releases are \
             the hand-overs. Those of contenders that sleep and retry are lucky retries.",
        );
        for figures in self.0.iter().filter(|figures| figures.cell == cell) {
            let overtaken = 100.0 * number(figures.overtaken) / number(figures.contended.max(1));
            table.row(vec![
                figures.entrant.name.to_owned(),
                format!("{overtaken:.0} %"),
                figures.handovers.len().to_string(),
                or_none(figures.handover(0.5), |p50| format!("{p50:.1}")),
                or_none(figures.handover(0.99), |p99| format!("{p99:.1}")),
            ]);
        }
        table
    }

    fn bars(&self, part: &mut Part) {
        for cell in cells() {
            for measure in [Measure::Evenness, Measure::LongestWait, Measure::Throughput] {
                if let Some(bar) = measure.bar(cell) {
                    self.bar(part, measure, cell, bar);
                }
            }
        }
        for (processes, limit, contender) in [
            (2, 1.3, Contender::Lockfast),
            (8, 1.3, Contender::Lockfast),
            (2, 2.0, Contender::LockfastTimed),
            (8, 2.0, Contender::LockfastTimed),
        ] {
            let cell = Cell {
                size: processes,
                hold: LONG,
            };
            let p50 = |members| self.of(members, cell)?.handover(0.5);
            let (own, raw) = (p50(Members::All(contender)), p50(RAW));
            let promise =
                format!("rush, {processes} processes, holds of 1ms: p50 of {contender} / raw");
            let beside = format!("raw {} µs", or_none(raw, |raw| format!("{raw:.1}")));
            let to_raw = own.zip(raw).map(|(own, raw)| own / raw);
            part.at_most(limit, &promise, to_raw, beside);
        }
    }

    /// One bar for all modes: the worst one counts.
    fn bar(&self, part: &mut Part, measure: Measure, cell: Cell, bar: f64) {
        let modes: Vec<_> = self
            .0
            .iter()
            .filter(|figures| figures.cell == cell)
            .filter(|figures| figures.entrant.has_bar(measure))
            .filter_map(|figures| Some((figures.entrant.name, self.figure(measure, figures)?)))
            .collect();
        let missed = |&&(_, figure): &&(&str, f64)| !measure.is_met(bar, figure);
        let missing = modes.iter().filter(missed).count();
        let worst = modes.iter().copied().reduce(|worst, other| {
            let is_worse = !measure.is_met(worst.1, other.1);
            if is_worse { other } else { worst }
        });
        let promise = format!(
            "rush, {}: {}, worst of {} modes ({}; {missing} miss)",
            cell.name(),
            measure.name(),
            modes.len(),
            worst.map_or("none", |(name, _)| name),
        );
        let figure = worst.map(|(_, figure)| figure);
        let beside = |members| self.of(members, cell);
        let (raw, ring) = (beside(RAW), beside(Members::Ring));
        let of = |figures: Option<&Figures>| self.figure(measure, figures?);
        match measure {
            Measure::Throughput => {
                let throughput = raw.and_then(|raw| median(&raw.throughput));
                let beside = format!("raw {:.0}/s", throughput.unwrap_or(0.0));
                part.at_least(bar, &promise, figure, beside);
            }
            Measure::Evenness | Measure::LongestWait => {
                let beside = format!(
                    "raw {}, ring {}",
                    or_none(of(raw), in_short),
                    or_none(of(ring), in_short)
                );
                let beside = Beside::best(beside, of(ring));
                if measure == Measure::LongestWait {
                    part.at_most(bar, &promise, figure, beside);
                } else {
                    part.at_least(bar, &promise, figure, beside);
                }
            }
        }
    }
}

impl Entrant {
    fn has_bar(&self, measure: Measure) -> bool {
        match self.kind {
            Kind::Mode(to) => measure != Measure::Throughput || to.is_some(),
            Kind::Bare | Kind::Peer => false,
        }
    }

    fn misses(&self, measure: Measure, cell: Cell, figure: Option<f64>) -> bool {
        let bar = measure.bar(cell).filter(|_| self.has_bar(measure));
        bar.zip(figure)
            .is_some_and(|(bar, figure)| !measure.is_met(bar, figure))
    }
}
