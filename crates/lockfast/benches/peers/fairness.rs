//! Processes that all go back for the lock at once: who gets it, how often, and after how long.
//!
//! Where a woken process takes longer to run than the one that releases takes to come back, the bare
//! calls of the kernel leave the lock to one process. So each figure stands beside those of the raw
//! call, and of a token that goes round in a ring of pipes, which is as fair as the machine can be.

mod results;

use std::time::Duration;

use crate::Outcome;
use crate::bench::Bench;
use crate::command;
use crate::contenders::{Contender, PERMITS};
use crate::report::Part;
use crate::rush::Members;
use crate::statistics::{mean, number, quantile};

use crate::visits::Log;

use results::Results;

const SIZES: [usize; 3] = [2, 8, 64];

const HOLDS: [Duration; 4] = [
    Duration::from_micros(20),
    Duration::from_micros(100),
    Duration::from_millis(1),
    Duration::from_millis(10),
];

/// The holds from that one on are long ones, with bars of their own.
const LONG: Duration = Duration::from_millis(1);

/// Added to the longest wait that is allowed.
const GRACE: Duration = Duration::from_millis(5);

/// A participant, and what is expected of it.
#[derive(Clone, Copy, Debug)]
struct Entrant {
    name: &'static str,
    members: Members,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A measure for the others.
    Bare,
    /// A mode of lockfast, with its measure for the throughput, if there is a bar for that.
    Mode(Option<Members>),
    Peer,
}

const RAW: Members = Members::All(Contender::Raw);
const RAW_TASK: Members = Members::All(Contender::RawTask);
const SEMAPHORE: Members = Members::All(Contender::LockfastPermit);

const ENTRANTS: [Entrant; 24] = [
    bare("raw F_OFD_SETLKW", RAW),
    bare("… in tokio's spawn_blocking", RAW_TASK),
    bare("a token in a ring", Members::Ring),
    mode("Lock", Members::All(Contender::Lockfast)),
    mode("ReentrantLock", Members::All(Contender::LockfastReentrant)),
    mode("RwLock::write", Members::All(Contender::LockfastWrite)),
    mode(
        "RwLock::read, half writers",
        Members::Readers(Contender::LockfastRead, Contender::LockfastWrite),
    ),
    mode(
        "RwLock::upgradable_read, half writers",
        Members::Halves(Contender::LockfastUpgradable, Contender::LockfastWrite),
    ),
    mode(
        "RwLock upgrade, half writers",
        Members::Halves(Contender::LockfastUpgrade, Contender::LockfastWrite),
    ),
    mode("Semaphore, 3 permits", SEMAPHORE),
    mode("with a deadline", Members::All(Contender::LockfastTimed)),
    Entrant {
        kind: Kind::Mode(Some(RAW_TASK)),
        ..mode("lock_async", Members::All(Contender::LockfastTask))
    },
    Entrant {
        kind: Kind::Mode(None),
        ..mode("Fairness::Fifo", Members::All(Contender::LockfastFifo))
    },
    mode("Protocol::Flock", Members::All(Contender::LockfastFlock)),
    mode("Protocol::Both", Members::All(Contender::LockfastBoth)),
    mode("threads of one handle", Members::Threads),
    peer("raw flock", Contender::RawFlock),
    peer("std File::lock", Contender::Std),
    peer("fs4", Contender::Fs4),
    peer("fd-lock", Contender::FdLock),
    peer("flock(1) on a descriptor", Contender::FlockTool),
    peer("fasteners", Contender::Fasteners),
    peer("filelock", Contender::Filelock),
    peer("portalocker", Contender::Portalocker),
];

/// A number of members, and how long each holds the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    size: usize,
    hold: Duration,
}

/// The figures of an entrant in a cell, from all rounds.
#[derive(Debug)]
struct Figures {
    entrant: Entrant,
    cell: Cell,
    least_to_most: Vec<f64>,
    throughput: Vec<f64>,
    /// The longest wait in nanoseconds.
    longest: f64,
    /// The longest wait in relation to the longest that is allowed: the worst round.
    longest_to_allowed: f64,
    /// In nanoseconds.
    handovers: Vec<f64>,
    overtaken: u64,
    contended: u64,
}

