//! Results as a table.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::mounts::FileSystem;
use crate::step::{self, Failure, Outcome};

/// Results for a file system: pairs of a promise and a verdict.
#[derive(Debug)]
pub(super) struct Row {
    name: &'static str,
    cells: Vec<(String, String)>,
}

/// The results for all file systems.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<Row>);

impl Row {
    /// Returns the findings of `lockfast doctor`.
    pub(super) fn by_doctor(name: &'static str, directory: &Path) -> Result<Self, Failure> {
        let mut doctor = Command::new(step::target().join("debug/lockfast"));
        doctor.args(["doctor", "--json"]).arg(directory);
        let output = doctor
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| Failure(format!("cannot start {doctor:?}: {error}")))?;
        let strange = || Failure(format!("{doctor:?} prints something unexpected"));
        let report: Value = serde_json::from_slice(&output.stdout).map_err(|_| strange())?;
        let promises = report["promises"].as_array().ok_or_else(strange)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut cells = Vec::new();
        for promise in promises {
            let (name, verdict) = (text(&promise["promise"]), text(&promise["verdict"]));
            let detail = text(&promise["detail"]);
            println!(
                "  {verdict:11} {name}{}{detail}",
                if detail.is_empty() { "" } else { ": " }
            );
            cells.push((name, verdict));
        }
        Ok(Self { name, cells })
    }

    /// Adds the result of the tests of several processes.
    pub(super) fn add_tests(&mut self, passed: bool) {
        let verdict = if passed { "kept" } else { "broken" };
        self.cells.push(("tests".to_owned(), verdict.to_owned()));
    }

    fn cell(&self, promise: &str) -> &str {
        let cell = self.cells.iter().find(|(name, _)| name == promise);
        cell.map_or("-", |(_, verdict)| verdict)
    }
}

impl Table {
    pub(super) fn add(&mut self, row: Row) {
        self.0.push(row);
    }

    pub(super) fn show(&self) {
        let Some(first) = self.0.first() else { return };
        let promises: Vec<_> = first.cells.iter().map(|(name, _)| name.as_str()).collect();
        println!("\n| | {} |", promises.join(" | "));
        println!("|---|{}", "---|".repeat(promises.len()));
        for row in &self.0 {
            let cells: Vec<_> = promises.iter().map(|promise| row.cell(promise)).collect();
            println!("| {} | {} |", row.name, cells.join(" | "));
        }
    }

    /// Fails unless each verdict is the expected one.
    pub(super) fn conclude(&self, systems: &[FileSystem]) -> Outcome {
        let mut wrong = Vec::new();
        for (row, system) in self.0.iter().zip(systems) {
            for (promise, verdict) in &row.cells {
                if !super::is_expected(system, promise, verdict) {
                    wrong.push(format!("  {}: {promise} is {verdict}", row.name));
                }
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(Failure(format!("not as expected:\n{}", wrong.join("\n"))))
    }
}
