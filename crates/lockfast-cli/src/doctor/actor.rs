//! A child process that takes and releases a lock as its standard input says, and reports the
//! results.

use std::ffi::OsString;
use std::io::{self, BufRead, Write};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use lockfast::{
    Error, Options, Protocol, Result, RwLock, RwLockReadGuard, RwLockUpgradableReadGuard,
    RwLockWriteGuard, Verify,
};

use crate::exit::Exit;
use crate::sys;

/// First argument of the program when it starts itself as an actor.
pub(super) const NAME: &str = "\u{1}doctor";

/// Commands for an actor.
pub(super) mod word {
    pub(in super::super) const WRITE: &str = "write";
    pub(in super::super) const TRY_WRITE: &str = "try-write";
    pub(in super::super) const WRITE_WITHIN: &str = "write-within";
    pub(in super::super) const TRY_READ: &str = "try-read";
    pub(in super::super) const TRY_UPGRADABLE: &str = "try-upgradable";
    pub(in super::super) const TRY_UPGRADE: &str = "try-upgrade";
    pub(in super::super) const DOWNGRADE: &str = "downgrade";
    pub(in super::super) const RELEASE: &str = "release";
}

#[derive(Debug)]
enum Guard {
    None,
    Read(#[allow(dead_code, reason = "held until it is dropped")] RwLockReadGuard),
    Upgradable(RwLockUpgradableReadGuard),
    Write(RwLockWriteGuard),
}

/// Returns the arguments of an actor, if the program was started as one.
pub(crate) fn is_called(words: &[OsString]) -> Option<&[OsString]> {
    match words.get(1..) {
        Some([first, rest @ ..]) if first == NAME => Some(rest),
        _ => None,
    }
}

/// Runs an actor until its input ends.
pub(crate) fn play(words: &[OsString]) -> Exit {
    let [path, protocol, verify] = words else {
        return Exit::USAGE;
    };
    let protocol = if protocol == "flock" {
        Protocol::Flock
    } else {
        Protocol::Fcntl
    };
    let verify = if verify == "path" {
        Verify::Path
    } else {
        Verify::Links
    };
    let options: Options<RwLock> =
        RwLock::options()
            .protocol(protocol)
            .verify(verify)
            .on_wait(|_| {
                report("waiting");
                ControlFlow::Continue(())
            });
    let lock = match options.open(path) {
        Ok(lock) => lock,
        Err(error) => {
            report(&refusal(&error));
            return Exit::SUCCESS;
        }
    };
    report("open");
    let mut guard = Guard::None;
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let since = Instant::now();
        match obey(&line, &lock, guard) {
            Ok((now, at)) => {
                guard = now;
                report(&format!("done {}", at.as_nanos()));
            }
            Err((before, error)) => {
                guard = before;
                if error.is_contended() {
                    report("held");
                } else if error.is_timed_out() {
                    report(&format!("late {}", since.elapsed().as_nanos()));
                } else {
                    report(&refusal(&error));
                }
            }
        }
    }
    Exit::SUCCESS
}

/// Executes a command. Returns the guard that is held afterwards, and the time by a clock that all
/// processes share.
fn obey(
    line: &str,
    lock: &RwLock,
    guard: Guard,
) -> std::result::Result<(Guard, Duration), (Guard, Error)> {
    let (command, number) = line.split_once(' ').unwrap_or((line, ""));
    let limit = || Duration::from_millis(number.parse().unwrap_or(0));
    let now = |result: Result<Guard>| match result {
        Ok(guard) => Ok((guard, sys::monotonic_time())),
        Err(error) => Err((Guard::None, error)),
    };
    match (command, guard) {
        (word::WRITE, Guard::None) => now(lock.write().map(Guard::Write)),
        (word::TRY_WRITE, Guard::None) => now(lock.try_write().map(Guard::Write)),
        (word::WRITE_WITHIN, Guard::None) => now(lock.try_write_for(limit()).map(Guard::Write)),
        (word::TRY_READ, Guard::None) => now(lock.try_read().map(Guard::Read)),
        (word::TRY_UPGRADABLE, Guard::None) => {
            now(lock.try_upgradable_read().map(Guard::Upgradable))
        }
        (word::TRY_UPGRADE, Guard::Upgradable(reader)) => match reader.try_upgrade() {
            Ok(writer) => now(Ok(Guard::Write(writer))),
            Err(failed) => {
                let (error, reader) = failed.into_parts();
                Err((Guard::Upgradable(reader), error))
            }
        },
        (word::DOWNGRADE, Guard::Write(writer)) => match writer.downgrade() {
            Ok(reader) => now(Ok(Guard::Read(reader))),
            Err(failed) => {
                let (error, writer) = failed.into_parts();
                Err((Guard::Write(writer), error))
            }
        },
        (word::RELEASE, held) => {
            // Read before the release, so that it is never later than the waiter's time.
            let at = sys::monotonic_time();
            drop(held);
            Ok((Guard::None, at))
        }
        (_, held) => Ok((held, sys::monotonic_time())),
    }
}

fn refusal(error: &Error) -> String {
    let kind = if error.is_unsupported() {
        "unsupported"
    } else {
        "failed"
    };
    format!("{kind} {}", error.to_string().replace('\n', " "))
}

fn report(line: &str) {
    // If nobody reads the output, the input has ended too.
    let _ = writeln!(io::stdout(), "{line}").and_then(|()| io::stdout().flush());
}
