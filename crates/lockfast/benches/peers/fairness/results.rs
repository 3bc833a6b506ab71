//! Tables and bars of the rushes.

use super::{Cell, Entrant, Figures, Kind, LONG, RAW, cells};
use crate::contenders::Contender;
use crate::report::{Beside, Part, Table, in_short, or_none};
use crate::rush::Members;
use crate::statistics::{median, number};

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

/// A kind of figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    Evenness,
    LongestWait,
    Throughput,
}

const MEASURES: [Measure; 3] = [Measure::Evenness, Measure::LongestWait, Measure::Throughput];

/// The figures of all entrants in all cells.
pub(super) struct Results(pub(super) Vec<Figures>);

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
                 most; the middle one of all rounds. Readers and writers count among their own: all \
                 readers get in between two writers. Bold is what misses its bar: 0.8 with holds of \
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

impl Results {
    pub(super) fn tables(&self, part: &mut Part, entrants: &[Entrant]) {
        for measure in MEASURES {
            part.table(self.table(measure, entrants));
        }
        for size in [2, 8] {
            part.table(self.handovers(Cell { size, hold: LONG }));
        }
    }

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

    pub(super) fn bars(&self, part: &mut Part) {
        for cell in cells() {
            for measure in MEASURES {
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

    /// Adds a bar for all modes: the worst mode counts.
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
