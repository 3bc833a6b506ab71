//! The table of locks at two moments, and the lines that were there all the time.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::hash::Hash;
use std::io::{self, Read, Seek, SeekFrom};
use std::iter;
use std::time::{Duration, Instant};

use super::table::{self, LockLine};
use crate::inspect::snapshot::{Description, FileKey};

/// The table of locks, or its lines of one file.
#[derive(Debug, Default)]
pub(super) struct LockTable {
    pub(super) lines: Vec<LockLine>,
    /// Whether several readings were the same. If not, a lock that was there all the time may be missing.
    pub(super) is_settled: bool,
    /// The files with a lease.
    pub(super) leased: HashSet<FileKey>,
}

/// Reads the table.
///
/// The kernel returns it page by page, and finds its place again by the number of the line. If locks come and
/// go between two pages, other locks are left out or come twice. How full the last page was means nothing: a
/// lock comes together with its waiters, and those that did not fit may be gone when the kernel looks again.
/// So the table is read until it stays the same.
#[derive(Debug)]
pub(super) struct TableReader {
    /// The descriptor for all readings: the kernel keeps the buffer that it has grown for a long line.
    file: File,
}

/// The maximum number of readings, and the time after which no other one is begun. Each page keeps all
/// programs from taking locks for an instant, and waits for those that are taking one. On an overloaded
/// machine that may take a tenth of a second.
const ATTEMPTS: usize = 5;
const PATIENCE: Duration = Duration::from_millis(250);

/// The minimum number of readings: one has the locks that another one leaves out.
const LEAST: usize = 3;

/// The number of readings whose lines have to be the same. If there are no lines, so that the lock would be
/// reported as free, the whole table has to be the same.
const ALIKE: usize = 2;
const ALIKE_AND_EMPTY: usize = 3;

impl TableReader {
    pub(super) fn open() -> io::Result<Self> {
        let file = File::open("/proc/locks")?;
        Ok(Self { file })
    }

    /// Returns the lines of one file, or of all files.
    pub(super) fn table(&mut self, file: Option<FileKey>) -> io::Result<LockTable> {
        settled(file, || self.read())
    }

    /// Reads the table of a file that is known to have a lock, unless that is released meanwhile.
    pub(super) fn table_with(&mut self, file: Option<FileKey>) -> io::Result<LockTable> {
        const TRIES: usize = 4;
        for _ in 1..TRIES {
            let table = self.table(file)?;
            if !table.lines.is_empty() {
                return Ok(table);
            }
        }
        self.table(file)
    }

    fn read(&mut self) -> io::Result<Vec<u8>> {
        const MOST: usize = 1 << 16;
        self.file.seek(SeekFrom::Start(0))?;
        let mut text = Vec::new();
        loop {
            let length = text.len();
            text.resize(length + MOST, 0);
            let read = self.file.read(&mut text[length..])?;
            text.truncate(length + read);
            if read == 0 {
                return Ok(text);
            }
        }
    }
}

/// Reads until the lines of the file, or of all files, stay the same.
fn settled(
    file: Option<FileKey>,
    mut read: impl FnMut() -> io::Result<Vec<u8>>,
) -> io::Result<LockTable> {
    let mut readings: Vec<Vec<LockLine>> = Vec::new();
    let mut leased = HashSet::new();
    let begun = Instant::now();
    let mut alike = 0;
    let mut is_settled = false;
    let mut last = Vec::new();
    for _ in 0..ATTEMPTS {
        let text = read()?;
        // A line of this file may be left out because the locks of others change.
        let has_changed = text != last;
        let mut lines = match file {
            Some(file) => table::parse_inode(&text, file.inode),
            None => table::parse(&text),
        };
        lines.retain(|line| file.is_none_or(|file| file == line.file));
        leased.extend(table::parse_leases(&text));
        let is_same = readings.last() == Some(&lines) && !(lines.is_empty() && has_changed);
        last = text;
        alike = if is_same { alike + 1 } else { 1 };
        let enough = if lines.is_empty() {
            ALIKE_AND_EMPTY
        } else {
            ALIKE
        };
        is_settled = alike >= enough;
        readings.push(lines);
        // The line of a lease may be left out of readings that have the same locks of the file.
        let has_all_leases = !has_changed || readings.len() > LEAST;
        let is_late = readings.len() >= LEAST && begun.elapsed() > PATIENCE;
        if is_settled && has_all_leases || is_late {
            break;
        }
    }
    Ok(LockTable {
        lines: match readings.pop() {
            Some(lines) if is_settled => lines,
            last => {
                readings.extend(last);
                // A lock that lasted is in most readings. A caller that finds none here must not take it for
                // free.
                usual(&readings)
            }
        },
        is_settled,
        leased,
    })
}

