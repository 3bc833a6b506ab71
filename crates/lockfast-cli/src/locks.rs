//! Several locks: all or none, in an order in which two commands can't wait for each other.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lockfast::{Lock, LockGuard, Result};

use crate::args;
use crate::progress::Progress;

/// How long to wait for all locks together.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    None,
    Until(Instant),
    Forever,
}

impl Patience {
    /// The time runs from now on.
    pub(crate) fn of(arguments: &args::Run) -> Self {
        if arguments.no_wait {
            return Self::None;
        }
        let deadline = |timeout: Duration| Instant::now().checked_add(timeout);
        // A deadline beyond all clocks is none.
        arguments
            .timeout
            .and_then(deadline)
            .map_or(Self::Forever, Self::Until)
    }
}

/// Opens the locks, each once, in the order in which they are to be taken.
pub(crate) fn open(arguments: &args::Run, progress: &Progress) -> Result<Vec<Lock>> {
    let mut options = Lock::options()
        .protocol(arguments.protocol.0)
        .remove_on_release(arguments.remove);
    if let Some(mode) = arguments.mode {
        options = options.mode(mode);
    }
    if !arguments.no_wait {
        options = progress.watch(options);
    }
    let locks = arguments
        .locks
        .iter()
        .map(|path| options.open(path))
        .collect::<Result<Vec<_>>>()?;
    Ok(in_order(locks))
}

/// Takes all of them; when one can't be had, those taken before are released.
pub(crate) fn take(locks: &[Lock], patience: Patience) -> Result<Vec<LockGuard>> {
    let take_one = |lock: &Lock| match patience {
        Patience::None => lock.try_lock(),
        Patience::Until(deadline) => lock.try_lock_until(deadline),
        Patience::Forever => lock.lock(),
    };
    locks.iter().map(take_one).collect()
}

/// Sorts by path and leaves out what is the same lock: the same path, or one file by two names.
///
/// Every `lockfast run` takes its locks in this order, so there is always one that waits for
/// nobody. Paths decide, not inodes, as the file at a path may be replaced during a wait.
fn in_order(mut locks: Vec<Lock>) -> Vec<Lock> {
    if locks.len() < 2 {
        return locks;
    }
    locks.sort_by_cached_key(|lock| position(lock.path()));
    let mut files = BTreeSet::new();
    let mut positions = BTreeSet::new();
    locks.retain(|lock| {
        // A file that vanished since it was opened is no second name of another.
        let is_new_file =
            fs::metadata(lock.path()).map_or(true, |file| files.insert((file.dev(), file.ino())));
        positions.insert(position(lock.path())) && is_new_file
    });
    locks
}

/// What a path is sorted by: the same for all ways to write it, except the last component, which
/// is never a link.
fn position(path: &Path) -> (PathBuf, OsString) {
    let parent = path.parent().unwrap_or(path);
    let parent = fs::canonicalize(parent).unwrap_or_else(|_| parent.to_path_buf());
    let name = path.file_name().unwrap_or_default().to_os_string();
    (parent, name)
}
