//! The report: tables, and bars that are met or missed.

use std::fmt;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::processes;

/// Everything that was found, as Markdown.
#[derive(Debug)]
pub(crate) struct Report {
    quick: bool,
    only: Option<String>,
    mentions: Vec<String>,
    machine: Option<String>,
    left_out: Vec<String>,
    parts: Vec<Part>,
    durations: Vec<(String, Duration)>,
    failures: Vec<String>,
}

/// The share of a measurement.
#[derive(Debug, Default)]
pub(crate) struct Part {
    bars: Vec<Bar>,
    tables: Vec<Table>,
    left_out: Vec<String>,
}

/// Figures, with how they were obtained.
#[derive(Debug)]
pub(crate) struct Table {
    title: String,
    method: &'static str,
    header: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

/// A promise, what was measured, and a bare figure that was measured beside it.
#[derive(Debug)]
struct Bar {
    promise: String,
    limit: String,
    figure: String,
    beside: String,
    result: Verdict,
}

/// Whether a bar is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Met,
    Missed,
    /// Missed by bare calls that can't be better as well, but by less.
    MissedByMore,
    /// Missed by bare calls that can't be better nearly as much: the machine is the reason.
    MissedByTheMachine,
    NotMeasured,
}

/// Two figures are about the same up to that ratio.
const NEAR: f64 = 1.25;

/// A figure of the machine, which stands beside a bar.
#[derive(Clone, Debug)]
pub(crate) struct Beside {
    text: String,
    /// This figure of something bare that no lock can surpass.
    best: Option<f64>,
}

impl Report {
    pub(crate) fn new(quick: bool, only: Option<String>) -> Self {
        Self {
            quick,
            only,
            mentions: Vec::new(),
            machine: None,
            left_out: Vec::new(),
            parts: Vec::new(),
            durations: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Adds to what is said of the machine.
    pub(crate) fn mention(&mut self, what: &str) {
        self.mentions.push(what.to_owned());
    }

    /// Adds the figures of the machine alone.
    pub(crate) fn machine(&mut self, figures: &str) {
        eprintln!("{figures}");
        self.machine = Some(figures.to_owned());
    }

    /// Tells now and in the report what is not measured, and why.
    pub(crate) fn leave_out(&mut self, what: &str) {
        eprintln!("left out: {what}");
        self.left_out.push(what.to_owned());
    }

    /// Whether the part of that name is wanted.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == name)
    }

    /// Makes a measurement, unless another one alone is wanted. If it fails the others go on.
    pub(crate) fn part(&mut self, name: &str, measure: impl FnOnce(&mut Part) -> Outcome<()>) {
        if !self.wants(name) {
            return;
        }
        eprintln!("measuring: {name}");
        let begin = Instant::now();
        let mut part = Part::default();
        if let Err(error) = measure(&mut part) {
            eprintln!("failed: {name}: {error}");
            self.failures.push(format!("{name}: {error}"));
        }
        self.durations.push((name.to_owned(), begin.elapsed()));
        self.left_out.append(&mut part.left_out);
        self.parts.push(part);
    }

    /// Whether anything was measured, or attempted.
    pub(crate) fn has_parts(&self) -> bool {
        !self.parts.is_empty()
    }

    /// Success if all was measured, whatever the figures are.
    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.failures.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

impl Part {
    /// Promises a figure of at most that, mostly a ratio. Without a figure it is reported as not measured.
    pub(crate) fn at_most(
        &mut self,
        limit: f64,
        promise: &str,
        figure: Option<f64>,
        beside: impl Into<Beside>,
    ) {
        let shown = format!("at most {}", in_short(limit));
        self.bar(promise, shown, figure, beside.into(), |it| it <= limit);
    }

    /// Promises a figure of at least that.
    pub(crate) fn at_least(
        &mut self,
        limit: f64,
        promise: &str,
        figure: Option<f64>,
        beside: impl Into<Beside>,
    ) {
        let shown = format!("at least {}", in_short(limit));
        self.bar(promise, shown, figure, beside.into(), |it| it >= limit);
    }

    pub(crate) fn table(&mut self, table: Table) {
        self.tables.push(table);
    }

    /// Tells now and in the report what is not measured, and why.
    pub(crate) fn leave_out(&mut self, what: &str) {
        eprintln!("left out: {what}");
        self.left_out.push(what.to_owned());
    }

    fn bar(
        &mut self,
        promise: &str,
        limit: String,
        figure: Option<f64>,
        Beside { text, best }: Beside,
        is_met: impl Fn(f64) -> bool,
    ) {
        let is_near = |figure: f64, best: f64| figure.max(best) <= NEAR * figure.min(best);
        let result = match (figure, best) {
            (None, _) => Verdict::NotMeasured,
            (Some(figure), _) if is_met(figure) => Verdict::Met,
            (Some(figure), Some(best)) if !is_met(best) => {
                if is_near(figure, best) {
                    Verdict::MissedByTheMachine
                } else {
                    Verdict::MissedByMore
                }
            }
            (Some(_), _) => Verdict::Missed,
        };
        let figure = or_none(figure, in_short);
        if result != Verdict::Met {
            eprintln!("{result}: {promise}: {limit}, measured {figure}, beside it {text}");
        }
        self.bars.push(Bar {
            promise: promise.to_owned(),
            limit,
            figure,
            beside: text,
            result,
        });
    }
}

impl Beside {
    /// A figure that no lock can surpass on this machine. Where it misses the bar about as much, the
    /// machine is the reason.
    pub(crate) fn best(text: impl Into<String>, best: Option<f64>) -> Self {
        Self {
            text: text.into(),
            best,
        }
    }
}

impl From<String> for Beside {
    fn from(text: String) -> Self {
        Self::best(text, None)
    }
}

impl From<&str> for Beside {
    fn from(text: &str) -> Self {
        Self::best(text, None)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Met => "met",
            Self::Missed => "**missed**",
            Self::MissedByMore => "**missed**, by more than by the bare calls",
            Self::MissedByTheMachine => "**missed** by the machine: as the bare calls",
            Self::NotMeasured => "not measured",
        })
    }
}

