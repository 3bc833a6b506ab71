//! Waits: matches the lines of the table with threads.

use std::collections::{HashMap, HashSet};

use super::sleepers::Sleepers;
use super::table::LockLine;
use super::waiters::WaitingThread;
use crate::inspect::bytes;
use crate::inspect::snapshot::{FileKey, Request};
use crate::inspect::view::Kind;

/// Whether this thread can be the one of the line.
type Match<'a> = &'a dyn Fn(&LockLine, &WaitingThread) -> bool;

/// Returns the lines of waiters, each with its thread. With `everybody`, no thread that waits is hidden.
pub(super) fn requests(
    table: &[LockLine],
    waiters: Vec<(FileKey, WaitingThread)>,
    everybody: bool,
    sleepers: &Sleepers,
) -> Vec<Request> {
    let lines: Vec<&LockLine> = table.iter().filter(|line| line.waiting).collect();
    let mut threads: Vec<Option<WaitingThread>> = vec![None; lines.len()];
    let mut on_file = HashMap::<FileKey, Vec<WaitingThread>>::new();
    for (key, waiter) in waiters {
        on_file.entry(key).or_default().push(waiter);
    }
    // The most certain matches first: by the requested lock, then by the pid in the line, then the rest.
    let is_asked = |line: &LockLine, waiter: &WaitingThread| {
        waiter.lock.map(bytes::to_the_end) == Some(line.lock)
    };
    let is_named = |line: &LockLine, waiter: &WaitingThread| {
        let pid = line.pid.or_else(|| line.tagged_pid());
        pid == Some(waiter.pid) && waiter.lock.is_none()
    };
    let may_be = |line: &LockLine, waiter: &WaitingThread| {
        line.pid.is_none_or(|pid| pid == waiter.pid) && waiter.lock.is_none()
    };
    let passes: [Match<'_>; 3] = [&is_asked, &is_named, &may_be];
    for matches in passes {
        for (line, thread) in lines.iter().zip(&mut threads) {
            if thread.is_some() {
                continue;
            }
            let Some(waiters) = on_file.get_mut(&line.file) else {
                continue;
            };
            let found = waiters.iter().position(|waiter| {
                let flock = |kind| kind == Kind::Flock;
                flock(waiter.kind) == flock(line.lock.kind)
                    && line.pid.is_none_or(|pid| pid == waiter.pid)
                    && matches(line, waiter)
            });
            // Taken out: a thread waits for one lock at a time.
            *thread = found.map(|at| waiters.remove(at));
        }
    }
    let found: HashSet<&LockLine> = lines
        .iter()
        .zip(&threads)
        .filter(|(_, thread)| thread.is_some())
        .map(|(line, _)| *line)
        .collect();
    // A thread waits for one lock. If all threads can be seen, a second equal line was read twice.
    let is_twice = |line: &LockLine, thread: &Option<WaitingThread>| {
        everybody && thread.is_none() && found.contains(line)
    };
    lines
        .into_iter()
        .zip(threads)
        .filter(|(line, thread)| !is_twice(line, thread))
        .map(|(line, thread)| Request {
            file: line.file,
            lock: line.lock,
            since: thread.as_ref().and_then(|thread| sleepers.since(thread)),
            pid: thread
                .map(|thread| thread.pid)
                .or(line.pid)
                .or_else(|| line.tagged_pid()),
        })
        .collect()
}