/// Returns each line that was read at all, as many times as most readings have it.
fn usual(readings: &[Vec<LockLine>]) -> Vec<LockLine> {
    let mut counts = HashMap::<LockLine, Vec<usize>>::new();
    let mut order = Vec::new();
    for (number, lines) in readings.iter().enumerate() {
        for line in lines {
            let counts = counts.entry(*line).or_insert_with(|| {
                order.push(*line);
                vec![0; readings.len()]
            });
            counts[number] += 1;
        }
    }
    let most_frequent = |counts: &[usize]| {
        let frequency = |count: usize| counts.iter().filter(|&&other| other == count).count();
        let seen = counts.iter().copied().filter(|&count| count > 0);
        seen.max_by_key(|&count| (frequency(count), count))
    };
    order
        .into_iter()
        .flat_map(|line| iter::repeat_n(line, most_frequent(&counts[&line]).unwrap_or(0)))
        .collect()
}

/// Returns each line as often as it is in both.
pub(super) fn in_both(before: &[LockLine], after: &[LockLine]) -> Vec<LockLine> {
    let mut left = Counts::new(after.iter().copied());
    before
        .iter()
        .filter(|line| left.take(line))
        .copied()
        .collect()
}

/// A multiset.
#[derive(Debug)]
pub(super) struct Counts<T>(HashMap<T, usize>);

impl<T: Eq + Hash> Counts<T> {
    pub(super) fn new(all: impl Iterator<Item = T>) -> Self {
        let mut counts = HashMap::new();
        for one in all {
            *counts.entry(one).or_default() += 1;
        }
        Self(counts)
    }

    /// Takes one out. Returns `false` if there was none.
    pub(super) fn take(&mut self, one: &T) -> bool {
        match self.0.get_mut(one) {
            Some(count @ 1..) => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }
}

/// Returns the locks of the table that belong to none of the descriptions.
pub(super) fn unclaimed(table: &[LockLine], descriptions: &[Description]) -> Vec<LockLine> {
    let locks = descriptions.iter().flat_map(|description| {
        let locks = description.locks.iter();
        locks.map(|&lock| (description.file, lock))
    });
    let locks: Vec<_> = locks.collect();
    let known: HashSet<_> = locks.iter().copied().collect();
    let mut claims = Counts::new(locks.into_iter());
    // There can't be a second exclusive lock: the line was read twice.
    let is_twice = |line: &LockLine| line.lock.exclusive && known.contains(&(line.file, line.lock));
    table
        .iter()
        .filter(|line| !line.waiting && !claims.take(&(line.file, line.lock)))
        .filter(|line| !is_twice(line))
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Vec<LockLine> {
        table::parse(texts.join("\n").as_bytes())
    }

    #[test]
    fn lines_count_as_often_as_they_are_there() {
        let [one, two, three] = [
            "1: FLOCK  ADVISORY  READ  17 00:2d:7 0 EOF",
            "2: FLOCK  ADVISORY  READ  18 00:2d:7 0 EOF",
            "3: -> FLOCK  ADVISORY  WRITE  19 00:2d:7 0 EOF",
        ];
        let before = lines(&[one, one, two]);
        let after = lines(&[two, three, one]);
        assert_eq!(in_both(&before, &after), lines(&[one, two]));
        assert_eq!(after.len(), 3);
    }

    #[test]
    fn readings_that_differ_are_merged_without_gaps_or_repeats() {
        let one = "1: OFDLCK ADVISORY  READ  -1 00:2d:7 0 EOF";
        let two = "2: -> FLOCK  ADVISORY  WRITE  18 00:2d:7 0 EOF";
        let readings = [
            &[one, one, two][..],
            &[one, one],
            &[one, one, two, two],
            &[one, two],
        ];
        let readings = readings.map(lines);
        assert_eq!(usual(&readings), lines(&[one, one, two]));
        assert_eq!(
            usual(&[Vec::new(), lines(&[one]), Vec::new()]),
            lines(&[one])
        );
    }

    #[test]
    fn a_lease_is_seen_that_is_left_out_of_readings_while_other_locks_change() {
        let lock = "1: OFDLCK ADVISORY  WRITE -1 00:2d:7 0 EOF";
        let lease = "2: LEASE  ACTIVE    WRITE  17 00:2d:7 0 EOF";
        let file = lines(&[lock])[0].file;
        for gaps in 0..=LEAST {
            let mut number = 0;
            let table = settled(Some(file), || {
                number += 1;
                let other = format!("3: FLOCK  ADVISORY  READ  18 00:2d:{} 0 EOF", 7 + number);
                let shown = if number > gaps { lease } else { "" };
                Ok([lock, shown, &other].join("\n").into_bytes())
            })
            .expect("no error");
            assert!(table.is_settled);
            assert_eq!(table.lines, lines(&[lock]));
            assert!(table.leased.contains(&file), "left out of {gaps} readings");
        }
    }

    #[test]
    fn an_exclusive_lock_that_is_claimed_is_there_once() {
        let exclusive = "1: OFDLCK ADVISORY  WRITE -1 fe:00:7 0 EOF";
        let shared = "1: OFDLCK ADVISORY  READ  -1 fe:00:7 0 EOF";
        for (line, left) in [(exclusive, 0), (shared, 1)] {
            let table = lines(&[line, line]);
            let claimed = Description {
                file: table[0].file,
                owners: vec![1],
                locks: vec![table[0].lock],
            };
            assert_eq!(unclaimed(&table, &[claimed]).len(), left, "{line}");
            assert_eq!(unclaimed(&table, &[]).len(), 2);
        }
    }
}
