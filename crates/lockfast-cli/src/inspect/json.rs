//! JSON documents of `--json`; docs/json.md describes them.

use std::ffi::OsStr;
use std::path::Path;
use std::time::SystemTime;

use lockfast::inspect::{self, LockView, LockedFile};
use serde::Serialize;

use super::{is_free, user};
use crate::exit::put;

/// A whole document.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Document {
    schema: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Vec<Status>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    locks: Option<Vec<Lock>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    openers: Vec<Opener>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadlocks: Option<Vec<Deadlock>>,
    incomplete: Option<Incomplete>,
}

#[derive(Debug, Serialize)]
struct Status {
    #[serde(flatten)]
    path: Text,
    free: Option<bool>,
    locks: Vec<Lock>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    openers: Vec<Opener>,
    incomplete: Option<Incomplete>,
}

#[derive(Debug, Serialize)]
struct Lock {
    #[serde(flatten)]
    file: File,
    state: &'static str,
    mode: &'static str,
    kind: &'static str,
    role: Option<&'static str>,
    permits: Option<Permits>,
    first_byte: u64,
    last_byte: Option<u64>,
    since: Option<String>,
    label: Option<String>,
    processes: Vec<Process>,
}

/// A process that has a file open, where the system shows no more.
#[derive(Debug, Serialize)]
struct Opener {
    #[serde(flatten)]
    file: File,
    process: Process,
}

#[derive(Debug, Serialize)]
struct File {
    #[serde(flatten)]
    path: Option<Text>,
    deleted: bool,
    device: String,
    inode: u64,
}

/// A path. If it is not UTF-8, its bytes are given too.
#[derive(Debug, Serialize)]
struct Text {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<Vec<u8>>,
}

#[derive(Debug, Serialize)]
struct Permits {
    count: u64,
    of: u32,
}

#[derive(Debug, Serialize)]
struct Process {
    pid: u32,
    parent: Option<u32>,
    uid: Option<u32>,
    user: Option<String>,
    name: String,
    command: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command_bytes: Option<Vec<Vec<u8>>>,
    started: Option<String>,
    threads: u32,
    stopped: bool,
}

#[derive(Debug, Serialize)]
struct Deadlock {
    certain: bool,
    steps: Vec<Step>,
}

#[derive(Debug, Serialize)]
struct Step {
    process: Process,
    waits_for: Option<File>,
}

#[derive(Debug, Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is a field of its own")]
struct Incomplete {
    unnamed: usize,
    unreadable_processes: usize,
    hidden_processes: bool,
    other_pid_namespaces: bool,
    other_machines: bool,
    shared_unseen: bool,
    unread_records: usize,
    text: String,
}

impl Document {
    const SCHEMA: u32 = 1;

    pub(crate) fn of_status<'a>(
        reports: impl Iterator<Item = (&'a Path, &'a inspect::Report)>,
    ) -> Self {
        let status = |(path, report): (&Path, &inspect::Report)| Status {
            path: path.into(),
            free: is_free(report),
            locks: report.locks.iter().map(Into::into).collect(),
            openers: report.openers.iter().map(Into::into).collect(),
            incomplete: report.incomplete.as_ref().map(Into::into),
        };
        Self {
            schema: Self::SCHEMA,
            status: Some(reports.map(status).collect()),
            ..Self::default()
        }
    }

    pub(crate) fn of_locks<'a>(
        locks: impl Iterator<Item = &'a LockView>,
        openers: &[inspect::Opener],
        incomplete: Option<&inspect::Incomplete>,
    ) -> Self {
        Self {
            schema: Self::SCHEMA,
            locks: Some(locks.map(Into::into).collect()),
            openers: openers.iter().map(Into::into).collect(),
            incomplete: incomplete.map(Into::into),
            ..Self::default()
        }
    }

    pub(crate) fn of_deadlocks<'a>(
        deadlocks: impl Iterator<Item = &'a inspect::Deadlock>,
        incomplete: Option<&inspect::Incomplete>,
    ) -> Self {
        Self {
            schema: Self::SCHEMA,
            deadlocks: Some(deadlocks.map(Into::into).collect()),
            incomplete: incomplete.map(Into::into),
            ..Self::default()
        }
    }

    pub(crate) fn print(&self) {
        put(serde_json::to_string_pretty(self).expect("it has string keys only"));
    }
}

