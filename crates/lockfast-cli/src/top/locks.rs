//! The result of one update: each lock with its holders and waiters.

use std::time::{Duration, SystemTime};

use lockfast::inspect::{LockView, Process, Report, State};

use super::memory::Memory;
use crate::inspect::{is_stopped, manner, place};

/// A lock file with at least one holder or waiter.
#[derive(Clone, Debug)]
pub(super) struct Lock {
    pub(super) id: LockId,
    /// Path or numbers, in one line.
    pub(super) place: String,
    pub(super) holders: Vec<Party>,
    pub(super) waiters: Vec<Party>,
}

/// Identity of a lock across updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct LockId {
    pub(super) device: (u32, u32),
    pub(super) inode: u64,
}

/// A holder or waiter: the processes that share a descriptor.
#[derive(Clone, Debug)]
pub(super) struct Party {
    pub(super) manner: String,
    /// Short form of `manner`.
    pub(super) role: String,
    pub(super) kind: &'static str,
    pub(super) processes: Vec<Program>,
    pub(super) span: Span,
}

/// A process and its program.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) pid: u32,
    pub(super) user: Option<u32>,
    /// Command line, in one line.
    pub(super) command: String,
}

/// Duration of a hold or wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) length: Duration,
    /// Whether it may be longer, as it counts from when it was first seen.
    pub(super) is_least: bool,
}

impl Lock {
    /// Returns the duration of the longest wait.
    pub(super) fn longest_wait(&self) -> Option<Span> {
        self.waiters.iter().map(|party| party.span).max()
    }

    /// Returns the duration of the longest hold.
    pub(super) fn longest_hold(&self) -> Option<Span> {
        self.holders.iter().map(|party| party.span).max()
    }

    /// Returns the holder to name where there is room for one.
    pub(super) fn holder(&self) -> Option<&Party> {
        self.holders.iter().max_by_key(|party| party.span)
    }

    /// Whether the path, a command or a pid matches the text, ignoring case.
    pub(super) fn matches(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let has = |shown: &str| shown.to_lowercase().contains(&text);
        let processes = self.holders.iter().chain(&self.waiters);
        let mut processes = processes.flat_map(|party| &party.processes);
        has(&self.place)
            || processes.any(|process| has(&process.command) || process.pid.to_string() == text)
    }
}

impl Party {
    /// Returns the program to name where there is room for one.
    pub(super) fn command(&self) -> &str {
        self.processes
            .first()
            .map_or("?", |process| &process.command)
    }
}

/// Groups the locks of a report by file.
pub(super) fn of(report: &Report, memory: &mut Memory, now: SystemTime) -> Vec<Lock> {
    let mut meeting = memory.look(now);
    let mut locks: Vec<Lock> = Vec::new();
    // The report is sorted by file.
    for view in &report.locks {
        let id = LockId {
            device: view.file.device,
            inode: view.file.inode,
        };
        if locks.last().is_none_or(|lock| lock.id != id) {
            locks.push(Lock {
                id,
                place: place(&view.file),
                holders: Vec::new(),
                waiters: Vec::new(),
            });
        }
        let lock = locks.last_mut().expect("one was added");
        let seen = meeting.meet(view);
        let party = party(view, seen, now);
        if view.state == State::Waiting {
            lock.waiters.push(party);
        } else {
            lock.holders.push(party);
        }
    }
    locks
}

fn party(view: &LockView, seen: SystemTime, now: SystemTime) -> Party {
    let since = view.since.unwrap_or(seen);
    let role = match (view.permits, view.role) {
        (Some(permits), _) => format!("{}/{}", permits.count, permits.of),
        (None, Some(role)) => role.to_string(),
        (None, None) => view.mode.to_string(),
    };
    let program = |process: &Process| Program {
        pid: process.pid,
        user: process.user,
        command: process.command_line(),
    };
    Party {
        manner: if is_stopped(view) {
            format!("{}, stopped,", manner(view))
        } else {
            manner(view)
        },
        role,
        kind: view.kind.as_str(),
        processes: view.processes.iter().map(program).collect(),
        span: Span {
            length: now.duration_since(since).unwrap_or_default(),
            is_least: view.since.is_none(),
        },
    }
}

/// Locks for tests.
#[cfg(test)]
pub(super) mod samples {
    use super::*;

    /// Makes a lock held for 10 seconds by pid 1000 + `number`, with waiters of the given
    /// durations.
    pub(in crate::top) fn lock(number: u32, place: &str, holder: u32, waits: &[u64]) -> Lock {
        Lock {
            place: place.to_owned(),
            holders: vec![party(holder, 10, true)],
            waiters: waits
                .iter()
                .zip(2000..)
                .map(|(&seconds, pid)| party(pid, seconds, false))
                .collect(),
            ..empty(number.into())
        }
    }

    /// Makes a lock without holders. Waits are given as duration and `is_least`.
    pub(in crate::top) fn waited(waits: &[(u64, bool)]) -> Lock {
        let party = |&(seconds, is_least): &(u64, bool)| party(7, seconds, is_least);
        Lock {
            waiters: waits.iter().map(party).collect(),
            ..empty(0)
        }
    }

    fn empty(inode: u64) -> Lock {
        let device = (8, 1);
        Lock {
            id: LockId { device, inode },
            place: String::new(),
            holders: Vec::new(),
            waiters: Vec::new(),
        }
    }

    fn party(number: u32, seconds: u64, is_least: bool) -> Party {
        Party {
            manner: "exclusive writer".to_owned(),
            role: "writer".to_owned(),
            kind: "ofd",
            processes: vec![Program {
                pid: 1000 + number,
                user: None,
                command: format!("command-{number}"),
            }],
            span: Span {
                length: Duration::from_secs(seconds),
                is_least,
            },
        }
    }
}
