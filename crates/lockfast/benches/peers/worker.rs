//! The worker's side: one process that uses one lock as it is told, a command a line.
//!
//! | command | what it does | answer |
//! |---|---|---|
//! | `rounds COUNT` | locks and unlocks so often | the nanoseconds that took |
//! | `relay HOLD` | locks, says `held`, holds, unlocks; once more at the line `again`, not at `enough` | its visits |
//! | `rush HOLD UNTIL` | locks, holds, unlocks, and goes back for the lock at once, until that instant | its visits |
//! | `crowd COUNT HOLD UNTIL` | the same in so many threads of one handle | the visits of each |
//! | `ring OWN NEXT HOLD UNTIL` | passes a token from one pipe to another (see `ring`) | its visits |
//! | `visits HOLD PAUSE UNTIL` | locks, holds, unlocks and pauses, until that instant | its visits |
//! | `hammer UNTIL` | locks and unlocks until that instant | how often |
//! | `flood UNTIL` | the same, without a look at the clock each time | how often |
//! | `threads COUNT UNTIL` | locks and unlocks in so many threads until that instant | how often each |
//! | `slack` | has its sleeps last as long as asked for | `exact` |
//! | `hold` | says `asking`, locks, says `held`, unlocks at the next line | `released` |
//!
//! Times are in nanoseconds, instants those of the clock that all processes share. The workers in
//! `python/` do the same. A worker that has nothing to do ends when the benchmark goes away.
//!
//! The lock is held asleep: a holder that spins would keep those who wait from a processor, and the
//! machine would be measured instead of the lock. The sleep is longer than asked for by what the
//! kernel takes as timer slack, for all contenders alike. The slack is as long as the shortest holds:
//! after `slack` there is none.

use std::ffi::OsStr;
use std::io::{BufRead, StdinLock, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::sys::prctl::set_timerslack;

use crate::Outcome;
use crate::clock;
use crate::contenders::Contender;
use crate::locks::{self, Locked};
use crate::visits::{self, Visit, Visits};
use crate::{ring, threads};

/// The first argument of a worker, before the contender and the path.
pub(crate) const ARGUMENT: &str = "worker";

/// The first argument of a process that only locks and unlocks so often.
pub(crate) const ROUNDS: &str = "rounds";

struct Worker<'i> {
    lock: Box<dyn Locked>,
    contender: Contender,
    path: &'i Path,
    orders: StdinLock<'i>,
}

/// Obeys orders until the benchmark goes away.
pub(crate) fn run(contender: &OsStr, path: &Path) -> Outcome<()> {
    let contender = named(contender)?;
    let mut worker = Worker {
        lock: locks::open(contender, path)?,
        contender,
        path,
        orders: std::io::stdin().lock(),
    };
    say("ready")?;
    while let Some(order) = hear(&mut worker.orders)? {
        say(&worker.obey(&order)?)?;
    }
    Ok(())
}

/// Locks and unlocks so often, and nothing else.
pub(crate) fn rounds(contender: &OsStr, path: &Path, count: &OsStr) -> Outcome<()> {
    let count = count.to_str().ok_or("no count")?.parse()?;
    locks::open(named(contender)?, path)?.rounds(count)
}

fn named(contender: &OsStr) -> Outcome<Contender> {
    let contender = contender.to_str().and_then(Contender::named);
    contender.ok_or_else(|| "no such contender".into())
}

impl Worker<'_> {
    fn obey(&mut self, order: &str) -> Outcome<String> {
        let words: Vec<_> = order.split(' ').collect();
        Ok(match words[..] {
            ["rounds", count] => self.rounds(count.parse()?)?.to_string(),
            ["relay", hold] => self.relay(duration(hold)?)?.to_string(),
            ["rush", hold, until] => self.rush(duration(hold)?, until.parse()?)?.to_string(),
            ["crowd", count, hold, until] => {
                let hold = duration(hold)?;
                threads::rush(self.path, count.parse()?, hold, until.parse()?)?.to_string()
            }
            ["ring", own, next, hold, until] => {
                let (own, next) = (own.parse()?, next.parse()?);
                ring::pass(self.path, own, next, duration(hold)?, until.parse()?)?.to_string()
            }
            ["slack"] => {
                set_timerslack(1)?;
                "exact".to_owned()
            }
            ["visits", hold, pause, until] => self
                .visits(duration(hold)?, duration(pause)?, until.parse()?)?
                .to_string(),
            ["hammer", until] => self.hammer(until.parse()?)?.to_string(),
            ["flood", until] => self.flood(until.parse()?)?.to_string(),
            ["threads", count, until] => {
                threads::hammer(self.contender, self.path, count.parse()?, until.parse()?)?
                    .to_string()
            }
            ["hold"] => self.hold()?,
            _ => return Err(format!("no such command: {order}").into()),
        })
    }

    fn rounds(&mut self, count: u32) -> Outcome<u64> {
        // The first ones find cold caches.
        self.lock.rounds(count / 10)?;
        let begin = clock::now();
        self.lock.rounds(count)?;
        Ok(clock::now() - begin)
    }

    fn relay(&mut self, hold: Duration) -> Outcome<Visits> {
        let mut visits = Visits::default();
        loop {
            visits.push(self.visit(hold, || say("held"))?);
            match hear(&mut self.orders)?.as_deref() {
                Some("again") => {}
                Some("enough") => return Ok(visits),
                other => return Err(format!("no such order: {other:?}").into()),
            }
        }
    }

    fn rush(&mut self, hold: Duration, until: u64) -> Outcome<Visits> {
        visits::rush(&mut *self.lock, hold, until)
    }

    fn visits(&mut self, hold: Duration, pause: Duration, until: u64) -> Outcome<Visits> {
        let mut visits = Visits::default();
        while clock::now() < until {
            visits.push(self.visit(hold, || Ok(()))?);
            thread::sleep(pause);
        }
        Ok(visits)
    }

    /// Locks, tells, holds and unlocks.
    fn visit(&mut self, hold: Duration, tell: impl Fn() -> Outcome<()>) -> Outcome<Visit> {
        visits::visit(&mut *self.lock, hold, tell)
    }

    fn hammer(&mut self, until: u64) -> Outcome<u64> {
        let mut count = 0;
        while clock::now() < until {
            self.lock.locked(&mut || {})?;
            count += 1;
        }
        Ok(count)
    }

    fn flood(&mut self, until: u64) -> Outcome<u64> {
        const AT_ONCE: u32 = 100;
        let mut count = 0;
        while clock::now() < until {
            self.lock.rounds(AT_ONCE)?;
            count += u64::from(AT_ONCE);
        }
        Ok(count)
    }

    fn hold(&mut self) -> Outcome<String> {
        say("asking")?;
        let Self { lock, orders, .. } = self;
        let mut told = Ok(None);
        lock.locked(&mut || told = say("held").and_then(|()| hear(orders)))?;
        told.map(|_| "released".to_owned())
    }
}

fn duration(nanoseconds: &str) -> Outcome<Duration> {
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

fn say(text: &str) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

fn hear(orders: &mut StdinLock<'_>) -> Outcome<Option<String>> {
    Ok(orders.lines().next().transpose()?)
}
