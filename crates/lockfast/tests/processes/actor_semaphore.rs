//! Commands about semaphores.

use std::collections::HashMap;
use std::sync::MutexGuard;
use std::time::Duration;

use lockfast::{Semaphore, SemaphorePermit};
use lockfast_testing::{Answer, Speaker};

use crate::actor::{Props, Shared, parse};
use crate::diary::{Diary, Role};
use crate::witness::Crowd;

#[derive(Default)]
pub(crate) struct SemProps {
    semaphores: HashMap<String, Semaphore>,
    permits: HashMap<String, SemaphorePermit>,
}

/// The commands about semaphores, which begin with `sem`.
pub(crate) fn perform(words: &[&str], props: &Shared, to: &Speaker) -> Answer {
    let locked = || -> MutexGuard<'_, Props> { props.lock().expect("no command panics") };
    let semaphore = |name: &str| locked().sem.semaphores[name].clone();
    match *words {
        ["open", name, path, permits, ref options @ ..] => {
            let opened = parse::<Semaphore>(options, to).open(path, permits.parse()?)?;
            locked().sem.semaphores.insert(name.to_owned(), opened);
        }
        ["close", name] => drop(locked().sem.semaphores.remove(name)),
        ["available", name] => return Ok(semaphore(name).available_permits()?.to_string()),
        ["release", permit] => {
            let permit = locked().sem.permits.remove(permit);
            permit.ok_or("no such permit")?.release()?;
        }
        ["drop", permit] => {
            let permit = locked().sem.permits.remove(permit);
            drop(permit.ok_or("no such permit")?);
        }
        ["visit", name, count] => {
            let semaphore = semaphore(name);
            let mut crowd = Crowd::beside(semaphore.path())?;
            let permit = semaphore.acquire_many(count.parse()?)?;
            crowd.visit(permit.count(), semaphore.permits())?;
            permit.release()?;
        }
        ["hammer", path, permits, rounds, ref options @ ..] => {
            let opened = parse::<Semaphore>(options, to).open(path, permits.parse()?)?;
            return hammer(&opened, rounds.parse()?);
        }
        [how, name, permit, ref numbers @ ..] => {
            let taken = acquire(&semaphore(name), how, numbers)?;
            locked().sem.permits.insert(permit.to_owned(), taken);
        }
        _ => return Err(format!("unknown command {words:?}").into()),
    }
    Ok(String::new())
}

/// `acquire`, `try` with a count if it is not one; `for` with milliseconds and then a count.
fn acquire(
    semaphore: &Semaphore,
    how: &str,
    numbers: &[&str],
) -> Result<SemaphorePermit, Box<dyn std::error::Error>> {
    Ok(match (how, numbers) {
        ("acquire", []) => semaphore.acquire()?,
        ("acquire", [count]) => semaphore.acquire_many(count.parse()?)?,
        ("try", []) => semaphore.try_acquire()?,
        ("try", [count]) => semaphore.try_acquire_many(count.parse()?)?,
        ("for", [millis]) => semaphore.try_acquire_for(Duration::from_millis(millis.parse()?))?,
        ("for", [millis, count]) => semaphore
            .try_acquire_many_for(count.parse()?, Duration::from_millis(millis.parse()?))?,
        _ => return Err(format!("unknown way {how}").into()),
    })
}

/// Two threads of one handle take permits in all the ways, so many rounds each, and look for too
/// many.
fn hammer(semaphore: &Semaphore, rounds: u64) -> Answer {
    let work = |thread| -> Result<(), String> {
        let path = semaphore.path();
        let mut crowd = Crowd::beside(path).map_err(|error| error.to_string())?;
        let mut diary = Diary::beside(path, thread).map_err(|error| error.to_string())?;
        for round in 0..rounds {
            let count = u32::from(round % 5 == 0) + 1;
            let count = count.min(semaphore.permits());
            diary.note(Role::WaitsForPermits)?;
            let taken = match round % 3 {
                0 => semaphore.try_acquire_many_for(count, Duration::from_micros(300)),
                1 => semaphore.try_acquire_many(count),
                _ => semaphore.acquire_many(count),
            };
            match taken {
                Ok(permit) => {
                    diary.note(Role::HasPermits)?;
                    crowd.visit(permit.count(), semaphore.permits())?;
                    permit.release().map_err(|error| error.to_string())?;
                }
                Err(error) if error.is_contended() || error.is_timed_out() => {}
                Err(error) => return Err(error.to_string()),
            }
            diary.end_round()?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| work(1));
        work(0)?;
        other.join().expect("no panic")
    })?;
    Ok(String::new())
}
