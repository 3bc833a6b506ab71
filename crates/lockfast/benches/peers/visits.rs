//! Times at which each process held the lock, and the hand-overs that follow from them.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use crate::Outcome;
use crate::clock;
use crate::locks::Locked;
use crate::statistics::number;

/// An acquisition: when it was asked for, when it was obtained, and when its release began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit {
    pub(crate) asked: u64,
    pub(crate) acquired: u64,
    pub(crate) releasing: u64,
}

/// The visits of one process, as it sends them.
#[derive(Debug, Default)]
pub(crate) struct Visits(Vec<Visit>);

/// The visits of all processes, in the order in which they had the lock.
#[derive(Debug)]
pub(crate) struct Log {
    entries: Vec<(usize, Visit)>,
    members: usize,
    /// The number of the first ones that share the lock.
    readers: usize,
    /// When each of them let go of it, in that order.
    releases: Vec<u64>,
    /// How many may have it at once.
    permits: usize,
    /// Later acquisitions are not counted: some processes have left already.
    until: u64,
}

/// Locks, holds, unlocks, and goes back for the lock at once, until that instant.
pub(crate) fn rush(lock: &mut dyn Locked, hold: Duration, until: u64) -> Outcome<Visits> {
    let mut visits = Visits::default();
    while clock::now() < until {
        visits.push(visit(lock, hold, || Ok(()))?);
    }
    Ok(visits)
}

/// Locks, tells, holds and unlocks.
pub(crate) fn visit(
    lock: &mut dyn Locked,
    hold: Duration,
    tell: impl Fn() -> Outcome<()>,
) -> Outcome<Visit> {
    let asked = clock::now();
    let (mut acquired, mut releasing, mut told) = (0, 0, Ok(()));
    lock.locked(&mut || {
        acquired = clock::now();
        told = tell();
        thread::sleep(hold);
        releasing = clock::now();
    })?;
    told?;
    Ok(Visit {
        asked,
        acquired,
        releasing,
    })
}

impl Visits {
    pub(crate) fn push(&mut self, visit: Visit) {
        self.0.push(visit);
    }

    /// How many nanoseconds each visit was waited for.
    pub(crate) fn waits(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(|visit| visit.acquired - visit.asked)
    }
}

impl Log {
    /// Merges what the processes sent.
    ///
    /// # Errors
    ///
    /// When more of them had the lock at the same time than may.
    pub(crate) fn new(of_each: Vec<Visits>, until: u64, permits: usize) -> Outcome<Self> {
        let log = Self::merged(of_each, 0, until, permits);
        let next = log.entries.iter().skip(permits);
        let overlap = |(releasing, (_, next)): (&u64, &(usize, Visit))| next.acquired < *releasing;
        if log.releases.iter().zip(next).any(overlap) {
            return Err("more processes held the lock at the same time than may".into());
        }
        Ok(log)
    }

    /// Merges what readers and writers sent.
    ///
    /// # Errors
    ///
    /// When a writer had the lock at the same time as another process.
    pub(crate) fn of_readers(
        mut readers: Vec<Visits>,
        writers: Vec<Visits>,
        until: u64,
    ) -> Outcome<Self> {
        let first_writer = readers.len();
        readers.extend(writers);
        let log = Self::merged(readers, first_writer, until, 1);
        let (mut all, mut writers) = (0, 0);
        for &(member, visit) in &log.entries {
            let is_writer = member >= first_writer;
            if visit.acquired < if is_writer { all } else { writers } {
                return Err("a writer held the lock at the same time as another process".into());
            }
            all = all.max(visit.releasing);
            if is_writer {
                writers = writers.max(visit.releasing);
            }
        }
        Ok(log)
    }

    fn merged(of_each: Vec<Visits>, readers: usize, until: u64, permits: usize) -> Self {
        let members = of_each.len();
        let mut entries: Vec<_> = of_each
            .into_iter()
            .enumerate()
            .flat_map(|(member, Visits(visits))| {
                visits.into_iter().map(move |visit| (member, visit))
            })
            .collect();
        entries.sort_by_key(|(_, visit)| visit.acquired);
        let mut releases: Vec<_> = entries.iter().map(|(_, visit)| visit.releasing).collect();
        releases.sort_unstable();
        Self {
            entries,
            members,
            readers,
            releases,
            permits,
            until,
        }
    }

