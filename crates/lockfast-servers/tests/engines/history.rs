//! The history of all clients of a run, and whether a lock could have it.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs;
use std::ops::AddAssign;
use std::path::Path;
use std::time::Duration;

use lockfast_servers::checkers::beliefs::{self, Belief, Share};
use lockfast_servers::checkers::linearizable::{self, Action, Operation};
use lockfast_servers::checkers::liveness::{self, Bound, Wait};
use lockfast_servers::checkers::{Moment, grants, register};

use crate::diary::{PAUSE, PERMITS, Resource, USES};
use crate::fence::Registers;

/// An attempt to take a lock, as its client wrote it down.
#[derive(Clone, Debug)]
struct Attempt {
    name: String,
    process: u32,
    resource: Resource,
    share: Share,
    called: Moment,
    granted: Option<Moment>,
    token: Option<u64>,
    /// After the lock was found valid for the first time, and before it was for the last time.
    valid: Option<(Moment, Moment)>,
    /// After the first write that the fence refused.
    refused: Option<Moment>,
    releases: Option<Moment>,
    end: Option<(Moment, End)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Released,
    Lost,
    Unknown,
    /// Contended or timed out.
    Refused,
    Failed(String),
}

/// All attempts of a run.
#[derive(Debug, Default)]
pub(crate) struct History {
    attempts: Vec<Attempt>,
}

/// Bounds of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) last_fault: Moment,
    pub(crate) end: Moment,
    /// The time for which the lock of a dead client is kept.
    pub(crate) ttl: Duration,
    pub(crate) killed: HashSet<u32>,
}

/// Numbers of events in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) grants: usize,
    /// Holders that found their lock lost, or not confirmed.
    pub(crate) lost: usize,
    pub(crate) refused_writes: usize,
    pub(crate) writes: usize,
    pub(crate) failures: usize,
}

impl AddAssign for Figures {
    fn add_assign(&mut self, more: Self) {
        self.grants += more.grants;
        self.lost += more.lost;
        self.refused_writes += more.refused_writes;
        self.writes += more.writes;
        self.failures += more.failures;
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} grants, {} of them lost; {} writes, {} of them stale and refused; {} failed attempts",
            self.grants, self.lost, self.writes, self.refused_writes, self.failures
        )
    }
}

impl History {
    /// Reads all diaries of the directory.
    pub(crate) fn read(directory: &Path) -> Self {
        let mut attempts = HashMap::new();
        for diary in fs::read_dir(directory).expect("the diaries") {
            let text = fs::read_to_string(diary.expect("a diary").path()).expect("text");
            for line in text.lines() {
                enter(&mut attempts, line);
            }
        }
        let mut attempts: Vec<_> = attempts.into_values().collect();
        attempts.sort_by_key(|attempt| attempt.called);
        Self { attempts }
    }

    pub(crate) fn figures(&self, registers: &Registers) -> Figures {
        let count = |holds: &dyn Fn(&&Attempt) -> bool| self.attempts.iter().filter(holds).count();
        let writes = [Resource::Sole, Resource::Many]
            .iter()
            .flat_map(|of| registers.history(of.name()).history().to_vec());
        let writes: Vec<_> = writes.collect();
        Figures {
            grants: count(&|one| one.granted.is_some()),
            lost: count(&|one| one.end.as_ref().is_some_and(|(_, end)| *end == End::Lost)),
            refused_writes: writes.iter().filter(|write| !write.is_accepted).count(),
            writes: writes.len(),
            failures: count(&|one| matches!(one.end, Some((_, End::Failed(_))))),
        }
    }

    /// Has all checkers look at the run.
    ///
    /// # Errors
    ///
    /// The first violation of each checker and lock.
    pub(crate) fn check(&self, registers: &Registers, run: &Run) -> Result<(), String> {
        let mut violations = Vec::new();
        for resource in Resource::ALL {
            let of_this: Vec<_> = self
                .attempts
                .iter()
                .filter(|one| one.resource == resource)
                .collect();
            let beliefs: Vec<_> = of_this.iter().filter_map(|one| one.belief()).collect();
            let operations: Vec<_> = (0..)
                .zip(&of_this)
                .flat_map(|(number, one)| one.operations(number))
                .collect();
            let checks = [
                ("beliefs", beliefs::check(&beliefs, PERMITS)),
                ("grants", grants::check(&beliefs)),
                (
                    "register",
                    register::check(registers.history(resource.name()).history()),
                ),
                ("fence", no_valid_holder_is_refused(&of_this)),
                (
                    "answers",
                    on_a_large_stack(|| linearizable::check(&operations, PERMITS)),
                ),
                ("liveness", check_waits(&of_this, run)),
                ("failures", no_failure_after(&of_this, run)),
            ];
            for (checker, result) in checks {
                if let Err(violation) = result {
                    violations.push(format!("{}: {checker}: {violation}", resource.name()));
                }
            }
        }
        if violations.is_empty() {
            Ok(())
        } else {
            Err(violations.join("\n"))
        }
    }
}

