//! Reports on the locks of a file or of the machine.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use super::bytes::{self, Meaning};
use super::deadlock::{self, Deadlock};
use super::snapshot::{Description, FileKey, LockRecord, Request, Snapshot};
use super::view::{Incomplete, Kind, LockMode, LockView, Opener, Permits, Role, State};
use super::{openers, records, system};
use crate::types::error::{Error, Operation, Result};

/// Reports the locks on the file at the path. A symbolic link is followed.
///
/// Nobody can have a lock on a file that does not exist. Its report is empty, and
/// [`is_free`](Report::is_free).
///
/// Deadlocks are found only if all their locks are on this file; for others see [`machine`].
///
/// # Errors
///
/// [`is_unsupported`](Error::is_unsupported) on a platform that does not report locks;
/// [`is_permission_denied`](Error::is_permission_denied) if a directory in the path may not be entered; when
/// `/proc` can't be read.
///
/// # Examples
///
/// ```
/// # #[cfg(target_os = "linux")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("cache.lock");
/// let cache = lockfast::RwLock::open(&path)?;
/// let reader = cache.read()?;
/// let report = lockfast::inspect::path(&path)?;
/// assert_eq!(report.locks[0].mode, lockfast::inspect::LockMode::Shared);
/// assert_eq!(report.waiters().count(), 0);
/// # drop(reader);
/// # Ok(())
/// # }
/// # #[cfg(not(target_os = "linux"))] fn main() {}
/// ```
pub fn path(path: impl AsRef<Path>) -> Result<Report> {
    let path = crate::file::absolute(path.as_ref())?;
    match system::snapshot(Some(&path)) {
        Ok(snapshot) => Ok(Report::new(&snapshot)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(Report::new(&Snapshot::default()))
        }
        Err(error) => Err(Error::system(&path, Operation::Inspect, error)),
    }
}

/// Reports the locks of the machine: on all files, as far as this process may see them.
///
/// # Errors
///
/// [`is_unsupported`](Error::is_unsupported) on a platform that does not report locks; when `/proc` can't be
/// read.
///
/// # Examples
///
/// ```
/// # #[cfg(target_os = "linux")]
/// # fn main() -> Result<(), lockfast::Error> {
/// let report = lockfast::inspect::machine()?;
/// for lock in &report.locks {
///     println!("{} {} {}", lock.state, lock.mode, lock.file);
/// }
/// for deadlock in &report.deadlocks {
///     println!("{deadlock}");
/// }
/// if let Some(incomplete) = &report.incomplete {
///     println!("{incomplete}");
/// }
/// # Ok(())
/// # }
/// # #[cfg(not(target_os = "linux"))] fn main() {}
/// ```
pub fn machine() -> Result<Report> {
    match system::snapshot(None) {
        Ok(snapshot) => Ok(Report::new(&snapshot)),
        Err(error) => Err(Error::system(Path::new("/"), Operation::Inspect, error)),
    }
}

/// The holders and waiters of locks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The locks by file, the holders first. A process that waits may hold locks too.
    pub locks: Vec<LockView>,
    /// The processes that have the file open, where nothing else is known of them (Windows): each may hold
    /// the lock, wait for it, or neither.
    pub openers: Vec<Opener>,
    /// The circles of processes that wait for each other.
    pub deadlocks: Vec<Deadlock>,
    /// The reasons why this may not be everything; `None` if it is.
    pub incomplete: Option<Incomplete>,
}

impl Report {
    /// Returns the locks that are held.
    pub fn holders(&self) -> impl Iterator<Item = &LockView> {
        self.locks
            .iter()
            .filter(|lock| lock.state == State::Holding)
    }

    /// Returns the locks that somebody waits for.
    pub fn waiters(&self) -> impl Iterator<Item = &LockView> {
        self.locks
            .iter()
            .filter(|lock| lock.state == State::Waiting)
    }

    /// Whether nothing was held, as far as could be seen.
    ///
    /// # Platform-specific behaviour
    ///
    /// On Windows, where shared locks can't be seen, `true` only if no process has the file open, this one
    /// included. If it is `false` and there are no [`holders`](Self::holders), the state is unknown.
    pub fn is_free(&self) -> bool {
        self.holders().next().is_none() && self.openers.is_empty()
    }