impl Table {
    pub(crate) fn new(
        title: impl Into<String>,
        header: &'static [&'static str],
        method: &'static str,
    ) -> Self {
        Self {
            title: title.into(),
            method,
            header,
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.header.len(), "in {}", self.title);
        self.rows.push(cells);
    }
}

/// A ratio, for a reader.
pub(crate) fn in_short(ratio: f64) -> String {
    if ratio < 100.0 {
        format!("{ratio:.2}")
    } else {
        format!("{ratio:.0}")
    }
}

/// A figure that may not exist, for a reader.
pub(crate) fn or_none(figure: Option<f64>, show: impl FnOnce(f64) -> String) -> String {
    figure.map_or_else(|| "none".to_owned(), show)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# lockfast beside its peers\n")?;
        let processors = thread::available_parallelism().map_or(0, usize::from);
        let kernel = processes::kernel().unwrap_or_else(|_| "unknown".to_owned());
        write!(f, "Linux {kernel}, {processors} processors")?;
        for mention in &self.mentions {
            write!(f, ", {mention}")?;
        }
        writeln!(f, ". All contenders in one run, by turns: read the ratios.")?;
        if let Some(machine) = &self.machine {
            writeln!(f, "\n{machine}")?;
        }
        if let Some(only) = &self.only {
            writeln!(f, "\nThis is the part {only:?} alone.")?;
        }
        if self.quick {
            writeln!(
                f,
                "\nThis was a quick run, for trying: its figures prove nothing."
            )?;
        }
        self.fmt_durations(f)?;
        self.fmt_bars(f)?;
        fmt_list(f, "Left out", &self.left_out)?;
        fmt_list(f, "Failed", &self.failures)?;
        self.parts
            .iter()
            .flat_map(|part| &part.tables)
            .try_for_each(|table| write!(f, "\n{table}"))
    }
}

impl Report {
    fn fmt_bars(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bars = || self.parts.iter().flat_map(|part| &part.bars);
        let are = |result| bars().filter(|bar| bar.result == result).count();
        writeln!(
            f,
            "\n## Bars\n\n{} met, {} missed, {} more that the machine can't meet, {} not measured.\n",
            are(Verdict::Met),
            are(Verdict::Missed) + are(Verdict::MissedByMore),
            are(Verdict::MissedByTheMachine),
            are(Verdict::NotMeasured),
        )?;
        writeln!(
            f,
            "| bar | | measured | beside it | |\n|---|---|---:|---|---|"
        )?;
        for Bar {
            promise,
            limit,
            figure,
            beside,
            result,
        } in bars()
        {
            writeln!(
                f,
                "| {promise} | {limit} | {figure} | {beside} | {result} |"
            )?;
        }
        Ok(())
    }

    /// The duration of each part.
    fn fmt_durations(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Duration = self.durations.iter().map(|(_, duration)| *duration).sum();
        let of_each = self
            .durations
            .iter()
            .map(|(name, duration)| format!("{name} {:.0} s", duration.as_secs_f64()));
        let of_each: Vec<_> = of_each.collect();
        let all = all.as_secs_f64() / 60.0;
        writeln!(f, "\nIt took {all:.1} minutes: {}.", of_each.join(", "))
    }
}

fn fmt_list(f: &mut fmt::Formatter<'_>, title: &str, list: &[String]) -> fmt::Result {
    if list.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n## {title}\n")?;
    list.iter().try_for_each(|line| writeln!(f, "- {line}"))
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## {}\n\n{}\n", self.title, self.method)?;
        writeln!(f, "| {} |", self.header.join(" | "))?;
        let figures = self.header.len().saturating_sub(1);
        writeln!(f, "|---|{}", "---:|".repeat(figures))?;
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        Ok(())
    }
}
