//! The process that follows the commands of a test.

use std::collections::HashMap;
use std::fs::{self, File};
use std::future::Future;
use std::io;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use lockfast::binding_support::AnyOptions;
use lockfast::{
    CancelToken, Error, Fairness, Lock, LockGuard, Options, Protocol, RwLock, RwLockReadGuard,
    RwLockUpgradableReadGuard, RwLockWriteGuard, Scope, Semaphore, SemaphorePermit, Verify,
};
use lockfast_testing::{Answer, Speaker};

use crate::foreign::Foreign;

#[derive(Default)]
struct Props {
    locks: HashMap<String, Lock>,
    rws: HashMap<String, RwLock>,
    semaphores: HashMap<String, Semaphore>,
    guards: HashMap<String, Guard>,
    foreign: HashMap<String, Foreign>,
    token: CancelToken,
}

#[allow(dead_code, reason = "held until it is dropped")]
enum Guard {
    Lock(LockGuard),
    Read(RwLockReadGuard),
    Upgradable(RwLockUpgradableReadGuard),
    Write(RwLockWriteGuard),
    Permit(SemaphorePermit),
}

/// Reads commands until the test closes the pipe or goes away.
pub(crate) fn run() {
    let (props, to) = (
        Arc::<Mutex<Props>>::default(),
        Speaker::through(io::stdout()),
    );
    let perform = {
        let to = to.clone();
        move |words: &[&str]| perform(words, &props, &to)
    };
    lockfast_testing::serve(io::stdin(), &to, kind_of, perform);
}

fn kind_of(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let error = error.downcast_ref::<Error>()?;
    Some(format!("{:?}", error.kind()))
}