    fn new(snapshot: &Snapshot) -> Self {
        // The bytes of permits mean permits only in a file that somebody has open as a semaphore.
        let mut permits = HashMap::new();
        for description in &snapshot.descriptions {
            let number = description.locks.iter().find_map(bytes::permits_of);
            permits.extend(number.map(|number| (description.file, number)));
        }
        let mut locks = Vec::new();
        for description in &snapshot.descriptions {
            let permits = permits.get(&description.file).copied();
            add_views(description, permits, snapshot, &mut locks);
        }
        let mut on_file = HashMap::<FileKey, Vec<&Description>>::new();
        for description in &snapshot.descriptions {
            let all = on_file.entry(description.file).or_default();
            all.push(description);
        }
        locks.extend(snapshot.requests.iter().map(|request| {
            let permits = permits.get(&request.file).copied();
            let on_file = on_file.get(&request.file).map_or(&[][..], Vec::as_slice);
            awaited(request, permits, on_file, snapshot)
        }));
        // After the locks: a record that is written meanwhile is compared with the holders that were seen.
        let records = records::read(snapshot);
        for lock in &mut locks {
            let is_alone = lock.state == State::Holding && lock.mode == LockMode::Exclusive;
            lock.is_record_unread = is_alone && records::is_withheld(key(lock), snapshot);
            if let Some(owner) = records.get(&key(lock)) {
                lock.add_record(owner);
            }
        }
        let (seen, openers) = openers::views(snapshot, &records);
        locks.extend(seen);
        locks.sort_by_cached_key(|lock| {
            let pid = lock.processes.first().map(|process| process.pid);
            let file = &lock.file;
            let file = (
                file.path.is_none(),
                file.path.clone(),
                file.device,
                file.inode,
            );
            (file, lock.state, lock.since, pid, lock.range)
        });
        let gaps = snapshot.gaps;
        let unnamed = locks
            .iter()
            .filter(|lock| lock.processes.is_empty())
            .count();
        let unread_records = locks.iter().filter(|lock| lock.is_record_unread).count();
        let is_incomplete =
            unnamed > 0 || unread_records > 0 || gaps.outside || gaps.remote || gaps.shared;
        Self {
            locks,
            openers,
            deadlocks: deadlock::find(snapshot),
            incomplete: is_incomplete.then_some(Incomplete {
                unnamed,
                unreadable_processes: gaps.unreadable,
                hidden_processes: gaps.hidden,
                other_pid_namespaces: gaps.outside,
                other_machines: gaps.remote,
                shared_unseen: gaps.shared,
                unread_records,
            }),
        }
    }
}

/// Adds the locks of a description: as one lock if they are lockfast's, otherwise each on its own.
fn add_views(
    description: &Description,
    permits: Option<u32>,
    snapshot: &Snapshot,
    views: &mut Vec<LockView>,
) {
    let (flocks, ranges): (Vec<_>, Vec<_>) = description
        .locks
        .iter()
        .copied()
        .partition(|lock| lock.kind == Kind::Flock);
    let view = |lock| view(description.file, lock, &description.owners, snapshot);
    views.extend(flocks.iter().map(view));
    // The locks of a description are of one holder, which is shown once, with the range of the first.
    let Some(first) = ranges.first().map(view) else {
        return;
    };
    match bytes::meaning(&ranges, permits) {
        None => views.extend(ranges.iter().map(view)),
        Some(Meaning::OnTheWay) => {}
        Some(Meaning::Holds { role, exclusive }) => views.push(LockView {
            mode: mode(exclusive),
            role: Some(role),
            ..first
        }),
        Some(Meaning::HasPermits { count, of }) => views.push(LockView {
            mode: LockMode::Exclusive,
            role: Some(Role::Permit),
            permits: Some(Permits { count, of }),
            ..first
        }),
        Some(Meaning::LeadsQueue) => views.push(LockView {
            mode: LockMode::Exclusive,
            role: Some(Role::Permit),
            state: State::Waiting,
            ..first
        }),
    }
}

/// Returns the view of a request, on a file with these descriptions.
fn awaited(
    request: &Request,
    permits: Option<u32>,
    on_file: &[&Description],
    snapshot: &Snapshot,
) -> LockView {
    let processes: Vec<u32> = request.pid.into_iter().collect();
    let own = on_file.iter().filter(|description| {
        request
            .pid
            .is_some_and(|pid| description.owners.contains(&pid))
    });
    let own: Vec<_> = own.collect();
    let locks: Vec<_> = own.iter().flat_map(|own| &own.locks).copied().collect();
    let lock = bytes::behind_line(&request.lock, &locks);
    let view = view(request.file, &lock, &processes, snapshot);
    let mut own = own.iter();
    let own = own.find_map(|own| bytes::awaited_by_ticket(&lock, &own.locks, permits));
    let (mode, role) = own.unwrap_or_else(|| (view.mode, bytes::awaited(&lock)));
    LockView {
        mode,
        role,
        state: State::Waiting,
        since: request.since,
        ..view
    }
}

fn view(file: FileKey, lock: &LockRecord, owners: &[u32], snapshot: &Snapshot) -> LockView {
    let processes = owners.iter().filter_map(|pid| snapshot.processes.get(pid));
    let range = lock.range;
    LockView {
        file: snapshot.located(file),
        kind: lock.kind,
        mode: mode(lock.exclusive),
        role: None,
        state: State::Holding,
        permits: None,
        range: (range.start, (range.len > 0).then(|| range.end() - 1)),
        processes: processes.cloned().collect(),
        since: None,
        label: None,
        is_record_unread: false,
    }
}

fn key(lock: &LockView) -> FileKey {
    let (major, minor) = lock.file.device;
    let inode = lock.file.inode;
    FileKey {
        major,
        minor,
        inode,
    }
}

fn mode(exclusive: bool) -> LockMode {
    if exclusive {
        LockMode::Exclusive
    } else {
        LockMode::Shared
    }
}

#[cfg(test)]
mod tests;
