//! Commands about owner records.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use lockfast::{Lock, Owner};
use lockfast_testing::Answer;

/// Holds the lock again and again, and writes each hold into a log: `begin TOKEN ABANDONED`, with 0
/// for none, and `end TOKEN` before the release, each in a line of 64 bytes.
pub(crate) fn log_holds(lock: &Lock, rounds: u64) -> Answer {
    let mut log = OpenOptions::new()
        .append(true)
        .create(true)
        .open(log(lock.path()))?;
    for _ in 0..rounds {
        let guard = lock.lock()?;
        let token = guard.token().ok_or("no token")?;
        let abandoned = guard.abandoned().map_or(0, Owner::token);
        line(&mut log, &format!("begin {token} {abandoned}"))?;
        line(&mut log, &format!("end {token}"))?;
        guard.release()?;
    }
    Ok(String::new())
}

/// Where the holds are logged.
pub(crate) fn log(lock: &Path) -> PathBuf {
    lock.with_extension("log")
}

/// In one call and within one page of memory, so that a kill leaves it whole or away: between two pages the
/// kernel looks whether the process is to die.
fn line(log: &mut File, text: &str) -> io::Result<()> {
    log.write_all(format!("{text:<63}\n").as_bytes())
}
