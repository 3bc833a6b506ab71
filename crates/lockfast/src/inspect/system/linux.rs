//! Holders and waiters of locks, read from `/proc`.
//!
//! | step | modules |
//! |---|---|
//! | read the table of locks until it stays the same | `reading`, `table` |
//! | ask the file itself, if the table shows no holder | `question` |
//! | find the descriptors of the locked files | `search` (few), `scan` (all), `same` (inherited ones) |
//! | find the threads that wait, and since when | `waiters`, `sleepers`, `requests` |
//! | look up the processes, and the parents that wait for them | `parties`, `process`, `family`, `command` |
//!
//! Apart from `/proc`, only files that may have an owner record are opened, and the file that the caller
//! names. Nothing here waits for others: no path of theirs is looked up, no server of theirs is asked, no
//! lease is broken, and no memory that a file backs is read.

mod command;
mod descriptors;
mod family;
mod file;
mod mounts;
mod parties;
mod process;
mod question;
mod reading;
mod requests;
mod same;
mod scan;
mod search;
mod sleepers;
mod table;
mod waiters;

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;
use std::sync::Arc;

use self::descriptors::Descriptors;
use self::file::InspectedFile;
use self::mounts::Mounts;
use self::reading::{LockTable, TableReader};
use self::scan::Scan;
use self::sleepers::Sleepers;
use self::table::LockLine;
use crate::inspect::snapshot::{Content, Description, FileKey, Gaps, Place, Snapshot};
use crate::inspect::view::Kind;

/// Reads the locks of the file at the path, or of the machine.
///
/// The table is read before and after everything else. A line that no descriptor claims counts only if it is
/// in both: otherwise the lock was released meanwhile.
pub(crate) fn snapshot(path: Option<&Path>) -> io::Result<Snapshot> {
    let mut mounts = Mounts::default();
    let target = match path {
        Some(path) => Some(InspectedFile::find(path, &mut mounts)?),
        None => None,
    };
    read(path, target, mounts).map_err(scan::without_proc)
}

/// Reads everything from `/proc`, once the file is known, if it is for one.
fn read(
    path: Option<&Path>,
    target: Option<InspectedFile>,
    mut mounts: Mounts,
) -> io::Result<Snapshot> {
    let file = target.as_ref().map(|target| target.key);
    let mut reader = TableReader::open()?;
    let mut before = reader.table(file)?;
    let mut gaps = Gaps {
        outside: !is_first_namespace(),
        remote: target.as_ref().is_some_and(|target| target.is_remote),
        ..Gaps::default()
    };
    // A table without a holder may have been read at a bad moment, so the file itself is asked, too.
    let is_held = before.lines.iter().any(|line| !line.waiting);
    let asked = match &target {
        Some(target) if !is_held => question::ask(target, &before),
        _ => Vec::new(),
    };
    // Nobody has a lock only if the table stayed the same, the kernel names no lock in the way, and no
    // process is outside of what can be seen here.
    if target.is_some()
        && before.lines.is_empty()
        && before.is_settled
        && asked.is_empty()
        && !gaps.outside
    {
        return Ok(Snapshot {
            gaps,
            ..Snapshot::default()
        });
    }
    let Scan { open, unreadable } = match &target {
        // The descriptors also show holders that the table does not.
        Some(target) if before.is_settled && asked.is_empty() => {
            search::search(target, &before.lines)?
        }
        Some(target) => scan::scan(Some(target.id))?,
        None => scan::scan(None)?,
    };
    if !is_held && open.iter().any(|open| !open.locks.is_empty()) {
        // A descriptor shows a lock that the table did not have: it came in between, or its line was left
        // out.
        before = reader.table_with(file)?;
    }
    before.lines.extend(&asked);
    let opened = Descriptors::new(open, target.as_ref(), &before.lines, &mut mounts);
    let waiters = opened.waiters(&before.lines);
    let sleepers = Sleepers::new(waiters.iter().map(|(_, waiter)| waiter));
    let LockTable {
        lines: mut after,
        leased,
        ..
    } = reader.table(file)?;
    before.leased.extend(leased);
    // The answers for the file count as if they were in both readings: no second question is asked.
    after.extend(&asked);
    let lasting = reading::in_both(&before.lines, &after);
    gaps.unreadable = unreadable.len();
    gaps.hidden = Mounts::hides_processes();
    let everybody = gaps.unreadable == 0 && !gaps.hidden && !gaps.outside;

    let mut snapshot = Snapshot {
        descriptions: opened.descriptions(),
        gaps,
        ..Snapshot::default()
    };
    let unclaimed = reading::unclaimed(&lasting, &snapshot.descriptions);
    snapshot.descriptions.extend(
        unclaimed
            .into_iter()
            .map(|line| described(line, &unreadable)),
    );
    snapshot.requests = requests::requests(&lasting, waiters, everybody, &sleepers);
    snapshot.places = opened.places(&before, &mut mounts);
    if let (Some(target), Some(path)) = (target, path) {
        let is_leased = before.leased.contains(&target.key);
        snapshot
            .places
            .insert(target.key, place(target, path, is_leased));
    }
    parties::add(&mut snapshot);
    Ok(snapshot)
}

/// Returns the place of the file that the caller named. Its content is read by the descriptor that found it.
fn place(target: InspectedFile, path: &Path, is_leased: bool) -> Place {
    Place {
        path: Some(fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())),
        deleted: false,
        content: if is_leased {
            Content::Withheld(target.metadata.len())
        } else {
            Content::Kept(Arc::new(target.file))
        },
    }
}

/// Opens the file for reading, if it is still the same one, a regular file, and of such a length.
pub(crate) fn open(
    content: &Content,
    key: FileKey,
    is_length: impl Fn(u64) -> bool,
) -> Option<File> {
    let regular = |metadata: &Metadata| metadata.is_file() && is_length(metadata.len());
    match content {
        Content::At(path) => {
            let target = InspectedFile::find(path, &mut Mounts::default()).ok()?;
            let is_its = target.key == key && regular(&target.metadata);
            is_its.then(|| question::reopened(&target.file)).flatten()
        }
        Content::Kept(file) => {
            let is_its = regular(&file.metadata().ok()?);
            is_its.then(|| question::reopened(file)).flatten()
        }
        Content::Withheld(_) => None,
    }
}

/// Returns the name of the file at the path in the table.
pub(crate) fn key_of(path: &Path) -> io::Result<FileKey> {
    Ok(InspectedFile::find(path, &mut Mounts::default())?.key)
}

/// Describes a lock whose descriptor could not be seen.
fn described(line: LockLine, unreadable: &[u32]) -> Description {
    let owner = match line.lock.kind {
        Kind::Ofd => line.tagged_pid(),
        Kind::Classic => line.pid,
        // Others may have inherited it, and the process that took it may be gone.
        Kind::Flock => line.pid.filter(|pid| unreadable.contains(pid)),
        // Only Windows has it.
        Kind::LockFile => None,
    };
    Description {
        file: line.file,
        owners: owner.into_iter().collect(),
        locks: vec![line.lock],
    }
}

/// Whether this is the namespace from which every process can be seen.
fn is_first_namespace() -> bool {
    const FIRST: &str = "pid:[4026531836]";
    // The kernel gives the first namespace of the machine a fixed number.
    fs::read_link("/proc/self/ns/pid").is_ok_and(|name| name == Path::new(FIRST))
}
