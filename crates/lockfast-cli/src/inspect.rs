//! Words and JSON that `status`, `ls` and `top` share.

mod json;
mod scope;

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::{Duration, SystemTime};

use lockfast::command_support::Shown;
use lockfast::inspect::{LockView, LockedFile, Process, Report};

pub(crate) use self::json::{Document, time};
pub(crate) use self::scope::Scope;
use crate::sys;

/// Whether the output may have colours.
pub(crate) fn has_colours() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal()
        && !set("NO_COLOR")
        && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
}

/// Formats a path in one line, without characters that move a terminal's cursor or end a field.
pub(crate) fn shown(path: &Path) -> String {
    Shown::path(path).to_string()
}

/// Formats the path of a file, or its numbers if the path is not known.
pub(crate) fn place(file: &LockedFile) -> String {
    match &file.path {
        Some(path) if file.is_deleted => format!("{} (deleted)", shown(path)),
        Some(path) => shown(path),
        None => file.to_string(),
    }
}

/// Whether the file is free. `None` if shared locks can't be seen and a process has the file open.
pub(crate) fn is_free(report: &Report) -> Option<bool> {
    let is_held = report.holders().next().is_some();
    (is_held || report.is_free()).then_some(!is_held)
}

/// Whether all of its processes are stopped.
pub(crate) fn is_stopped(lock: &LockView) -> bool {
    let mut processes = lock.processes.iter();
    !lock.processes.is_empty() && processes.all(|process| process.is_stopped)
}

/// Returns the name of the process's user, or the number.
pub(crate) fn user(process: &Process) -> String {
    user_name(process.user)
}

/// Returns the name of a user, or the number.
pub(crate) fn user_name(number: Option<u32>) -> String {
    let Some(number) = number else {
        return "?".to_owned();
    };
    match sys::user_name(number) {
        Some(name) => Shown::word(&name).to_string(),
        None => number.to_string(),
    }
}

/// Formats the time since then, in seconds.
pub(crate) fn ago(since: Option<SystemTime>) -> Option<String> {
    let past = SystemTime::now().duration_since(since?).unwrap_or_default();
    let seconds = Duration::from_secs(past.as_secs());
    Some(humantime::format_duration(seconds).to_string())
}

/// Formats the mode of a lock: `exclusive`, `shared upgradable`, `2 of 4 permits`.
pub(crate) fn manner(lock: &LockView) -> String {
    use lockfast::inspect::Role;
    match (lock.role, lock.permits) {
        (_, Some(permits)) => format!("{} of {} permits", permits.count, permits.of),
        (Some(Role::Permit), None) => "permit".to_owned(),
        (Some(role), _) => format!("{} {role}", lock.mode),
        (None, _) => lock.mode.to_string(),
    }
}
