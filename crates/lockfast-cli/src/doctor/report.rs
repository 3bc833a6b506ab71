//! The report of `lockfast doctor`, as text and as JSON.

use std::ffi::OsStr;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lockfast::command_support::Shown;
use serde_json::{Value, json};

use super::checks::{Checks, Families};
use super::file_system::FileSystem;
use super::verdict::{Finding, Verdict};
use super::warning::{self, Warning};

/// Version of the JSON format. It grows when a field changes its meaning or is removed.
const SCHEMA: u32 = 1;

/// A slower wake-up does not come from a kernel queue.
const SLOW: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Report {
    directory: PathBuf,
    file_system: Option<FileSystem>,
    findings: Vec<Finding>,
    families: Option<Families>,
    warnings: Vec<Warning>,
}

impl Report {
    pub(super) fn new(
        directory: PathBuf,
        file_system: Option<FileSystem>,
        Checks { findings, families }: Checks,
    ) -> Self {
        let mut warnings = file_system
            .as_ref()
            .map(FileSystem::warnings)
            .unwrap_or_default();
        let is_slow = |finding: &Finding| finding.times.is_some_and(|times| times.worst > SLOW);
        if findings.iter().any(is_slow) {
            warnings.push(warning::SLOW);
        }
        Self {
            directory,
            file_system,
            findings,
            families,
            warnings,
        }
    }

    /// Whether every promise is kept.
    pub(super) fn is_well(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.all(|finding| finding.verdict == Verdict::Kept)
    }

    pub(super) fn print(&self, colored: bool) -> io::Result<()> {
        let paint = |color: Color, text: &str| {
            if colored {
                format!("\u{1b}[{}m{text}\u{1b}[0m", color as u8)
            } else {
                text.to_owned()
            }
        };
        let mut out = io::stdout().lock();
        write!(out, "{}", Shown::path(&self.directory))?;
        if let Some(FileSystem {
            kind,
            source,
            mounted_on,
            ..
        }) = &self.file_system
        {
            let (source, mounted_on) = (Path::new(source), Path::new(mounted_on));
            let (source, mounted_on) = (Shown::path(source), Shown::path(mounted_on));
            write!(out, ": {kind} ({source} on {mounted_on})")?;
        }
        writeln!(out, "\n")?;
        for finding in &self.findings {
            let (word, color) = match finding.verdict {
                Verdict::Kept => ("kept", Color::Green),
                Verdict::Broken => ("BROKEN", Color::Red),
                Verdict::Unsupported => ("none", Color::Red),
                Verdict::Untested => ("untested", Color::Yellow),
            };
            let word = paint(color, &format!("{word:<8}"));
            write!(out, "  {word}  {}", finding.meaning)?;
            if !finding.detail.is_empty() {
                write!(out, ": {}", finding.detail)?;
            }
            writeln!(out)?;
        }
        if let Some(families) = self.families {
            writeln!(out, "\n  {}", self::families(families))?;
        }
        for (number, warning) in self.warnings.iter().enumerate() {
            let gap = if number == 0 { "\n" } else { "" };
            writeln!(
                out,
                "{gap}{} {}",
                paint(Color::Yellow, "warning:"),
                warning.text
            )?;
        }
        Ok(())
    }

    pub(super) fn print_json(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, &self.json())?;
        writeln!(out)
    }

    fn json(&self) -> Value {
        let file_system = self.file_system.as_ref().map(|system| {
            json!({
                "type": system.kind,
                "source": text(&system.source),
                "mounted_on": text(&system.mounted_on),
                "options": system.options,
            })
        });
        let promises: Vec<_> = self.findings.iter().map(promise).collect();
        let warnings: Vec<_> = self
            .warnings
            .iter()
            .map(|warning| json!({ "about": warning.about, "text": warning.text }))
            .collect();
        json!({
            "schema": SCHEMA,
            "directory": text(self.directory.as_os_str()),
            "file_system": file_system,
            "kept": self.is_well(),
            "promises": promises,
            "flock_and_fcntl": self.families.map(|families| match families {
                Families::Apart => "apart",
                Families::One => "one",
            }),
            "warnings": warnings,
        })
    }
}

/// Colours of a terminal.
#[derive(Clone, Copy, Debug)]
enum Color {
    Red = 31,
    Green = 32,
    Yellow = 33,
}

fn families(families: Families) -> impl Display {
    match families {
        Families::Apart => {
            "flock and fcntl locks do not conflict with each other here (Protocol::Both takes both)"
        }
        Families::One => "flock and fcntl locks conflict with each other here",
    }
}

fn promise(finding: &Finding) -> Value {
    let verdict = match finding.verdict {
        Verdict::Kept => "kept",
        Verdict::Broken => "broken",
        Verdict::Unsupported => "unsupported",
        Verdict::Untested => "untested",
    };
    let times = finding.times.map(|times| {
        json!({
            "rounds": times.rounds,
            "median_us": micros(times.median),
            "worst_us": micros(times.worst),
        })
    });
    json!({
        "promise": finding.promise,
        "meaning": finding.meaning,
        "verdict": verdict,
        "detail": finding.detail,
        "times": times,
    })
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Converts to Unicode, as JSON requires; replaces invalid parts.
fn text(path: &OsStr) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::verdict::Times;

    fn report(verdicts: &[Verdict], worst: Duration) -> Report {
        let finding = |&verdict| Finding {
            promise: "wake-after-release",
            meaning: "a waiter wakes",
            verdict,
            detail: String::new(),
            times: Some(Times {
                rounds: 20,
                median: Duration::ZERO,
                worst,
            }),
        };
        let (findings, families) = (verdicts.iter().map(finding).collect(), None);
        Report::new(PathBuf::from("/srv"), None, Checks { findings, families })
    }

    #[test]
    fn all_is_well_only_if_every_promise_is_kept() {
        let is_well = |verdicts: &[Verdict]| report(verdicts, SLOW).is_well();
        assert!(is_well(&[Verdict::Kept, Verdict::Kept]));
        for other in [Verdict::Broken, Verdict::Unsupported, Verdict::Untested] {
            assert!(!is_well(&[Verdict::Kept, other]), "{other:?}");
        }
    }

    #[test]
    fn waiters_that_are_woken_late_are_warned_of() {
        let about = |worst| -> Vec<_> {
            let report = report(&[Verdict::Kept], worst);
            report
                .warnings
                .iter()
                .map(|warning| warning.about)
                .collect()
        };
        assert!(about(SLOW).is_empty());
        assert_eq!(about(SLOW * 2), ["slow"]);
    }
}
