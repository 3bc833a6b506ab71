//! The kernel's table of locks.

use std::fs::File;
use std::io::{self, Read};

/// Returns the table's lines of the files whose numbers are meant, without the number that each begins with.
/// `->` is the first word of a waiter's line; the bytes are the last two words.
///
/// The kernel hands the table out by the page. Where locks come and go meanwhile, a line comes again in the
/// next page, or never. So the table is read until three readings are the same, unless it came in one piece.
/// Where the locks of the file itself go on changing, the last reading is as true as any.
///
/// # Panics
///
/// Panics if the kernel has no such table.
pub fn lines(is_meant: impl Fn(u64) -> bool) -> Vec<String> {
    const ATTEMPTS: usize = 100;
    const ALIKE: usize = 3;
    let mut last = Vec::new();
    let mut alike = 0;
    for _ in 0..ATTEMPTS {
        let (text, is_in_one_piece) = read().expect("the kernel's list");
        let meant: Vec<_> = text
            .lines()
            .filter_map(|line| of(&is_meant, line))
            .collect();
        alike = if meant == last { alike + 1 } else { 1 };
        last = meant;
        if is_in_one_piece || alike == ALIKE {
            break;
        }
    }
    last
}

/// Returns the number of the waiters for the files whose numbers are meant.
pub fn waiters(is_meant: impl Fn(u64) -> bool) -> usize {
    let lines = lines(is_meant);
    lines.iter().filter(|line| line.starts_with("->")).count()
}

/// Returns the numbers of the files that somebody waits for, of those that are meant.
pub fn waited_for(is_meant: impl Fn(u64) -> bool) -> Vec<u64> {
    let lines = lines(is_meant);
    let waiters = lines.iter().filter(|line| line.starts_with("->"));
    waiters.filter_map(|line| inode(line)).collect()
}

/// Returns what is behind the line's number, if the line is of one of the files.
fn of(is_meant: impl Fn(u64) -> bool, line: &str) -> Option<String> {
    let (_, line) = line.split_once(": ")?;
    is_meant(inode(line)?).then(|| line.trim_start().to_owned())
}

fn inode(line: &str) -> Option<u64> {
    let file = line.split(' ').rev().nth(2)?;
    let (_, inode) = file.rsplit_once(':')?;
    inode.parse().ok()
}

/// Returns the text, and whether it came in one piece.
fn read() -> io::Result<(String, bool)> {
    let mut table = File::open("/proc/locks")?;
    let mut piece = vec![0; 1 << 16];
    let mut text = String::new();
    let mut pieces = 0;
    loop {
        let length = table.read(&mut piece)?;
        if length == 0 {
            return Ok((text, pieces <= 1));
        }
        text += std::str::from_utf8(&piece[..length]).map_err(io::Error::other)?;
        pieces += 1;
    }
}
