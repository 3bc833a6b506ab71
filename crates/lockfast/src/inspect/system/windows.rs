//! Processes that have a file open, and its exclusively locked bytes. No lock is taken or tried.
//!
//! Windows reports no locks. But the Restart Manager names the processes that have a file open, and only
//! these can have a lock on it. And bytes that somebody has locked exclusively can't be read, not even behind
//! the end of the file. Shared locks do not show.

mod openers;
mod processes;

use std::fs::File;
use std::io;
use std::path::Path;

use crate::inspect::snapshot::{Content, FileKey, Gaps, Observation, Place, Snapshot, TakenBytes};
use crate::protocol::permits;
use crate::protocol::plan::Part;
use crate::sys::Range;
use crate::sys::lock::is_taken;
use crate::sys::{FileId, FileSort, file};

/// Reads the processes that have the file at the path open, and its locked bytes.
///
/// The processes come first, as this function opens the file too. If there are none, nobody has a lock.
pub(crate) fn snapshot(path: Option<&Path>) -> io::Result<Snapshot> {
    let path = path.ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::Unsupported,
            "Windows tells who has a file open, but not which locks the machine has: name the lock files",
        )
    })?;
    let status = file::status_at(path, true)?;
    if status.sort != FileSort::Regular {
        return Ok(Snapshot::default());
    }
    let openers = openers::of(path)?;
    if openers.is_empty() {
        return Ok(Snapshot::default());
    }
    let opened = file::open_existing(path, true, false)?;
    let key = key(file::status(&opened)?.id);
    let mut snapshot = Snapshot::default();
    snapshot.opened.insert(
        key,
        Observation {
            taken: taken(&opened)?,
            openers: openers.iter().map(|opener| opener.pid).collect(),
        },
    );
    snapshot.places.insert(
        key,
        Place {
            path: Some(path.to_path_buf()),
            deleted: false,
            content: Content::At(path.to_path_buf()),
        },
    );
    snapshot.gaps = Gaps {
        remote: crate::sys::FsTraits::of(&opened).is_remote,
        shared: true,
        ..Gaps::default()
    };
    drop(opened);
    snapshot.processes = processes::described(openers);
    Ok(snapshot)
}

/// Opens the file for reading, if it is still the same one and of such a length.
pub(crate) fn open(
    content: &Content,
    wanted: FileKey,
    is_length: impl Fn(u64) -> bool,
) -> Option<File> {
    let Content::At(path) = content else {
        return None;
    };
    let opened = file::open_existing(path, true, false).ok()?;
    let status = file::status(&opened).ok()?;
    let length = opened.metadata().ok()?.len();
    (key(status.id) == wanted && status.sort == FileSort::Regular && is_length(length))
        .then_some(opened)
}

/// Returns the numbers of the file at the path.
pub(crate) fn key_of(path: &Path) -> io::Result<FileKey> {
    Ok(key(file::status_at(path, true)?.id))
}

/// Combines the volume's number in two halves, and the lower 64 bits of the file's.
fn key(id: FileId) -> FileKey {
    let half = |number: u64| u32::try_from(number & u64::from(u32::MAX)).expect("32 bits");
    FileKey {
        major: half(id.device >> 32),
        minor: half(id.device),
        inode: id.inode,
    }
}

/// Returns the locked bytes that mean something, by a handle that has none of them.
fn taken(file: &File) -> io::Result<TakenBytes> {
    // A byte between two permits, which only a lock of all main bytes covers.
    let inner = Range { start: 1, len: 1 };
    let is_part_taken = |part: Part| is_taken(file, part.range(0));
    let mut taken = TakenBytes {
        first: is_taken(file, Range { start: 0, len: 1 })?,
        inner: is_taken(file, inner)?,
        gate: is_part_taken(Part::Gate)?,
        upgrade: is_part_taken(Part::Upgrade)?,
        head: is_part_taken(Part::Head)?,
        permits: Vec::new(),
    };
    if !taken.inner {
        find_permits(file, 0, permits::MAX, &mut taken.permits)?;
    }
    Ok(taken)
}

/// Adds the permits from one number up to another that are taken.
fn find_permits(file: &File, from: u32, to: u32, found: &mut Vec<u32>) -> io::Result<()> {
    let start = permits::permit(from).start;
    let len = permits::permit(to - 1).start + 1 - start;
    if !is_taken(file, Range { start, len })? {
        return Ok(());
    }
    if to - from == 1 {
        found.push(from);
        return Ok(());
    }
    let middle = from.midpoint(to);
    find_permits(file, from, middle, found)?;
    find_permits(file, middle, to, found)
}
