//! Commands for many threads.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use lockfast::Lock;
use lockfast_testing::Answer;

use crate::tally::Tally;
use crate::witness::Witness;

/// Each of the threads locks and visits so many times, all with one handle.
pub(crate) fn hammer(lock: &Lock, threads: usize, rounds: u64) -> Answer {
    in_threads(threads, || {
        let witness = Witness::beside(lock.path()).map_err(|error| error.to_string())?;
        for _ in 0..rounds {
            let guard = lock.lock().map_err(|error| error.to_string())?;
            witness.visit()?;
            guard.release().map_err(|error| error.to_string())?;
        }
        Ok(())
    })
}

/// Each of the threads locks and counts so many times, with nothing else in between.
pub(crate) fn count(lock: &Lock, threads: usize, rounds: u64) -> Answer {
    in_threads(threads, || {
        let tally = Tally::beside(lock.path());
        for _ in 0..rounds {
            let guard = lock.lock().map_err(|error| error.to_string())?;
            tally.add();
            drop(guard);
        }
        Ok(())
    })
}

/// Locks, and then locks the other one.
pub(crate) fn lock_both(lock: &Lock, other: &Lock) -> Answer {
    let _guard = lock.lock()?;
    drop(other.lock()?);
    Ok(String::new())
}

/// Locks, hands the guard over to a thread that drops it later, and locks the other one.
pub(crate) fn hand_over_and_lock(lock: &Lock, other: &Lock, later: Duration) -> Answer {
    let mut guard = lock.lock()?;
    guard.hand_over();
    thread::spawn(move || {
        thread::sleep(later);
        drop(guard);
    });
    drop(other.lock()?);
    Ok(String::new())
}

pub(crate) fn in_threads(threads: usize, work: impl Fn() -> Result<(), String> + Sync) -> Answer {
    let wrong = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                if let Err(error) = work() {
                    *wrong.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
            });
        }
    });
    let wrong = wrong.lock().unwrap_or_else(PoisonError::into_inner).take();
    wrong.map_or(Ok(String::new()), |wrong| Err(wrong.into()))
}
