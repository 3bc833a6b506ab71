//! What a look found: each lock with those who hold it and those who wait for it.

use std::time::{Duration, SystemTime};

use lockfast::inspect::{LockView, Process, Report, State};

use super::memory::Memory;
use crate::inspect::{is_stopped, manner, place};

/// A lock file that somebody has locked, or waits for.
#[derive(Clone, Debug)]
pub(super) struct Lock {
    pub(super) id: LockId,
    /// Where it is, in one line.
    pub(super) place: String,
    pub(super) holders: Vec<Party>,
    pub(super) waiters: Vec<Party>,
}

/// Tells a lock from others, also in the next look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct LockId {
    pub(super) device: (u32, u32),
    pub(super) inode: u64,
}

/// Somebody who holds a lock or waits for it: the processes that share a descriptor.
#[derive(Clone, Debug)]
pub(super) struct Party {
    pub(super) manner: String,
    /// The same in a word.
    pub(super) role: String,
    pub(super) kind: &'static str,
    pub(super) processes: Vec<Program>,
    pub(super) span: Span,
}

/// A process that runs a program.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) pid: u32,
    pub(super) user: Option<u32>,
    /// In one line.
    pub(super) command: String,
}

/// How long it has been so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) length: Duration,
    /// Only since it was seen first: it may be longer.
    pub(super) is_least: bool,
}

impl Lock {
    /// Of the one that waits longest.
    pub(super) fn longest_wait(&self) -> Option<Span> {
        self.waiters.iter().map(|party| party.span).max()
    }

    /// Of the one that has held it longest.
    pub(super) fn longest_hold(&self) -> Option<Span> {
        self.holders.iter().map(|party| party.span).max()
    }

    /// The one that is named where there is room for one.
    pub(super) fn holder(&self) -> Option<&Party> {
        self.holders.iter().max_by_key(|party| party.span)
    }

    /// Does anything that is shown of it have this in it, in whatever case?
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
    /// The program that is named where there is room for one.
    pub(super) fn command(&self) -> &str {
        self.processes
            .first()
            .map_or("?", |process| &process.command)
    }
}

/// The locks of a report.
pub(super) fn of(report: &Report, memory: &mut Memory, now: SystemTime) -> Vec<Lock> {
    let mut meeting = memory.look(now);
    let mut locks: Vec<Lock> = Vec::new();
    // They come by file.
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

/// Locks that tests make up.
#[cfg(test)]
pub(super) mod samples {
    use super::*;

    /// It has been held for 10 seconds, by pid 1000 + `number`; others have waited that many seconds.
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

    /// Nobody holds it; of the waits, whether they are known since they were seen only.
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
