//! The table of a run.

use std::fmt;
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    left_out: Vec<String>,
}

#[derive(Debug)]
struct Row {
    label: String,
    ours: String,
    bare: String,
    ratio: f64,
    bar: f64,
}

impl Report {
    /// Adds the medians of two lists of times.
    pub(crate) fn compare(&mut self, label: &str, ours: &[Duration], bare: &[Duration], bar: f64) {
        let medians = (quantile(ours, 0.5), quantile(bare, 0.5));
        self.rows.push(Row {
            label: label.to_owned(),
            ours: shown(ours),
            bare: shown(bare),
            ratio: medians.0.as_secs_f64() / medians.1.as_secs_f64(),
            bar,
        });
    }

    /// Adds two lists of times of which each of the first has to be less than that of the second.
    pub(crate) fn precede(&mut self, label: &str, ours: &[Duration], bare: &[Duration]) {
        let ratios = ours.iter().zip(bare);
        let ratios = ratios.map(|(ours, bare)| ours.as_secs_f64() / bare.as_secs_f64());
        self.rows.push(Row {
            label: format!("{label} (the greatest of {} ratios)", ours.len()),
            ours: shown(ours),
            bare: shown(bare),
            ratio: ratios.fold(0.0, f64::max),
            bar: 1.0,
        });
    }

    /// Adds two numbers.
    pub(crate) fn count(&mut self, label: &str, ours: f64, bare: f64, bar: f64) {
        self.rows.push(Row {
            label: label.to_owned(),
            ours: format!("{ours:.2}"),
            bare: format!("{bare:.2}"),
            ratio: ours / bare,
            bar,
        });
    }

    /// Adds the reason why a part is left out.
    pub(crate) fn leave_out(&mut self, label: &str, reason: &str) {
        self.left_out.push(format!("{label}: {reason}"));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| measured | lockfast | bare | ratio | bar | |\n|---|---:|---:|---:|---:|---|"
        )?;
        for row in &self.rows {
            let Row {
                label,
                ours,
                bare,
                ratio,
                bar,
            } = row;
            let verdict = if ratio <= bar { "met" } else { "missed" };
            writeln!(
                f,
                "| {label} | {ours} | {bare} | {ratio:.2} | {bar} | {verdict} |"
            )?;
        }
        let mut left_out = self.left_out.iter();
        left_out.try_for_each(|line| writeln!(f, "\nNot measured: {line}"))
    }
}

/// Measures one call.
pub(crate) fn time(call: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    call();
    begin.elapsed()
}

fn shown(times: &[Duration]) -> String {
    let middle = quantile(times, 0.5).as_secs_f64() * 1e3;
    let late = quantile(times, 0.99).as_secs_f64() * 1e3;
    format!("{middle:.3} ms (p99 {late:.3})")
}

fn quantile(times: &[Duration], share: f64) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "an index"
    )]
    let index = ((sorted.len() - 1) as f64 * share) as usize;
    sorted[index]
}