    /// How many nanoseconds after the release the next one had the lock, for each time that it was
    /// waiting at the release.
    pub(crate) fn handovers(&self) -> impl Iterator<Item = f64> {
        self.successions()
            .filter(|(releasing, next)| next.asked < *releasing)
            .map(|(releasing, next)| number(next.acquired - releasing))
    }

    /// Of the releases for which somebody waited: after how many did somebody get the lock who had
    /// not asked yet, and how many there are.
    pub(crate) fn overtakings(&self) -> (u64, u64) {
        let mut asked: Vec<_> = self.entries.iter().map(|(_, visit)| visit.asked).collect();
        asked.sort_unstable();
        let is_waited_for = |instant: u64| {
            let have_asked = asked.partition_point(|&other| other < instant);
            let were_served = self
                .entries
                .partition_point(|(_, visit)| visit.acquired < instant);
            have_asked > were_served
        };
        self.successions()
            .filter(|&(releasing, _)| is_waited_for(releasing))
            .fold((0, 0), |(overtaken, all), (releasing, next)| {
                (overtaken + u64::from(next.asked >= releasing), all + 1)
            })
    }

    /// The acquisitions in a second, all processes together, from the first one on.
    pub(crate) fn throughput(&self) -> Option<f64> {
        let (_, first) = self.entries.first()?;
        let lasting = Duration::from_nanos(self.until.checked_sub(first.acquired)?);
        let count = u64::try_from(self.counted().count()).ok()?;
        Some(number(count) / lasting.as_secs_f64())
    }

    /// How many nanoseconds each acquisition was held for.
    pub(crate) fn holds(&self) -> impl Iterator<Item = f64> {
        self.counted()
            .map(|(_, visit)| number(visit.releasing - visit.acquired))
    }

    /// The longest wait in nanoseconds, even beyond the end.
    pub(crate) fn longest_wait(&self) -> u64 {
        let wait = |(_, visit): &(usize, Visit)| visit.acquired - visit.asked;
        self.entries.iter().map(wait).max().unwrap_or(0)
    }

    /// The fewest acquisitions of a process in relation to the most; with readers, the lower figure of the readers
    /// among themselves and of the writers.
    pub(crate) fn least_to_most(&self) -> Option<f64> {
        let mut counts = vec![0; self.members];
        for (member, _) in self.counted() {
            counts[*member] += 1;
        }
        let (readers, others) = counts.split_at(self.readers);
        let groups = [readers, others]
            .into_iter()
            .filter(|group| !group.is_empty());
        let of_group = |group: &[u64]| {
            let most = *group.iter().max().filter(|&&most| most > 0)?;
            Some(number(*group.iter().min()?) / number(most))
        };
        groups
            .map(of_group)
            .reduce(|one, other| Some(one?.min(other?)))?
    }

    /// Each instant of a release with the visit that this release made possible: the first ones need
    /// none, and each later one needs one more than the one before.
    fn successions(&self) -> impl Iterator<Item = (u64, Visit)> {
        let next = self.counted().skip(self.permits);
        let releases = self.releases.iter().copied();
        releases.zip(next.map(|(_, visit)| *visit))
    }

    fn counted(&self) -> impl Iterator<Item = &(usize, Visit)> {
        self.entries
            .iter()
            .take_while(|(_, visit)| visit.acquired < self.until)
    }
}

impl fmt::Display for Visits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for visit in &self.0 {
            write!(f, "{},{},{} ", visit.asked, visit.acquired, visit.releasing)?;
        }
        Ok(())
    }
}

impl FromStr for Visits {
    type Err = Box<dyn Error + Send + Sync>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl FromStr for Visit {
    type Err = Box<dyn Error + Send + Sync>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let instants = text
            .split(',')
            .map(str::parse)
            .collect::<Result<Vec<_>, _>>()?;
        let [asked, acquired, releasing] = instants[..] else {
            return Err(format!("{text:?} is not a visit").into());
        };
        Ok(Self {
            asked,
            acquired,
            releasing,
        })
    }
}