/// Enters a line of a diary.
fn enter(attempts: &mut HashMap<String, Attempt>, line: &str) {
    let mut words = line.splitn(4, ' ');
    let mut word = || words.next().unwrap_or_default();
    let (name, event) = (word(), word());
    let moment: Moment = word().parse().expect("a moment");
    let details = word();
    if event == "called" {
        let attempt = Attempt::new(name, moment, details);
        attempts.insert(name.to_owned(), attempt);
        return;
    }
    let attempt = attempts
        .get_mut(name)
        .expect("an attempt begins with its call");
    match event {
        "granted" => {
            attempt.granted = Some(moment);
            attempt.token = details.parse().ok();
        }
        "valid" => {
            let before = details.parse().expect("a moment");
            let first = attempt.valid.map_or(moment, |(first, _)| first);
            attempt.valid = Some((first, before));
        }
        "wrote" if details == "refused" => {
            attempt.refused.get_or_insert(moment);
        }
        "wrote" | "doubted" => {}
        "releases" => attempt.releases = Some(moment),
        "ended" => attempt.end = Some((moment, End::of_release(details))),
        "failed" => attempt.end = Some((moment, End::of_failure(details))),
        _ => panic!("a diary has the line {line}"),
    }
}

impl End {
    fn of_release(details: &str) -> Self {
        match details {
            "released" => Self::Released,
            "lost" => Self::Lost,
            _ => Self::Unknown,
        }
    }

    fn of_failure(details: &str) -> Self {
        match details.split(' ').next() {
            Some("Contended" | "TimedOut") => Self::Refused,
            _ => Self::Failed(details.to_owned()),
        }
    }
}

impl Attempt {
    fn new(name: &str, called: Moment, details: &str) -> Self {
        let (resource, share) = details.split_once(' ').expect("two words");
        let process = name.split('.').next().unwrap_or_default();
        let resource = Resource::ALL.into_iter().find(|one| one.name() == resource);
        Self {
            name: name.to_owned(),
            process: process.parse().expect("a process"),
            resource: resource.expect("one of the locks"),
            share: match share {
                "x" => Share::Exclusive,
                "s" => Share::Shared,
                permits => Share::Permits(permits.parse().expect("a number")),
            },
            called,
            granted: None,
            token: None,
            valid: None,
            refused: None,
            releases: None,
            end: None,
        }
    }

    fn belief(&self) -> Option<Belief> {
        let granted = self.granted?;
        // Without a use, there is no instant at which it was certainly valid.
        let (begin, end) = self
            .valid
            .unwrap_or((granted + Duration::from_nanos(1), granted));
        Some(Belief {
            holder: self.name.clone(),
            share: self.share,
            token: self.token,
            begin,
            end,
        })
    }

    /// The operations on the lock. A refusal or a time-out has no effect on the others.
    fn operations(&self, number: u32) -> Vec<Operation> {
        let Some(granted) = self.granted else {
            return Vec::new();
        };
        let answered = |action, called, returned| Operation {
            action,
            called,
            returned: Some(returned),
        };
        let mut operations = vec![answered(
            Action::Acquired(number, self.share),
            self.called,
            granted,
        )];
        let expiry = Operation {
            action: Action::Expired(number),
            called: self.called,
            returned: None,
        };
        match (self.releases, &self.end) {
            (Some(called), Some((returned, End::Released))) => {
                operations.push(answered(Action::Released(number), called, *returned));
            }
            (Some(called), Some((returned, End::Lost))) => {
                operations.push(expiry);
                operations.push(answered(Action::WasLost(number), called, *returned));
            }
            _ => operations.push(expiry),
        }
        operations
    }
}

/// A writer that is valid after the fence has refused it had a token that was too small.
fn no_valid_holder_is_refused(attempts: &[&Attempt]) -> Result<(), String> {
    let is_wrong = |one: &&&Attempt| match (one.refused, one.valid) {
        (Some(refused), Some((_, last))) => last > refused,
        _ => false,
    };
    match attempts.iter().find(is_wrong) {
        None => Ok(()),
        Some(wrong) => Err(format!("valid, and refused before: {wrong:?}")),
    }
}

fn check_waits(attempts: &[&Attempt], run: &Run) -> Result<(), String> {
    let lived = attempts
        .iter()
        .filter(|one| !run.killed.contains(&one.process));
    let waits = lived.map(|one| Wait {
        waiter: one.name.clone(),
        begin: one.called,
        end: one.granted.or(one.end.as_ref().map(|&(end, _)| end)),
    });
    let uses = u32::try_from(USES).expect("a small number");
    let bound = Bound {
        last_fault: run.last_fault,
        end: run.end,
        // The pauses are longer on a busy machine.
        hold: PAUSE * uses * 5,
        ttl: run.ttl,
    };
    liveness::check(&waits.collect::<Vec<_>>(), bound)
}

/// Attempts that begin when the faults are over, and their consequences, do not fail.
fn no_failure_after(attempts: &[&Attempt], run: &Run) -> Result<(), String> {
    let calm = run.last_fault + run.ttl + Duration::from_secs(5);
    let failed = attempts.iter().filter(|one| one.called > calm).find(|one| {
        matches!(
            one.end,
            Some((_, End::Failed(_) | End::Lost | End::Unknown))
        )
    });
    match failed {
        None => Ok(()),
        Some(failed) => Err(format!("without a fault: {failed:?}")),
    }
}

/// The search goes as deep as there are operations.
fn on_a_large_stack<R: Send>(search: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(1 << 30);
        let thread = builder.spawn_scoped(scope, search).expect("a thread");
        thread.join().expect("no panic")
    })
}