#[allow(clippy::too_many_lines, reason = "the table of commands")]
fn perform(words: &[&str], props: &Mutex<Props>, to: &Speaker) -> Answer {
    let locked = || -> MutexGuard<'_, Props> { props.lock().expect("no command panics") };
    let lock = |name: &str| locked().locks[name].clone();
    let rw = |name: &str| locked().rws[name].clone();
    let semaphore = |name: &str| locked().semaphores[name].clone();
    let keep = |name: &str, guard| drop(locked().guards.insert(name.to_owned(), guard));
    let take = |name: &str| locked().guards.remove(name).ok_or("no such guard");
    let millis = |text: &str| text.parse().map(Duration::from_millis);
    match *words {
        ["lock", name, path, ref options @ ..] => {
            let opened = parse::<Lock>(options, to).open(path)?;
            locked().locks.insert(name.to_owned(), opened);
        }
        ["rw", name, path, ref options @ ..] => {
            let opened = parse::<RwLock>(options, to).open(path)?;
            locked().rws.insert(name.to_owned(), opened);
        }
        ["sem", name, path, permits, ref options @ ..] => {
            let opened = parse::<Semaphore>(options, to).open(path, permits.parse()?)?;
            locked().semaphores.insert(name.to_owned(), opened);
        }
        ["named", name, file] => {
            locked().locks.insert(name.to_owned(), Lock::named(file)?);
        }
        ["named-for-all", name, file] => {
            let opened = Lock::options().scope(Scope::Machine).open_named(file)?;
            locked().locks.insert(name.to_owned(), opened);
        }
        ["from-file", name, path] => {
            let file = File::options().read(true).write(true).open(path)?;
            locked()
                .locks
                .insert(name.to_owned(), Lock::from_file(file)?);
        }
        ["take", name, guard] => keep(guard, Guard::Lock(lock(name).lock()?)),
        ["try", name, guard] => keep(guard, Guard::Lock(lock(name).try_lock()?)),
        ["for", name, guard, time] => {
            keep(guard, Guard::Lock(lock(name).try_lock_for(millis(time)?)?));
        }
        ["under-token", name, guard] => {
            let (lock, token) = (lock(name), locked().token.clone());
            keep(guard, Guard::Lock(token.run(|| lock.lock())?));
        }
        ["cancel"] => locked().token.cancel(),
        ["drop-task", name] => {
            let lock = lock(name);
            let mut task = pin!(lock.lock_async());
            let polled = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            return Ok(if polled.is_pending() {
                "pending"
            } else {
                "ready"
            }
            .to_owned());
        }
        ["read", name, guard] => keep(guard, Guard::Read(rw(name).read()?)),
        ["try-read", name, guard] => keep(guard, Guard::Read(rw(name).try_read()?)),
        ["write", name, guard] => keep(guard, Guard::Write(rw(name).write()?)),
        ["try-write", name, guard] => keep(guard, Guard::Write(rw(name).try_write()?)),
        ["write-for", name, guard, time] => {
            keep(guard, Guard::Write(rw(name).try_write_for(millis(time)?)?));
        }
        ["upgradable", name, guard] => keep(guard, Guard::Upgradable(rw(name).upgradable_read()?)),
        ["try-upgradable", name, guard] => {
            keep(guard, Guard::Upgradable(rw(name).try_upgradable_read()?));
        }
        ["acquire", name, guard] => keep(guard, Guard::Permit(semaphore(name).acquire()?)),
        ["try-acquire", name, guard] => keep(guard, Guard::Permit(semaphore(name).try_acquire()?)),
        ["acquire-for", name, guard, time] => {
            let permit = semaphore(name).try_acquire_for(millis(time)?)?;
            keep(guard, Guard::Permit(permit));
        }
        ["available", name] => return Ok(semaphore(name).available_permits()?.to_string()),
        ["convert", how, guard, ref time @ ..] => {
            let (converted, outcome) = convert(take(guard)?, how, time)?;
            keep(guard, converted);
            outcome?;
        }
        ["release", guard] => match take(guard)? {
            Guard::Lock(guard) => guard.release()?,
            Guard::Read(guard) => guard.release()?,
            Guard::Upgradable(guard) => guard.release()?,
            Guard::Write(guard) => guard.release()?,
            Guard::Permit(guard) => guard.release()?,
        },
        ["is-current", guard] => match &locked().guards[guard] {
            Guard::Lock(guard) => return Ok(guard.is_current()?.to_string()),
            _ => return Err("not a lock's guard".into()),
        },
        ["record", guard] => match &locked().guards[guard] {
            Guard::Lock(guard) => {
                let before = guard.abandoned().map(lockfast::Owner::pid);
                return Ok(format!("{:?} {before:?}", guard.token()));
            }
            _ => return Err("not a lock's guard".into()),
        },
        ["foreign", name, path] => {
            locked()
                .foreign
                .insert(name.to_owned(), Foreign::open(path)?);
        }
        ["foreign-try", name, kind] => {
            return Ok(locked().foreign[name]
                .try_lock(kind == "exclusive")?
                .to_string());
        }
        ["foreign-wait", name] => locked().foreign[name].wait()?,
        ["foreign-unlock", name] => locked().foreign[name].unlock()?,
        ["foreign-close", name] => drop(locked().foreign.remove(name)),
        ["hammer", how, path, rounds, ref options @ ..] => {
            hammer(how, path, rounds.parse()?, options, to)?;
        }
        _ => return Err(format!("unknown command {words:?}").into()),
    }
    Ok(String::new())
}

