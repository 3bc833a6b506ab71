//! Commands about readers-writer locks.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use lockfast::{
    ConversionError, Error, Options, RwLock, RwLockReadGuard, RwLockUpgradableReadGuard,
    RwLockWriteGuard,
};
use lockfast_testing::Answer;

use crate::actor_threads::in_threads;
use crate::diary::{Diary, Role};
use crate::witness;

#[derive(Default)]
pub(crate) struct RwProps {
    locks: HashMap<String, RwLock>,
    guards: HashMap<String, Guard>,
}

/// A guard of any sort.
pub(crate) enum Guard {
    Read(RwLockReadGuard),
    Upgradable(RwLockUpgradableReadGuard),
    Write(RwLockWriteGuard),
}

impl RwProps {
    pub(crate) fn open(&mut self, name: &str, path: &str, options: &Options<RwLock>) -> Answer {
        self.put(name, options.open(path)?);
        Ok(String::new())
    }

    pub(crate) fn put(&mut self, name: &str, lock: RwLock) {
        self.locks.insert(name.to_owned(), lock);
    }

    pub(crate) fn lock(&self, name: &str) -> RwLock {
        self.locks[name].clone()
    }

    pub(crate) fn keep(&mut self, name: &str, guard: Guard) {
        self.guards.insert(name.to_owned(), guard);
    }

    /// The token of a writer.
    pub(crate) fn token(&self, name: &str) -> Answer {
        match &self.guards[name] {
            Guard::Write(guard) => Ok(guard.token().ok_or("no token")?.to_string()),
            Guard::Read(_) | Guard::Upgradable(_) => Err("only a writer has a token".into()),
        }
    }

    pub(crate) fn take(&mut self, name: &str) -> Result<Guard, String> {
        self.guards.remove(name).ok_or("no such guard".to_owned())
    }
}

/// Gets in as told: `read`, `try-read`, `read-for`, and the same of `upgradable` and `write`.
pub(crate) fn enter(lock: &RwLock, how: &str, millis: &[&str]) -> Result<Guard, Error> {
    let millis = millis
        .first()
        .map_or(0, |text| text.parse().expect("a number"));
    let timeout = Duration::from_millis(millis);
    match how {
        "read" => lock.read().map(Guard::Read),
        "try-read" => lock.try_read().map(Guard::Read),
        "read-for" => lock.try_read_for(timeout).map(Guard::Read),
        "upgradable" => lock.upgradable_read().map(Guard::Upgradable),
        "try-upgradable" => lock.try_upgradable_read().map(Guard::Upgradable),
        "upgradable-for" => lock.try_upgradable_read_for(timeout).map(Guard::Upgradable),
        "write" => lock.write().map(Guard::Write),
        "try-write" => lock.try_write().map(Guard::Write),
        "write-for" => lock.try_write_for(timeout).map(Guard::Write),
        _ => panic!("unknown way {how}"),
    }
}

impl Guard {
    /// Changes it as told; it is what it was when that fails.
    pub(crate) fn change(self, how: &str, millis: &[&str]) -> (Self, Result<(), Error>) {
        let millis = millis
            .first()
            .map_or(0, |text| text.parse().expect("a number"));
        let timeout = Duration::from_millis(millis);
        match (self, how) {
            (Self::Upgradable(guard), "upgrade") => {
                changed(guard.upgrade(), Self::Write, Self::Upgradable)
            }
            (Self::Upgradable(guard), "try-upgrade") => {
                changed(guard.try_upgrade(), Self::Write, Self::Upgradable)
            }
            (Self::Upgradable(guard), "upgrade-for") => changed(
                guard.try_upgrade_for(timeout),
                Self::Write,
                Self::Upgradable,
            ),
            (Self::Upgradable(guard), "downgrade") => {
                changed(guard.downgrade(), Self::Read, Self::Upgradable)
            }
            (Self::Write(guard), "downgrade") => {
                changed(guard.downgrade(), Self::Read, Self::Write)
            }
            (Self::Write(guard), "downgrade-to-upgradable") => changed(
                guard.downgrade_to_upgradable(),
                Self::Upgradable,
                Self::Write,
            ),
            _ => panic!("no guard changes by {how}"),
        }
    }

    pub(crate) fn release(self) -> Result<(), Error> {
        match self {
            Self::Read(guard) => guard.release(),
            Self::Upgradable(guard) => guard.release(),
            Self::Write(guard) => guard.release(),
        }
    }

    pub(crate) fn hand_over(&mut self) {
        match self {
            Self::Read(guard) => guard.hand_over(),
            Self::Upgradable(guard) => guard.hand_over(),
            Self::Write(guard) => guard.hand_over(),
        }
    }
}

fn changed<To, From>(
    outcome: Result<To, ConversionError<From>>,
    to: fn(To) -> Guard,
    from: fn(From) -> Guard,
) -> (Guard, Result<(), Error>) {
    match outcome {
        Ok(guard) => (to(guard), Ok(())),
        Err(failed) => {
            let (error, guard) = failed.into_parts();
            (from(guard), Err(error))
        }
    }
}

/// Reads and writes in turn, so many rounds, and watches for others.
pub(crate) fn hammer_plain(lock: &RwLock, rounds: u64) -> Answer {
    let witness = witness::Witness::beside(lock.path())?;
    for round in 0..rounds {
        if round % 3 == 0 {
            let guard = lock.write()?;
            witness.visit()?;
            guard.release()?;
        } else {
            let guard = lock.read()?;
            witness.look()?;
            guard.release()?;
        }
    }
    Ok(String::new())
}

/// Reads, writes and upgrades in turn, so many rounds, and watches for others.
pub(crate) fn hammer(lock: &RwLock, rounds: u64) -> Answer {
    let witness = witness::Witness::beside(lock.path())?;
    let mut diary = Diary::beside(lock.path(), 0)?;
    for round in 0..rounds {
        match round % 4 {
            0 | 1 => {
                diary.note(Role::WaitsToRead)?;
                let guard = lock.read()?;
                diary.note(Role::Reads)?;
                witness.look()?;
                guard.release()?;
            }
            2 => {
                diary.note(Role::WaitsToWrite)?;
                let guard = lock.write()?;
                diary.note(Role::Writes)?;
                witness.visit()?;
                let guard = guard.downgrade()?;
                diary.note(Role::Reads)?;
                witness.look()?;
                guard.release()?;
            }
            _ => {
                diary.note(Role::WaitsToBeUpgradable)?;
                let guard = lock.upgradable_read()?;
                diary.note(Role::IsUpgradable)?;
                let before = witness.look()?;
                diary.note(Role::Upgrades)?;

                let guard = guard.upgrade()?;
                diary.note(Role::Writes)?;
                let now = witness.look()?;
                if now != before {
                    return Err(format!("{before} became {now} before the upgrade").into());
                }
                witness.visit()?;
                guard.release()?;
            }
        }
        diary.end_round()?;
    }
    Ok(String::new())
}

/// Reads in each of the threads, all by one handle, so many rounds, and watches for writers.
pub(crate) fn read_in_threads(lock: &RwLock, threads: usize, rounds: u64) -> Answer {
    in_threads(threads, || {
        let witness = witness::Witness::beside(lock.path()).map_err(|error| error.to_string())?;
        for round in 0..rounds {
            let guard = lock.read().map_err(|error| error.to_string())?;
            witness.look()?;
            // So that others come and leave meanwhile.
            thread::sleep(Duration::from_micros(round % 8 * 100));
            guard.release().map_err(|error| error.to_string())?;
        }
        Ok(())
    })
}
