//! What was found: tables, and bars that are met or missed.

use std::fmt;
use std::process::ExitCode;
use std::thread;

use crate::Outcome;
use crate::processes;

/// Everything that was found, as Markdown.
#[derive(Debug)]
pub(crate) struct Report {
    quick: bool,
    only: Option<String>,
    mentions: Vec<String>,
    left_out: Vec<String>,
    parts: Vec<Part>,
    failures: Vec<String>,
}

/// One measurement's share of it.
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

/// What was promised, and what is.
#[derive(Debug)]
struct Bar {
    promise: String,
    figure: String,
    met: bool,
}

impl Report {
    pub(crate) fn new(quick: bool, only: Option<String>) -> Self {
        Self {
            quick,
            only,
            mentions: Vec::new(),
            left_out: Vec::new(),
            parts: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Adds to what is said of the machine.
    pub(crate) fn mention(&mut self, what: &str) {
        self.mentions.push(what.to_owned());
    }

    /// Tells now and in the report what is not measured, and why.
    pub(crate) fn leave_out(&mut self, what: &str) {
        eprintln!("left out: {what}");
        self.left_out.push(what.to_owned());
    }

    /// Makes a measurement, unless another one alone is wanted. If it fails the others go on.
    pub(crate) fn part(&mut self, name: &str, measure: impl FnOnce(&mut Part) -> Outcome<()>) {
        if self.only.as_ref().is_some_and(|only| only != name) {
            return;
        }
        eprintln!("measuring: {name}");
        let mut part = Part::default();
        if let Err(error) = measure(&mut part) {
            eprintln!("failed: {name}: {error}");
            self.failures.push(format!("{name}: {error}"));
        }
        self.left_out.append(&mut part.left_out);
        self.parts.push(part);
    }

    /// Was anything measured, or attempted?
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
    /// Promises a ratio of at most that.
    pub(crate) fn at_most(&mut self, limit: f64, promise: &str, ratio: Option<f64>) {
        let promise = format!("{promise}: at most {}", in_short(limit));
        self.bar(&promise, ratio, |ratio| ratio <= limit);
    }

    /// Promises a ratio of at least that.
    pub(crate) fn at_least(&mut self, limit: f64, promise: &str, ratio: Option<f64>) {
        let promise = format!("{promise}: at least {}", in_short(limit));
        self.bar(&promise, ratio, |ratio| ratio >= limit);
    }

    /// Promises something that the figure tells.
    pub(crate) fn promise(&mut self, promise: &str, figure: &str, met: bool) {
        if !met {
            eprintln!("MISSED: {promise}: {figure}");
        }
        self.bars.push(Bar {
            promise: promise.to_owned(),
            figure: figure.to_owned(),
            met,
        });
    }

    pub(crate) fn table(&mut self, table: Table) {
        self.tables.push(table);
    }

    /// Tells now and in the report what is not measured, and why.
    pub(crate) fn leave_out(&mut self, what: &str) {
        eprintln!("left out: {what}");
        self.left_out.push(what.to_owned());
    }

    fn bar(&mut self, promise: &str, ratio: Option<f64>, is_met: impl Fn(f64) -> bool) {
        // There is no ratio when a side of it was left out, which is reported already.
        if let Some(ratio) = ratio {
            self.promise(promise, &in_short(ratio), is_met(ratio));
        }
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
        if let Some(only) = &self.only {
            writeln!(f, "\nThis is the part {only:?} alone.")?;
        }
        if self.quick {
            writeln!(
                f,
                "\nThis was a quick run, for trying: its figures prove nothing."
            )?;
        }
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
        writeln!(f, "\n## Bars\n\n| bar | measured | |\n|---|---:|---|")?;
        for bar in self.parts.iter().flat_map(|part| &part.bars) {
            let result = if bar.met { "met" } else { "**missed**" };
            writeln!(f, "| {} | {} | {result} |", bar.promise, bar.figure)?;
        }
        Ok(())
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