/// The guard as it is afterwards, and whether it could be converted.
fn convert(
    guard: Guard,
    how: &str,
    time: &[&str],
) -> Result<(Guard, Result<(), Error>), Box<dyn std::error::Error>> {
    let upgraded = |outcome| match outcome {
        Ok(guard) => (Guard::Write(guard), Ok(())),
        Err(failed) => {
            let failed: lockfast::ConversionError<_> = failed;
            let (error, guard) = failed.into_parts();
            (Guard::Upgradable(guard), Err(error))
        }
    };
    Ok(match (guard, how, time) {
        (Guard::Upgradable(guard), "up", []) => upgraded(guard.upgrade()),
        (Guard::Upgradable(guard), "try-up", []) => upgraded(guard.try_upgrade()),
        (Guard::Upgradable(guard), "up-for", [time]) => {
            let time = Duration::from_millis(time.parse()?);
            upgraded(guard.try_upgrade_for(time))
        }
        (Guard::Upgradable(guard), "down", []) => (Guard::Read(guard.downgrade()?), Ok(())),
        (Guard::Write(guard), "down", []) => (Guard::Read(guard.downgrade()?), Ok(())),
        (Guard::Write(guard), "down-to-upgradable", []) => {
            (Guard::Upgradable(guard.downgrade_to_upgradable()?), Ok(()))
        }
        (_, how, _) => return Err(format!("no such conversion: {how}").into()),
    })
}

/// Adds 1 to the number in a file beside the lock, so often, and each time alone.
fn hammer(
    how: &str,
    path: &str,
    rounds: u32,
    options: &[&str],
    to: &Speaker,
) -> Result<(), Box<dyn std::error::Error>> {
    let counter = format!("{path}.count");
    let add = || -> io::Result<()> {
        let number: u64 = match fs::read_to_string(&counter) {
            Ok(text) => text.parse().map_err(io::Error::other)?,
            Err(_) => 0,
        };
        fs::write(&counter, (number + 1).to_string())
    };
    let lock = parse::<Lock>(options, to).open(path)?;
    let rw = parse::<RwLock>(options, to).open(path)?;
    let brief = Duration::from_millis(2);
    for _ in 0..rounds {
        match how {
            "lock" => {
                let guard = lock.lock()?;
                add()?;
                guard.release()?;
            }
            "open" => {
                let guard = parse::<Lock>(options, to).open(path)?.lock()?;
                add()?;
                guard.release()?;
            }
            "timed" => {
                let guard = loop {
                    match lock.try_lock_for(brief) {
                        Err(error) if error.is_timed_out() => {}
                        taken => break taken?,
                    }
                };
                add()?;
                guard.release()?;
            }
            "write" => {
                let guard = rw.write()?;
                add()?;
                guard.release()?;
            }
            "upgrade" => {
                let writer = rw.upgradable_read()?.upgrade()?;
                add()?;
                writer.downgrade()?.release()?;
            }
            "threads" => thread::scope(|scope| {
                let once = || -> Result<(), Error> {
                    let guard = lock.lock()?;
                    add().expect("counted");
                    guard.release()
                };
                let both = [scope.spawn(once), scope.spawn(once)];
                both.into_iter()
                    .try_for_each(|one| one.join().expect("no panic"))
            })?,
            _ => return Err(format!("no such hammer: {how}").into()),
        }
    }
    Ok(())
}

fn parse<L>(words: &[&str], to: &Speaker) -> Options<L> {
    let mut options = Options::default();
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        options = match (key, value) {
            ("protocol", "flock") => options.set_protocol(Protocol::Flock),
            ("protocol", "both") => options.set_protocol(Protocol::Both),
            ("verify", "path") => options.verify(Verify::Path),
            ("fifo", "") => options.fairness(Fairness::Fifo),
            ("record", "") => options.set_owner_record(true),
            ("remove", "") => options.set_remove_on_release(true),
            ("follow", "") => options.follow_symlinks(true),
            ("mode", "") => options.mode(0o600),
            ("linger", "") => options.set_linger(Duration::from_secs(1)),
            ("tell", "") => {
                let to = to.clone();
                options.on_wait(move |_| {
                    to.report("waiting");
                    ControlFlow::Continue(())
                })
            }
            // Gives up when it is asked for the second time.
            ("give-up", "") => {
                let asked = AtomicBool::new(false);
                options.on_interrupt(move || {
                    if asked.swap(true, Ordering::Relaxed) {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                })
            }
            _ => panic!("unknown option {word}"),
        };
    }
    options
}
