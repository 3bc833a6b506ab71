//! Commands that show which actor overtakes which.

use std::fs::OpenOptions;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use lockfast::{Fairness, Lock, Options, RwLock, Semaphore};
use lockfast_testing::Answer;

use crate::race::Visit;

/// When this process was told that it waits; 0 if it was not.
static LINED_UP: AtomicU64 = AtomicU64::new(0);

/// `race KIND PATH ROUNDS`: gets in so many times and notes, while it is inside, when it came, when
/// it was in the line, and what it is.
pub(crate) fn run(kind: &str, path: &str, rounds: u32) -> Answer {
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(Path::new(path).with_extension("visits"))?;
    let note = |came: u64, reads: bool| -> std::io::Result<()> {
        let visit = Visit {
            came,
            lined_up: LINED_UP.swap(0, Ordering::Relaxed),
            reads,
        };
        (&log).write_all(visit.to_string().as_bytes())?;
        // So that the others come meanwhile.
        thread::sleep(Duration::from_micros(20));
        Ok(())
    };
    match kind {
        "lock" => {
            let lock = fifo::<Lock>().open(path)?;
            for _ in 0..rounds {
                let came = now();
                let guard = lock.lock()?;
                note(came, false)?;
                guard.release()?;
            }
        }
        // Threads of a handle, which tell nothing of when they were in the line, as they have one place.
        "threads" => {
            let options = Lock::options().fairness(Fairness::Fifo);
            let lock = options.open(path)?;
            let visit = || -> std::io::Result<()> {
                for _ in 0..rounds {
                    let came = now();
                    let guard = lock.lock()?;
                    note(came, false)?;
                    guard.release()?;
                }
                Ok(())
            };
            thread::scope(|scope| {
                let others = [scope.spawn(visit), scope.spawn(visit)];
                others
                    .map(|other| other.join().expect("no panic"))
                    .into_iter()
                    .collect::<Result<(), _>>()
            })?;
        }
        "rw" => {
            let lock = fifo::<RwLock>().open(path)?;
            for round in 0..rounds {
                let came = now();
                match (round + std::process::id()) % 4 {
                    0 | 1 => {
                        let guard = lock.read()?;
                        note(came, true)?;
                        guard.release()?;
                    }
                    2 => {
                        let guard = lock.write()?;
                        note(came, false)?;
                        guard.release()?;
                    }
                    _ => {
                        // Others read beside it, so what it would note stands in no order.
                        lock.upgradable_read()?.upgrade()?.release()?;
                        LINED_UP.store(0, Ordering::Relaxed);
                    }
                }
            }
        }
        "permit" => {
            let pool = fifo::<Semaphore>().open(path, 1)?;
            for _ in 0..rounds {
                let came = now();
                let permit = pool.acquire()?;
                note(came, false)?;
                permit.release()?;
            }
        }
        _ => return Err(format!("no such race: {kind}").into()),
    }
    Ok(String::new())
}

fn fifo<L>() -> Options<L> {
    Options::default().fairness(Fairness::Fifo).on_wait(|_| {
        LINED_UP.store(now(), Ordering::Relaxed);
        ControlFlow::Continue(())
    })
}

/// In nanoseconds of a clock that all processes share.
fn now() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).expect("a clock");
    std::time::Duration::from(now)
        .as_nanos()
        .try_into()
        .expect("centuries to go")
}
