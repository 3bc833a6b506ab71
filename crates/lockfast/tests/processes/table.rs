//! The kernel's table of locks.

use std::fs::File;
use std::io::{self, Read};

/// Its lines of the files whose numbers are meant, without the number that each begins with: `->` is the first
/// word of those who wait, the bytes are the last two.
///
/// The kernel hands the table out by the page, and where locks come and go meanwhile, the same line comes
/// again in the next page, or never. So it is read until three readings are the same, unless it came in
/// one piece. Where the file's own locks go on changing, the last reading is as true as any.
pub(crate) fn lines(is_meant: impl Fn(u64) -> bool) -> Vec<String> {
    const ATTEMPTS: usize = 100;
    const ALIKE: usize = 3;
    let mut last = Vec::new();
    let mut alike = 0;
    for _ in 0..ATTEMPTS {
        let (text, is_of_one_moment) = read().expect("the kernel's list");
        let of_these: Vec<_> = text
            .lines()
            .filter_map(|line| of(&is_meant, line))
            .collect();
        alike = if of_these == last { alike + 1 } else { 1 };
        last = of_these;
        if is_of_one_moment || alike == ALIKE {
            break;
        }
    }
    last
}

/// How many wait for those files.
pub(crate) fn waiters(is_meant: impl Fn(u64) -> bool) -> usize {
    let lines = lines(is_meant);
    lines.iter().filter(|line| line.starts_with("->")).count()
}

/// What is behind the line's number, if it is of one of those files.
fn of(is_meant: impl Fn(u64) -> bool, line: &str) -> Option<String> {
    let (_, line) = line.split_once(": ")?;
    let file = line.split(' ').rev().nth(2)?;
    let (_, inode) = file.rsplit_once(':')?;
    is_meant(inode.parse().ok()?).then(|| line.trim_start().to_owned())
}

/// The text, and whether it came in one piece.
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
