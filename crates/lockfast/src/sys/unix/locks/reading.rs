//! The table of locks at two moments, and what was there all the time.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::hash::Hash;
use std::io::{self, Read};

use super::table::{self, Line};
use crate::inspect::snapshot::{Description, FileKey};

/// The lines of the table, of one file or of all.
///
/// The kernel hands it out by the page, and where locks come and go between two, others are left out. So
/// it is read until it stays the same, twice, as the same line may be left out again; if it never does,
/// what was read is put together.
pub(super) fn table(file: Option<FileKey>) -> io::Result<Vec<Line>> {
    const ATTEMPTS: usize = 6;
    const REPETITIONS: usize = 2;
    let mut last: Option<Vec<Line>> = None;
    let mut repeated = 0;
    let mut all = Vec::new();
    for _ in 0..ATTEMPTS {
        let (text, is_of_one_moment) = read()?;
        let mut lines = match file {
            Some(file) => table::parse_inode(&text, file.inode),
            None => table::parse(&text),
        };
        lines.retain(|line| file.is_none_or(|file| file == line.file));
        repeated = if last.as_ref() == Some(&lines) {
            repeated + 1
        } else {
            0
        };
        if is_of_one_moment || repeated == REPETITIONS {
            return Ok(lines);
        }
        all = in_either(&all, &lines);
        last = Some(lines);
    }
    Ok(all)
}

/// The text, and whether it came in one piece.
fn read() -> io::Result<(Vec<u8>, bool)> {
    const PAGE: usize = 4096;
    let mut file = File::open("/proc/locks")?;
    let mut text = Vec::new();
    let mut pieces = 0;
    loop {
        let length = text.len();
        text.resize(length + PAGE, 0);
        let read = file.read(&mut text[length..])?;
        text.truncate(length + read);
        if read == 0 {
            return Ok((text, pieces <= 1));
        }
        pieces += 1;
    }
}

/// Each line as often as it is in that which has it more often.
fn in_either(before: &[Line], after: &[Line]) -> Vec<Line> {
    let mut left = Counts::new(before.iter().copied());
    let more = after.iter().filter(|line| !left.take(line));
    before.iter().chain(more).copied().collect()
}

/// Each line as often as it is in both.
pub(super) fn in_both(before: &[Line], after: &[Line]) -> Vec<Line> {
    let mut left = Counts::new(after.iter().copied());
    before
        .iter()
        .filter(|line| left.take(line))
        .copied()
        .collect()
}

/// How often there is what.
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

    /// Was there one more?
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

/// The locks of the table that belong to none of these.
pub(super) fn unclaimed(table: &[Line], descriptions: &[Description]) -> Vec<Line> {
    let locks = descriptions.iter().flat_map(|description| {
        let locks = description.locks.iter();
        locks.map(|&lock| (description.file, lock))
    });
    let locks: Vec<_> = locks.collect();
    let known: HashSet<_> = locks.iter().copied().collect();
    let mut claims = Counts::new(locks.into_iter());
    // There is no second one of a lock that excludes: it was read twice.
    let is_twice = |line: &Line| line.lock.exclusive && known.contains(&(line.file, line.lock));
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

    fn lines(texts: &[&str]) -> Vec<Line> {
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
        assert_eq!(in_either(&before, &after), lines(&[one, one, two, three]));
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
