//! Holders of the lock file that use the other kind of kernel lock.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use lockfast::inspect::{self, Kind, LockView, State};
use lockfast::{MemberGuard, Protocol, command_support};

use crate::args;
use crate::exit::say;
use crate::inspect::shown;
use crate::sys;

/// Warns of a program that holds the file with the other kind of lock: both run now, and neither
/// would notice.
///
/// Reads the kernel's table first, because finding the holder takes longer.
pub(crate) fn warn(arguments: &args::Run, guards: &[MemberGuard]) {
    let by_flock = match arguments.protocol.0 {
        Protocol::Fcntl => true,
        Protocol::Flock => false,
        _ => return,
    };
    let inode_of = |guard| Some(command_support::file(guard).metadata().ok()?.ino());
    let inodes: Vec<u64> = guards.iter().filter_map(inode_of).collect();
    if !is_listed(table, &inodes, by_flock) {
        return;
    }
    for guard in guards {
        let path = command_support::path(guard);
        if let Some(holder) = holder(path, by_flock) {
            let (theirs, ours) = if by_flock {
                ("flock", "fcntl")
            } else {
                ("fcntl", "flock")
            };
            let path = shown(path);
            say(format_args!(
                "warning: {holder} holds {path} with {theirs}, which --protocol {ours} does not detect: \
                 both now run at the same time; use --protocol both or --protocol {theirs}"
            ));
        }
    }
}

/// The number of readings that have to be the same before a lock counts as absent, and the maximum of readings.
///
/// While other locks come and go, a reading may leave out a lock that is there all the time.
const ALIKE: usize = 3;
const ATTEMPTS: usize = 8;

/// Whether the kernel's table has such a lock on one of these files, on any file system.
fn is_listed(mut read: impl FnMut() -> io::Result<String>, inodes: &[u64], by_flock: bool) -> bool {
    let mut last = String::new();
    let mut alike = 0;
    for _ in 0..ATTEMPTS {
        let Ok(table) = read() else {
            return false;
        };
        let may_be = |line| inodes.iter().any(|&inode| may_be(line, by_flock, inode));
        if table.lines().any(may_be) {
            return true;
        }
        alike = if table == last { alike + 1 } else { 1 };
        if alike == ALIKE {
            return false;
        }
        last = table;
    }
    false
}

/// Reads the kernel's table. The buffer is large, as each read walks the table anew.
fn table() -> io::Result<String> {
    let mut table = String::with_capacity(1 << 16);
    File::open("/proc/locks")?.read_to_string(&mut table)?;
    Ok(table)
}

/// Whether a line of the table is such a lock on a file with this inode.
fn may_be(line: &str, by_flock: bool, inode: u64) -> bool {
    let mut words = line.split_ascii_whitespace();
    // "12: FLOCK ADVISORY WRITE 4711 08:01:1234 0 EOF"; waiters have "->" before the kind.
    let kind = words.nth(1);
    let of_file = words.nth(3).and_then(|file| file.rsplit(':').next());
    let is_kind = if by_flock {
        kind == Some("FLOCK")
    } else {
        matches!(kind, Some("POSIX" | "OFDLCK"))
    };
    is_kind && of_file.and_then(|number| number.parse().ok()) == Some(inode)
}

/// Returns the first other process that holds it, except this one and its ancestors.
fn holder(path: &Path, by_flock: bool) -> Option<String> {
    let report = inspect::path(path).ok()?;
    let mut own = sys::ancestors();
    own.push(std::process::id());
    let is_theirs = |lock: &&LockView| {
        let is_kind = (lock.kind == Kind::Flock) == by_flock;
        let is_own = lock
            .processes
            .iter()
            .any(|process| own.contains(&process.pid));
        lock.state == State::Holding && is_kind && !is_own
    };
    let lock = report.locks.iter().find(is_theirs)?;
    Some(match lock.processes.first() {
        Some(process) => process.to_string(),
        None => "an unknown process".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_of_a_file_and_a_kind() {
        let line = "12: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF";
        assert!(may_be(line, true, 1234));
        assert!(!may_be(line, true, 234));
        assert!(!may_be(line, false, 1234));
        assert!(may_be("3: OFDLCK ADVISORY  WRITE -1 00:1f:7 0 9", false, 7));
        assert!(!may_be(
            "3: -> FLOCK ADVISORY  WRITE 1 00:1f:7 0 9",
            true,
            7
        ));
    }

    #[test]
    fn a_lock_that_a_reading_leaves_out_is_listed() {
        const LINE: &str = "12: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF\n";
        const OTHER: &str = "13: FLOCK  ADVISORY  WRITE 4711 08:01:77 0 EOF\n";
        let is_listed = |tables: &[&str]| {
            let mut tables = tables.iter();
            let read = || Ok((*tables.next().expect("no further reading")).to_owned());
            is_listed(read, &[1234], true)
        };
        assert!(is_listed(&[OTHER, "", LINE]));
        assert!(is_listed(&[OTHER, OTHER, LINE]));
        assert!(!is_listed(&[OTHER, "", "", ""]));
        assert!(!is_listed(&["", OTHER, "", OTHER, "", OTHER, "", OTHER]));
    }
}
