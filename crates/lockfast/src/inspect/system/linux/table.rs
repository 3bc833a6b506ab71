//! Lines of `/proc/locks`, which `/proc/PID/fdinfo` has too.

use crate::inspect::bytes;
use crate::inspect::snapshot::{FileKey, LockRecord};
use crate::inspect::view::Kind;
use crate::sys::{Range, process};

/// A line: a lock that is held, or waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct LockLine {
    pub(super) waiting: bool,
    pub(super) lock: LockRecord,
    /// The process that took it; `None` for a lock of an open file description.
    pub(super) pid: Option<u32>,
    pub(super) file: FileKey,
}

impl LockLine {
    /// Returns the pid of the holder or waiter, if the bytes of the lock name it.
    pub(super) fn tagged_pid(&self) -> Option<u32> {
        bytes::named_pid(&self.lock, process::namespace())
    }
}

/// The largest offset of a file, which the kernel shows as `EOF`.
const LAST: u64 = i64::MAX as u64;

/// Parses all lines that are understood. Leases are not locks.
pub(super) fn parse(table: &[u8]) -> Vec<LockLine> {
    table
        .split(|&byte| byte == b'\n')
        .filter_map(parse_line)
        .collect()
}

/// Parses the lines of files with this inode. That is faster, as most lines are skipped.
pub(super) fn parse_inode(table: &[u8], inode: u64) -> Vec<LockLine> {
    let number = format!(":{inode} ");
    let has_number = |line: &&[u8]| {
        line.windows(number.len())
            .any(|part| part == number.as_bytes())
    };
    table
        .split(|&byte| byte == b'\n')
        .filter(has_number)
        .filter_map(parse_line)
        .collect()
}

/// Returns the files with a lease.
pub(super) fn parse_leases(table: &[u8]) -> impl Iterator<Item = FileKey> {
    table.split(|&byte| byte == b'\n').filter_map(|line| {
        let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
        let is_lease = words.nth(1)? == "LEASE";
        parse_file(words.nth(3)?).filter(|_| is_lease)
    })
}

/// Parses a line like `5: -> OFDLCK ADVISORY  WRITE -1 fe:00:10534991 0 EOF`.
pub(super) fn parse_line(line: &[u8]) -> Option<LockLine> {
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    words.next()?.strip_suffix(':')?;
    let mut word = words.next()?;
    let waiting = word == "->";
    if waiting {
        word = words.next()?;
    }
    let kind = match word {
        "OFDLCK" => Kind::Ofd,
        "POSIX" => Kind::Classic,
        "FLOCK" => Kind::Flock,
        _ => return None,
    };
    words.next()?;
    let exclusive = match words.next()? {
        "WRITE" => true,
        "READ" => false,
        _ => return None,
    };
    let pid = words.next()?.parse::<i64>().ok()?;
    let file = parse_file(words.next()?)?;
    let start: u64 = words.next()?.parse().ok()?;
    let last = match words.next()? {
        "EOF" => LAST,
        last => last.parse().ok()?,
    };
    let len = match last {
        last if last < start => return None,
        // The kernel does not distinguish a lock up to the largest offset from one without an end.
        LAST => 0,
        last => last - start + 1,
    };
    Some(LockLine {
        waiting,
        lock: LockRecord {
            kind,
            exclusive,
            range: Range { start, len },
        },
        // -1 for a lock of an open file description; 0 for an owner that is dead, or not visible in
        // this pid namespace.
        pid: u32::try_from(pid).ok().filter(|&pid| pid > 0),
        file,
    })
}

fn parse_file(word: &str) -> Option<FileKey> {
    let mut numbers = word.split(':');
    let major = u32::from_str_radix(numbers.next()?, 16).ok()?;
    let minor = u32::from_str_radix(numbers.next()?, 16).ok()?;
    let inode = numbers.next()?.parse().ok()?;
    Some(FileKey {
        major,
        minor,
        inode,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_waiters_and_waiters_of_waiters() {
        let table = b"5: OFDLCK ADVISORY  WRITE -1 fe:00:10534991 0 EOF\n\
            5: -> OFDLCK ADVISORY  READ  -1 fe:00:10534991 4 4\n\
            5:  -> POSIX  ADVISORY  WRITE 29459 fe:10:10534991 0 EOF\n\
            6: FLOCK  ADVISORY  READ  17 00:2d:7 0 EOF\n\
            7: LEASE  ACTIVE    READ  17 00:2d:7 0 EOF\n\
            8: POSIX  *NOINODE*\n";
        let lines = parse(table);
        assert_eq!(lines.len(), 4, "{lines:?}");
        let leased: Vec<FileKey> = parse_leases(table).collect();
        assert_eq!(leased, [lines[3].file]);
        assert!(!lines[0].waiting && lines[0].lock.exclusive && lines[0].pid.is_none());
        assert_eq!(lines[0].lock.range, Range { start: 0, len: 0 });
        assert!(lines[1].waiting && !lines[1].lock.exclusive);
        assert_eq!(lines[1].lock.range, Range { start: 4, len: 1 });
        assert_eq!(
            (lines[2].pid, lines[2].lock.kind),
            (Some(29459), Kind::Classic)
        );
        assert_eq!(lines[2].file.minor, 16);
        assert!(lines[2].waiting && lines[3].lock.kind == Kind::Flock);
    }

    #[test]
    fn nonsense_is_not_a_lock() {
        for line in [
            "",
            "x",
            "5:",
            "5: OFDLCK",
            "5: FLOCK A WRITE 1 1:2:3 9 8 7",
            "5: ->",
        ] {
            assert_eq!(parse_line(line.as_bytes()), None, "{line}");
        }
    }
}
