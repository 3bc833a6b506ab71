//! Who held the lock when, and what follows from that about hand-overs.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use crate::Outcome;
use crate::statistics::number;

/// One acquisition: when it was asked for, when it was obtained, and when its release began.
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
    /// What was obtained from then on is not counted: some have left already.
    until: u64,
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
    /// When two of them had the lock at the same time.
    pub(crate) fn new(of_each: Vec<Visits>, until: u64) -> Outcome<Self> {
        let members = of_each.len();
        let mut entries: Vec<_> = of_each
            .into_iter()
            .enumerate()
            .flat_map(|(member, Visits(visits))| {
                visits.into_iter().map(move |visit| (member, visit))
            })
            .collect();
        entries.sort_by_key(|(_, visit)| visit.acquired);
        let overlap = |pair: &[(usize, Visit)]| pair[1].1.acquired < pair[0].1.releasing;
        if entries.windows(2).any(overlap) {
            return Err("two processes held the lock at the same time".into());
        }
        Ok(Self {
            entries,
            members,
            until,
        })
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

    /// The longest wait in nanoseconds, even beyond the end.
    pub(crate) fn longest_wait(&self) -> u64 {
        let wait = |(_, visit): &(usize, Visit)| visit.acquired - visit.asked;
        self.entries.iter().map(wait).max().unwrap_or(0)
    }

    /// The fewest acquisitions of a process in relation to the most.
    pub(crate) fn least_to_most(&self) -> Option<f64> {
        let mut counts = vec![0; self.members];
        for (member, _) in self.counted() {
            counts[*member] += 1;
        }
        let most = *counts.iter().max().filter(|&&most| most > 0)?;
        let least = *counts.iter().min()?;
        Some(number(least) / number(most))
    }

    /// Each instant of a release with the visit that comes next.
    fn successions(&self) -> impl Iterator<Item = (u64, Visit)> {
        let next = self.counted().skip(1).map(|(_, visit)| *visit);
        let releases = self.entries.iter().map(|(_, visit)| visit.releasing);
        releases.zip(next)
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