pub(crate) fn run(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let mut all = Vec::new();
    let entrants = entrants(bench, part);
    for cell in cells() {
        let rounds = if cell.lasting(bench) > Duration::from_secs(2) {
            1
        } else {
            bench.extent(3, 1)
        };
        let mut of_cell: Vec<_> = entrants
            .iter()
            .filter(|entrant| entrant.takes_part(cell))
            .map(|&entrant| Figures::new(entrant, cell))
            .collect();
        for round in 0..rounds {
            for figures in &mut of_cell {
                // Peers are measured once: how they starve is no matter of chance.
                if round > 0 && figures.entrant.kind == Kind::Peer {
                    continue;
                }
                let log =
                    figures
                        .entrant
                        .members
                        .rush(bench, cell.size, cell.hold, cell.lasting(bench));
                match log {
                    Ok(log) => figures.add(&log),
                    Err(error) if figures.entrant.kind == Kind::Peer => {
                        part.leave_out(&format!("{} in a rush: {error}", figures.entrant.name));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        all.extend(of_cell);
    }
    let results = Results(all);
    results.tables(part, &entrants);
    results.bars(part);
    Ok(())
}

const fn bare(name: &'static str, members: Members) -> Entrant {
    Entrant {
        name,
        members,
        kind: Kind::Bare,
    }
}

const fn mode(name: &'static str, members: Members) -> Entrant {
    Entrant {
        name,
        members,
        kind: Kind::Mode(Some(RAW)),
    }
}

const fn peer(name: &'static str, contender: Contender) -> Entrant {
    Entrant {
        name,
        members: Members::All(contender),
        kind: Kind::Peer,
    }
}

/// The entrants that can be measured here.
fn entrants(bench: &Bench, part: &mut Part) -> Vec<Entrant> {
    let has_flock = command::tool("flock").is_some();
    if !has_flock {
        part.leave_out("flock(1) in a rush, as it is not installed");
    }
    let is_there = |entrant: &&Entrant| match entrant.members {
        Members::All(Contender::FlockTool) => has_flock,
        Members::All(contender) => !bench.available(&[contender]).is_empty(),
        _ => true,
    };
    ENTRANTS.iter().filter(is_there).copied().collect()
}

fn cells() -> impl Iterator<Item = Cell> {
    SIZES
        .into_iter()
        .flat_map(|size| HOLDS.map(|hold| Cell { size, hold }))
}

impl Entrant {
    fn takes_part(&self, cell: Cell) -> bool {
        match self.kind {
            Kind::Peer => cell.hold >= LONG,
            // Each has a permit.
            _ if self.members == SEMAPHORE => cell.size > PERMITS as usize,
            _ => true,
        }
    }
}

impl Cell {
    /// Time for a dozen turns of each member, so that one more or less is no unevenness.
    fn lasting(self, bench: &Bench) -> Duration {
        let turns = bench.extent(12, 4);
        let shortest = match self.size {
            64 => bench.extent(600, 150),
            _ => bench.extent(300, 100),
        };
        let members = u32::try_from(self.size).expect("a few");
        Duration::from_millis(shortest).max(self.hold * members * turns)
    }

    /// The longest wait that is allowed with holds that last so many nanoseconds, in nanoseconds.
    fn allowed(self, hold: f64) -> f64 {
        let members = u64::try_from(self.size).expect("a few");
        number(members + 2) * hold + GRACE.as_secs_f64() * 1e9
    }

    fn name(self) -> String {
        format!("{} processes, holds of {:?}", self.size, self.hold)
    }
}

impl Figures {
    fn new(entrant: Entrant, cell: Cell) -> Self {
        Self {
            entrant,
            cell,
            least_to_most: Vec::new(),
            throughput: Vec::new(),
            longest: 0.0,
            longest_to_allowed: 0.0,
            handovers: Vec::new(),
            overtaken: 0,
            contended: 0,
        }
    }

    fn add(&mut self, log: &Log) {
        self.least_to_most.push(log.least_to_most().unwrap_or(0.0));
        self.throughput.extend(log.throughput());
        let longest = number(log.longest_wait());
        self.longest = self.longest.max(longest);
        let hold = mean(log.holds()).unwrap_or(0.0);
        let to_allowed = longest / self.cell.allowed(hold);
        self.longest_to_allowed = self.longest_to_allowed.max(to_allowed);
        // Readers that share a lock hand nothing over.
        if !matches!(self.entrant.members, Members::Readers(..)) {
            self.handovers.extend(log.handovers());
            let (overtaken, contended) = log.overtakings();
            self.overtaken += overtaken;
            self.contended += contended;
        }
    }

    /// Time from the release to the next process that waited, in microseconds.
    fn handover(&self, share: f64) -> Option<f64> {
        quantile(&self.handovers, share).map(|handover| handover / 1e3)
    }
}
