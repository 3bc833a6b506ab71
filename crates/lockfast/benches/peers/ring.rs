//! A token that goes round in a ring of pipes: as fair as a machine can be.
//!
//! Each process has a pipe, from which it reads the token, and writes it into that of the next one
//! after the hold. Nobody can overtake, and a hand-over is one wake-up. So the longest wait and the
//! evenness here are those that no lock can surpass on this machine, under this load.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::Outcome;
use crate::bench::Bench;
use crate::clock;
use crate::contenders::Contender;
use crate::visits::{Log, Visit, Visits};

/// Lets so many processes pass the token on for so long, each holding it for `hold`.
pub(crate) fn run(
    bench: &Bench,
    processes: usize,
    hold: Duration,
    lasting: Duration,
) -> Outcome<Log> {
    let path = bench.lock_of(Contender::Raw);
    for member in 0..processes {
        let pipe = pipe(&path, member);
        if !pipe.exists() {
            mkfifo(&pipe, Mode::S_IRWXU)?;
        }
    }
    let mut crew = bench.crew(processes, Contender::Raw)?;
    crew.exact()?;
    // Kept open until all have ended, as the token is lost with the last descriptor.
    let mut first = open(&pipe(&path, 0))?;
    let until = clock::now() + clock::nanoseconds(lasting);
    let hold = clock::nanoseconds(hold);
    for member in 0..processes {
        let next = (member + 1) % processes;
        crew.tell(member, &format!("ring {member} {next} {hold} {until}"))?;
    }
    first.write_all(b"t")?;
    let visits = crew.answers()?;
    Log::new(visits, until, 1)
}

/// A worker's part: takes the token from one pipe, holds it, and puts it into the other one.
pub(crate) fn pass(
    lock: &Path,
    own: usize,
    next: usize,
    hold: Duration,
    until: u64,
) -> Outcome<Visits> {
    let (mut own, mut next) = (open(&pipe(lock, own))?, open(&pipe(lock, next))?);
    let mut visits = Visits::default();
    loop {
        let asked = clock::now();
        own.read_exact(&mut [0])?;
        let acquired = clock::now();
        thread::sleep(hold);
        let releasing = clock::now();
        next.write_all(b"t")?;
        visits.push(Visit {
            asked,
            acquired,
            releasing,
        });
        if releasing >= until {
            return Ok(visits);
        }
    }
}

fn pipe(lock: &Path, member: usize) -> PathBuf {
    lock.with_extension(format!("pipe-{member}"))
}

/// For both directions, so that no open waits for the other side and no write finds nobody.
fn open(pipe: &Path) -> Outcome<File> {
    Ok(OpenOptions::new().read(true).write(true).open(pipe)?)
}