impl From<&LockView> for Lock {
    fn from(lock: &LockView) -> Self {
        Self {
            file: (&lock.file).into(),
            state: lock.state.as_str(),
            mode: lock.mode.as_str(),
            kind: lock.kind.as_str(),
            role: lock.role.map(inspect::Role::as_str),
            permits: lock.permits.map(|permits| Permits {
                count: permits.count,
                of: permits.of,
            }),
            first_byte: lock.range.0,
            last_byte: lock.range.1,
            since: time(lock.since),
            label: lock.label.clone(),
            processes: lock.processes.iter().map(Into::into).collect(),
        }
    }
}

impl From<&inspect::Opener> for Opener {
    fn from(opener: &inspect::Opener) -> Self {
        Self {
            file: (&opener.file).into(),
            process: (&opener.process).into(),
        }
    }
}

impl From<&LockedFile> for File {
    fn from(file: &LockedFile) -> Self {
        let (major, minor) = file.device;
        Self {
            path: file.path.as_deref().map(Into::into),
            deleted: file.is_deleted,
            device: format!("{major}:{minor}"),
            inode: file.inode,
        }
    }
}

impl From<&Path> for Text {
    fn from(path: &Path) -> Self {
        let (path, path_bytes) = text(path.as_os_str());
        Self { path, path_bytes }
    }
}

impl From<&inspect::Process> for Process {
    fn from(process: &inspect::Process) -> Self {
        let is_text = process.command.iter().all(|word| word.to_str().is_some());
        let bytes = || {
            let words = process.command.iter();
            words.map(|word| word.as_encoded_bytes().to_vec()).collect()
        };
        Self {
            pid: process.pid,
            parent: process.parent,
            uid: process.user,
            user: process.user.map(|_| user(process)),
            name: process.name.clone(),
            command: process.command.iter().map(|word| text(word).0).collect(),
            command_bytes: (!is_text).then(bytes),
            started: time(process.started),
            threads: process.threads,
            stopped: process.is_stopped,
        }
    }
}

impl From<&inspect::Deadlock> for Deadlock {
    fn from(deadlock: &inspect::Deadlock) -> Self {
        let step = |step: &inspect::DeadlockStep| Step {
            process: (&step.process).into(),
            waits_for: step.file.as_ref().map(Into::into),
        };
        Self {
            certain: deadlock.is_certain,
            steps: deadlock.steps.iter().map(step).collect(),
        }
    }
}

impl From<&inspect::Incomplete> for Incomplete {
    fn from(incomplete: &inspect::Incomplete) -> Self {
        Self {
            unnamed: incomplete.unnamed,
            unreadable_processes: incomplete.unreadable_processes,
            hidden_processes: incomplete.hidden_processes,
            other_pid_namespaces: incomplete.other_pid_namespaces,
            other_machines: incomplete.other_machines,
            shared_unseen: incomplete.shared_unseen,
            unread_records: incomplete.unread_records,
            text: incomplete.to_string(),
        }
    }
}

fn text(text: &OsStr) -> (String, Option<Vec<u8>>) {
    match text.to_str() {
        Some(text) => (text.to_owned(), None),
        None => (
            text.to_string_lossy().into_owned(),
            Some(text.as_encoded_bytes().to_vec()),
        ),
    }
}

pub(crate) fn time(time: Option<SystemTime>) -> Option<String> {
    time.map(|time| humantime::format_rfc3339_millis(time).to_string())
}
