//! Many at once under `Fairness::Fifo`: who overtook whom, as they noted it themselves.

use std::fmt;
use std::fs;
use std::str::FromStr;

use crate::fifo::join_queue;
use crate::stage::{Actor, Stage};
use crate::trials;

trials![
    nobody_is_overtaken_in_a_race,
    threads_that_share_a_handle_overtake_no_process,
];

/// An acquisition in a race. What a holder notes while it is inside stands in the order in which
/// they got in.
pub(crate) struct Visit {
    /// Just before it asked.
    pub(crate) came: u64,
    /// When it was in the line at the latest; 0 if it was not.
    pub(crate) lined_up: u64,
    pub(crate) reads: bool,
}

impl Visit {
    /// Whether the other one got in although this one was in the queue when it came.
    fn is_overtaken_by(&self, other: &Self) -> bool {
        let excludes = !(self.reads && other.reads);
        excludes && self.lined_up != 0 && self.lined_up < other.came
    }
}

impl fmt::Display for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} {} {}",
            self.came,
            self.lined_up,
            u8::from(self.reads)
        )
    }
}

impl FromStr for Visit {
    type Err = std::num::ParseIntError;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let mut numbers = line.split(' ').map(str::parse);
        let mut next = || numbers.next().expect("three numbers");
        Ok(Self {
            came: next()?,
            lined_up: next()?,
            reads: next()? == 1,
        })
    }
}

const ROUNDS: usize = 200;

fn nobody_is_overtaken_in_a_race() {
    race(&["lock"; 8], 8 * ROUNDS);
    race(&["permit"; 8], 8 * ROUNDS);
    // One in four is upgradable, and notes nothing.
    race(&["rw"; 8], 6 * ROUNDS);
}

fn threads_that_share_a_handle_overtake_no_process() {
    let kinds = ["threads", "lock", "threads", "lock", "lock"];
    race(&kinds, (3 + 2 * 2) * ROUNDS);
}

fn race(kinds: &[&str], noted: usize) {
    let stage = Stage::new();
    let mut actors: Vec<_> = kinds.iter().map(|_| Actor::start()).collect();
    // All are in the line when it begins.
    let mut starter = Actor::with_lock(&stage, "fifo");
    starter.ask("lock a g");
    let join_queue = |(actor, kind): (&mut Actor, _)| {
        let race = format!("race {kind} {} {ROUNDS}", stage.lock().display());
        join_queue(actor, &race, &stage)
    };
    let racing: Vec<_> = actors.iter_mut().zip(kinds).map(join_queue).collect();
    starter.ask("release g");
    for (actor, pending) in actors.iter_mut().zip(racing) {
        actor.succeeds(pending);
    }
    let log = fs::read_to_string(stage.lock().with_extension("visits")).expect("the log");
    let parse = |line: &str| line.parse().expect("a visit");
    let visits: Vec<Visit> = log.lines().map(parse).collect();
    assert_eq!(visits.len(), noted);
    let waited = visits.iter().filter(|visit| visit.lined_up != 0).count();
    assert!(waited > 2 * ROUNDS, "{kinds:?}: only {waited} waited");
    let is_overtaken = |&number: &usize| {
        let (before, visit) = (&visits[..number], &visits[number]);
        before.iter().any(|other| visit.is_overtaken_by(other))
    };
    let overtaken = (0..visits.len()).filter(is_overtaken).count();
    assert_eq!(overtaken, 0, "{kinds:?}: of {waited} who waited");
}
