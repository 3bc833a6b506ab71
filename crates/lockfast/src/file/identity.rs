//! Is this still the file at that path?
//!
//! A kernel lock belongs to a file, not to a name. When others delete, replace or rename the file,
//! a lock on it excludes nobody who opens the path afterwards. So after each acquire the file that
//! is locked is compared with the path, and a stale one is given back and opened again. As
//! everybody does so, two processes never both go on with "the lock at this path": the second one
//! to arrive sees the same path, and so the same file, as the first one.
//!
//! To look the path up takes three times as long as to ask what is behind the descriptor, and after
//! a wait, when no cache is warm, that shows in the hand-over. So the first acquire looks up, and the
//! later ones compare the descriptor with that [`VerifiedStats`]: a file that was deleted or replaced has
//! fewer names, and one that was renamed has another change time.
//!
//! The descriptor's own file is compared as well: a program may close all descriptors, and then the number
//! means nothing or another file.

use crate::types::verify::Verify;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::file::LockFile;
use crate::sys::{self, ChangeTime, Status};

/// What a file was like when it was found at its path, while it was locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sighting {
    links: u64,
    /// `None` when the change was so young that the next one may have the same time.
    changed: Option<ChangeTime>,
}

/// The last [`Sighting`] of a file, if there was one.
///
/// Only the thread whose turn it is looks at it and changes it: the atomics are never contended,
/// and what orders them is the passing of the turn.
#[derive(Debug, Default)]
pub(crate) struct VerifiedStats {
    /// 0 before the first one.
    links: AtomicU64,
    seconds: AtomicI64,
    /// -1 when it was young.
    nanoseconds: AtomicI64,
}

impl VerifiedStats {
    fn last(&self) -> Option<Sighting> {
        let links = self.links.load(Ordering::Relaxed);
        let seconds = self.seconds.load(Ordering::Relaxed);
        let nanoseconds = self.nanoseconds.load(Ordering::Relaxed);
        (links > 0).then(|| Sighting {
            links,
            changed: (nanoseconds >= 0).then_some(ChangeTime(seconds, nanoseconds)),
        })
    }

    fn add(&self, sighting: Sighting) {
        let ChangeTime(seconds, nanoseconds) = sighting.changed.unwrap_or(ChangeTime(0, -1));
        self.links.store(sighting.links, Ordering::Relaxed);
        self.seconds.store(seconds, Ordering::Relaxed);
        self.nanoseconds.store(nanoseconds, Ordering::Relaxed);
    }
}

/// The clocks of file systems tick a hundred times a second, or faster.
const TICK: Duration = Duration::from_millis(10);

impl Sighting {
    fn of(status: &Status) -> Self {
        let ChangeTime(seconds, nanoseconds) = status.changed;
        let changed = u64::try_from(seconds)
            .ok()
            .zip(u32::try_from(nanoseconds).ok())
            .and_then(|(seconds, nanoseconds)| {
                UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))
            });
        let age = changed.and_then(|changed| SystemTime::now().duration_since(changed).ok());
        Self {
            links: status.links,
            changed: age
                .is_some_and(|age| age > 4 * TICK)
                .then_some(status.changed),
        }
    }
}

/// Is the locked file the one at the path?
pub(crate) fn is_current(
    file: &LockFile,
    path: &Path,
    follow: bool,
    verify: Verify,
    waited: bool,
) -> io::Result<bool> {
    if verify == Verify::Off || (verify == Verify::Links && is_as_sighted(file, waited)?) {
        return Ok(true);
    }
    let Some(status) = status_at(file, path, follow)? else {
        return Ok(false);
    };
    file.sightings().add(Sighting::of(&status));
    Ok(true)
}

/// Is there no sign that it is not at its path any more?
fn is_as_sighted(file: &LockFile, waited: bool) -> io::Result<bool> {
    let Some(sighting) = file.sightings().last() else {
        return Ok(false);
    };
    let may_tell = if file.renames_show() {
        sighting.changed.is_some()
    } else {
        // Where a server has the file, the client renames what is deleted while it is open, and such
        // a file keeps its links (so does FUSE).
        !waited && !file.is_remote()
    };
    if !may_tell {
        return Ok(false);
    }
    let status = match sys::file::status(file) {
        Ok(status) => status,
        Err(error) if file.is_void(&error) => return Ok(false),
        Err(error) => return Err(error),
    };
    let unchanged = sighting.changed == Some(status.changed) || !file.renames_show();
    // The program may have given the number of the descriptor to another file.
    Ok(status.id == file.id() && status.links == sighting.links && unchanged)
}

/// Is the file, locked or not, the one at the path?
pub(crate) fn is_at(file: &LockFile, path: &Path, follow: bool) -> io::Result<bool> {
    status_at(file, path, follow).map(|status| status.is_some())
}

/// The status of the path, if the file is there and the descriptor still means it.
fn status_at(file: &LockFile, path: &Path, follow: bool) -> io::Result<Option<Status>> {
    if !file.is_there() {
        return Ok(None);
    }
    if file.is_remote() {
        ask_server_for_names(path);
    }
    match sys::file::status_at(path, follow) {
        // The file may lose its last name between the look-up and the answer.
        Ok(status) if status.id == file.id() && status.links > 0 => Ok(Some(status)),
        Ok(_) => Ok(None),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::StaleNetworkFileHandle => Ok(None),
            _ => Err(error),
        },
    }
}

/// A client of NFS believes for up to a minute that a name means the file that it meant; when the
/// directory is opened it asks the server what has changed there.
fn ask_server_for_names(path: &Path) {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Whoever may not read the directory has what the client believes.
    drop(File::open(directory));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{FileId, FileSort};

    fn changed_at(changed: ChangeTime) -> Sighting {
        Sighting::of(&Status {
            id: FileId::default(),
            links: 1,
            changed,
            sort: FileSort::Regular,
            owner: 0,
        })
    }

    fn changed_ago(age: Duration) -> Sighting {
        let changed = (SystemTime::now() - age)
            .duration_since(UNIX_EPOCH)
            .expect("after 1970");
        let seconds = changed.as_secs().try_into().expect("this century");
        changed_at(ChangeTime(seconds, changed.subsec_nanos().into()))
    }

    #[test]
    fn a_change_time_is_believed_only_when_the_next_change_has_another() {
        assert!(changed_ago(Duration::ZERO).changed.is_none());
        assert!(changed_ago(TICK).changed.is_none());
        assert!(changed_ago(Duration::from_secs(1)).changed.is_some());
        // A clock that was set back tells nothing, nor does a time that can't be.
        assert!(changed_at(ChangeTime(i64::MAX, 0)).changed.is_none());
        assert!(changed_at(ChangeTime(-1, 0)).changed.is_none());
    }
}
