//! `lockfast ls`: lists holders, waiters and deadlocks.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};
use lockfast::inspect::{self, Deadlock, Incomplete, LockView, LockedFile, Opener, Report, State};

use crate::args;
use crate::exit::{Exit, put, say};
use crate::inspect::{Document, Scope, ago, has_colours, is_stopped, manner, place, user};

pub(crate) fn run(arguments: &args::Ls) -> Exit {
    let scope = match scope(arguments) {
        Ok(scope) => scope,
        Err(exit) => return exit,
    };
    let mut report = match scope.look_around() {
        Ok(report) => report,
        Err(error) => {
            say(error);
            return Exit::SYSTEM;
        }
    };
    if arguments.deadlocks {
        let found = match confirmed(report.deadlocks) {
            Ok(found) => found,
            Err(error) => {
                say(error);
                return Exit::SYSTEM;
            }
        };
        let found = found
            .into_iter()
            .filter(|deadlock| scope.concerns(deadlock))
            .collect();
        return print_deadlocks(arguments, &found, report.incomplete.as_ref());
    }
    scope.narrow(&mut report);
    if arguments.json {
        let Report {
            locks,
            openers,
            incomplete,
            ..
        } = &report;
        Document::of_locks(locks.iter(), openers, incomplete.as_ref()).print();
        return Exit::SUCCESS;
    }
    let locks = report.locks.iter().map(fields);
    let rows: Vec<_> = locks.chain(report.openers.iter().map(opener)).collect();
    if !io::stdout().is_terminal() {
        for row in &rows {
            put(row.join("\t"));
        }
    } else if rows.is_empty() {
        put("no locks");
    } else {
        put(table(rows));
    }
    print_incomplete(report.incomplete.as_ref());
    Exit::SUCCESS
}

fn scope(arguments: &args::Ls) -> Result<Scope, Exit> {
    match &arguments.paths[..] {
        [] if arguments.all || arguments.deadlocks => Ok(Scope::machine()),
        [] => Scope::below(&[PathBuf::from(".")]),
        paths => Scope::below(paths),
    }
}

/// Keeps the deadlocks that a second look finds too: one may be an artefact of reading at several
/// moments.
fn confirmed(found: Vec<Deadlock>) -> lockfast::Result<Vec<Deadlock>> {
    if found.is_empty() {
        return Ok(found);
    }
    let again = inspect::machine()?.deadlocks;
    let circle = |deadlock: &Deadlock| -> Vec<(u32, Option<LockedFile>)> {
        let steps = deadlock.steps.iter();
        steps
            .map(|step| (step.process.pid, step.file.clone()))
            .collect()
    };
    let again: Vec<_> = again.iter().map(circle).collect();
    Ok(found
        .into_iter()
        .filter(|deadlock| again.contains(&circle(deadlock)))
        .collect())
}

fn print_deadlocks(
    arguments: &args::Ls,
    found: &Vec<Deadlock>,
    incomplete: Option<&Incomplete>,
) -> Exit {
    if arguments.json {
        Document::of_deadlocks(found.iter(), incomplete).print();
    } else {
        if found.is_empty() {
            put("no deadlocks");
        }
        for deadlock in found {
            print(deadlock);
        }
        print_incomplete(incomplete);
    }
    // Monitors act on the exit code, so only certain deadlocks count.
    if found.iter().any(|deadlock| deadlock.is_certain) {
        Exit::HELD
    } else {
        Exit::SUCCESS
    }
}

fn print(deadlock: &Deadlock) {
    let count = deadlock.steps.len();
    let noun = if count == 1 { "process" } else { "processes" };
    if deadlock.is_certain {
        put(format_args!("deadlock: {count} {noun}"));
    } else {
        put(format_args!(
            "possible deadlock: {count} {noun}, unless one of their threads releases a lock or a wait \
             has a timeout"
        ));
    }
    let next = deadlock.steps.iter().cycle().skip(1);
    for (step, next) in deadlock.steps.iter().zip(next) {
        let is_child = next.process.parent == Some(step.process.pid);
        let next = next.process.pid;
        match &step.file {
            Some(file) => put(format_args!(
                "  {} waits for {}, held by pid {next}",
                step.process,
                place(file)
            )),
            None if is_child => put(format_args!(
                "  {} waits for its child to end, pid {next}",
                step.process
            )),
            None => put(format_args!(
                "  {} waits for the output of pid {next}",
                step.process
            )),
        }
    }
}

fn print_incomplete(incomplete: Option<&Incomplete>) {
    if let Some(incomplete) = incomplete {
        put(format_args!("{incomplete}"));
    }
}

const TITLES: [&str; 8] = [
    "LOCK", "STATE", "MODE", "KIND", "PID", "USER", "SINCE", "COMMAND",
];

fn fields(lock: &LockView) -> [String; 8] {
    let joined = |each: &dyn Fn(&inspect::Process) -> String| {
        let mut all: Vec<_> = lock.processes.iter().map(each).collect();
        all.dedup();
        if all.is_empty() {
            "?".to_owned()
        } else {
            all.join(", ")
        }
    };
    [
        place(&lock.file),
        state(lock),
        manner(lock),
        lock.kind.to_string(),
        joined(&|process| process.pid.to_string()),
        joined(&user),
        ago(lock.since).unwrap_or_else(|| "-".to_owned()),
        joined(&inspect::Process::command_line),
    ]
}

/// Formats the state: `holding`, or `holding (stopped)` if all its processes are stopped.
fn state(lock: &LockView) -> String {
    if is_stopped(lock) {
        format!("{} (stopped)", lock.state)
    } else {
        lock.state.to_string()
    }
}

/// Returns the row of a process that may hold the lock or wait for it.
fn opener(opener: &Opener) -> [String; 8] {
    let unknown = || "?".to_owned();
    [
        place(&opener.file),
        OPEN.to_owned(),
        unknown(),
        unknown(),
        opener.process.pid.to_string(),
        user(&opener.process),
        "-".to_owned(),
        opener.process.command_line(),
    ]
}

/// State of a process that has the file open, where the system shows no more.
const OPEN: &str = "open";

fn table(rows: Vec<[String; 8]>) -> Table {
    let coloured = has_colours();
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(TITLES.map(|title| {
        let cell = Cell::new(title);
        if coloured {
            cell.add_attribute(Attribute::Bold)
        } else {
            cell
        }
    }));
    for row in rows {
        let colour = if row[1].starts_with(State::Holding.as_str()) {
            Color::Green
        } else {
            Color::Yellow
        };
        table.add_row(row.into_iter().enumerate().map(|(number, field)| {
            let cell = Cell::new(field);
            match number {
                1 if coloured => cell.fg(colour),
                _ => cell,
            }
        }));
    }
    table
}
