//! The table of locks at two moments, and what was there all the time.

use std::collections::HashMap;
use std::fs;
use std::hash::Hash;
use std::io;

use super::table::{self, Line};
use crate::inspect::snapshot::{Description, FileKey};

/// The lines of the table, of one file or of all.
///
/// The kernel hands it out by the page, and locks come and go between two: so it is read until it
/// stays the same, but not for ever.
pub(super) fn table(file: Option<FileKey>) -> io::Result<Vec<Line>> {
    const PAGE: usize = 4096;
    const ATTEMPTS: usize = 4;
    let mut last: Option<Vec<Line>> = None;
    for _ in 0..ATTEMPTS {
        let text = fs::read("/proc/locks")?;
        let mut lines = match file {
            Some(file) => table::parse_inode(&text, file.inode),
            None => table::parse(&text),
        };
        lines.retain(|line| file.is_none_or(|file| file == line.file));
        if text.len() < PAGE || last.as_ref() == Some(&lines) {
            return Ok(lines);
        }
        last = Some(lines);
    }
    Ok(last.unwrap_or_default())
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
    let mut claims = Counts::new(locks);
    table
        .iter()
        .filter(|line| !line.waiting && !claims.take(&(line.file, line.lock)))
        .copied()
        .collect()
}
