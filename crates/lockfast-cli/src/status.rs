//! `lockfast status`: shows whether locks are free, or who holds them.

use std::io;
use std::path::Path;

use lockfast::command_support::Shown;
use lockfast::inspect::{self, LockView, Process, Report};

use crate::args;
use crate::exit::{Exit, put, say};
use crate::inspect::{Document, ago, is_free, manner, shown, user};

pub(crate) fn run(arguments: &args::Status) -> Exit {
    let mut reports = Vec::new();
    let mut failed = false;
    for path in &arguments.locks {
        match inspect::path(path) {
            Ok(report) => reports.push((path.as_path(), report)),
            Err(error) => {
                say(error);
                failed = true;
            }
        }
    }
    if arguments.json {
        let reports = reports.iter().map(|(path, report)| (*path, report));
        Document::of_status(reports).print();
    } else {
        for (path, report) in &reports {
            print(path, report);
        }
    }
    if failed {
        Exit::SYSTEM
    } else if reports.iter().all(|(_, report)| report.is_free()) {
        Exit::SUCCESS
    } else {
        Exit::HELD
    }
}

fn print(path: &Path, report: &Report) {
    let state = match is_free(report) {
        Some(true) if is_missing(path) => "free (no such file)",
        Some(true) => "free",
        Some(false) => "held",
        None => "unknown",
    };
    put(format_args!("{}: {state}", shown(path)));
    for lock in &report.locks {
        put(format_args!("  {}", sentence(lock)));
    }
    for opener in &report.openers {
        put(format_args!(
            "  has it open: {}",
            described(&opener.process)
        ));
    }
    if let Some(incomplete) = &report.incomplete {
        put(format_args!("  {incomplete}"));
    }
}

/// Whether the file does not exist, which may be a typing error.
fn is_missing(path: &Path) -> bool {
    path.metadata()
        .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Formats a lock: `holding exclusive writer: pid 4711 (./backup.sh) of root, for 12s`.
fn sentence(lock: &LockView) -> String {
    let processes: Vec<_> = lock.processes.iter().map(described).collect();
    let who = if processes.is_empty() {
        "an unknown process".to_owned()
    } else {
        processes.join(", ")
    };
    let label = lock.label.as_ref();
    let label = label.map_or_else(String::new, |label| format!(" ({})", Shown::word(label)));
    let since = ago(lock.since).map_or_else(String::new, |time| format!(", for {time}"));
    format!("{} {}: {who}{label}{since}", lock.state, manner(lock))
}

/// Formats a process: `pid 4711 (./backup.sh) of root`; without the user where users have no
/// numbers.
fn described(process: &Process) -> String {
    match process.user {
        Some(_) => format!("{process} of {}", user(process)),
        None => process.to_string(),
    }
}
