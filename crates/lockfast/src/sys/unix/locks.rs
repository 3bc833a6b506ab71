//! Who holds and who awaits which lock, by `/proc`. Nothing is opened but what is in there.

mod process;
mod scan;
mod table;
mod thread;

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::hash::Hash;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use self::scan::{Numbers, Open, Scan};
use self::table::Line;
use self::thread::{Sleepers, Waiter};
use crate::inspect::snapshot::{Description, FileKey, Gaps, KernelLock, Place, Request, Snapshot};
use crate::inspect::{Kind, bytes};
use crate::sys::FileId;

/// The locks of the file at the path, or of the machine.
///
/// The table is read before and after everything else, and a line that nobody claims counts only if
/// it is in both: else the lock was released meanwhile.
pub(crate) fn snapshot(path: Option<&Path>) -> io::Result<Snapshot> {
    let mut mounts = Mounts::default();
    let target = match path {
        Some(path) => Some(Target::find(path, &mut mounts)?),
        None => None,
    };
    let file = target.as_ref().map(|target| target.key);
    let before = read_table(file)?;
    let outside = !is_first_namespace();
    if target.is_some() && before.is_empty() && !outside {
        // All the locks of the machine are in the table, whoever has them.
        return Ok(Snapshot {
            gaps: Gaps {
                remote: target.is_some_and(|target| target.is_remote),
                ..Gaps::default()
            },
            ..Snapshot::default()
        });
    }
    let Scan { open, unreadable } = scan::scan(target.as_ref().map(|target| target.id))?;
    let opened = Opened::new(open, target.as_ref(), &before, &mut mounts);
    let sleepers = Sleepers::new();
    let waiters = opened.waiters(&before);
    let after = read_table(file)?;
    let lasting = in_both(&before, &after);

    let mut snapshot = Snapshot {
        descriptions: opened.descriptions(),
        ..Snapshot::default()
    };
    let unclaimed = unclaimed(&lasting, &snapshot.descriptions);
    snapshot.descriptions.extend(
        unclaimed
            .into_iter()
            .map(|line| described(line, &unreadable)),
    );
    snapshot.requests = requests(&lasting, waiters, &sleepers);
    snapshot.places = opened.places(&before);
    if let (Some(target), Some(path)) = (target.as_ref(), path) {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let deleted = false;
        snapshot.places.insert(target.key, Place { path, deleted });
    }
    add_processes(&mut snapshot, Mounts::hides_processes());
    let gaps = &mut snapshot.gaps;
    gaps.unreadable = unreadable.len();
    gaps.hidden = Mounts::hides_processes();
    gaps.outside = outside;
    gaps.remote = target.is_some_and(|target| target.is_remote);
    Ok(snapshot)
}

/// The file that is asked for.
#[derive(Debug)]
struct Target {
    id: FileId,
    key: FileKey,
    is_remote: bool,
}

impl Target {
    /// A descriptor of this sort opens nothing: no device notices, no watch rings, and closing it
    /// frees no lock of this process.
    fn find(path: &Path, mounts: &mut Mounts) -> io::Result<Self> {
        let file = File::options()
            .read(true)
            .custom_flags(libc::O_PATH)
            .open(path)?;
        let metadata = file.metadata()?;
        let id = FileId {
            device: metadata.dev(),
            inode: metadata.ino(),
            upper: 0,
        };
        Ok(Self {
            id,
            key: mounts.key(id, scan::numbers_of(&file)?, None),
            is_remote: crate::sys::file::is_remote(&file),
        })
    }
}

/// The lines of the table, of one file or of all.
///
/// The kernel hands it out by the page, and locks come and go between two: so it is read until it
/// stays the same, but not for ever.
fn read_table(file: Option<FileKey>) -> io::Result<Vec<Line>> {
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
fn in_both(before: &[Line], after: &[Line]) -> Vec<Line> {
    let mut left = Counts::new(after.iter().copied());
    before
        .iter()
        .filter(|line| left.take(line))
        .copied()
        .collect()
}

/// How often there is what.
#[derive(Debug)]
struct Counts<T>(HashMap<T, usize>);

impl<T: Eq + Hash> Counts<T> {
    fn new(all: impl Iterator<Item = T>) -> Self {
        let mut counts = HashMap::new();
        for one in all {
            *counts.entry(one).or_default() += 1;
        }
        Self(counts)
    }

    /// Was there one more?
    fn take(&mut self, one: &T) -> bool {
        match self.0.get_mut(one) {
            Some(count @ 1..) => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }
}

/// Which file system a mount is of, and how `/proc` is mounted.
#[derive(Debug, Default)]
struct Mounts {
    devices: HashMap<u64, (u32, u32)>,
    looked_at: HashSet<Option<u32>>,
}

impl Mounts {
    /// How the kernel's table names the file.
    fn key(&mut self, id: FileId, numbers: Numbers, pid: Option<u32>) -> FileKey {
        let (major, minor) = numbers
            .mount
            .and_then(|mount| self.device(mount, None).or_else(|| self.device(mount, pid)))
            .unwrap_or_else(|| (rustix::fs::major(id.device), rustix::fs::minor(id.device)));
        FileKey {
            major,
            minor,
            inode: numbers.inode.unwrap_or(id.inode),
        }
    }

    /// The numbers of mounts are the same in all namespaces, but each shows only its own.
    fn device(&mut self, mount: u64, pid: Option<u32>) -> Option<(u32, u32)> {
        if !self.devices.contains_key(&mount) && self.looked_at.insert(pid) {
            let who = pid.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
            let text = fs::read(format!("/proc/{who}/mountinfo")).unwrap_or_default();
            self.devices
                .extend(text.split(|&byte| byte == b'\n').filter_map(parse_mount));
        }
        self.devices.get(&mount).copied()
    }

    /// Does `/proc` show only the processes of the same user?
    fn hides_processes() -> bool {
        let text = fs::read("/proc/self/mountinfo").unwrap_or_default();
        text.split(|&byte| byte == b'\n')
            .map(String::from_utf8_lossy)
            .filter(|line| line.split(' ').nth(4) == Some("/proc"))
            .filter_map(|line| Some(line.split_once(" - ")?.1.to_owned()))
            .any(|options| {
                options
                    .split([' ', ','])
                    .filter_map(|option| option.strip_prefix("hidepid="))
                    .any(|value| !matches!(value, "0" | "off"))
            })
    }
}

/// As in `27 1 254:0 / / rw - ext4 /dev/root rw`.
fn parse_mount(line: &[u8]) -> Option<(u64, (u32, u32))> {
    let mut words = line.split(|&byte| byte == b' ');
    let mut word = || std::str::from_utf8(words.next()?).ok();
    let mount = word()?.parse().ok()?;
    word()?;
    let (major, minor) = word()?.split_once(':')?;
    Some((mount, (major.parse().ok()?, minor.parse().ok()?)))
}

/// The descriptors that matter, by the name of their file in the table.
#[derive(Debug)]
struct Opened {
    open: Vec<(FileKey, Open)>,
}

impl Opened {
    fn new(open: Vec<Open>, target: Option<&Target>, table: &[Line], mounts: &mut Mounts) -> Self {
        let inodes: HashSet<u64> = table.iter().map(|line| line.file.inode).collect();
        let known: HashMap<(u64, u64), FileKey> = open
            .iter()
            .filter_map(|open| Some((id(open), open.locks.first()?.file)))
            .collect();
        let key = |open: &Open| {
            if let Some(target) = target {
                return Some(target.key);
            }
            if let Some(&key) = known.get(&id(open)) {
                return Some(key);
            }
            let inode = open.numbers.inode.unwrap_or(open.id.inode);
            inodes
                .contains(&inode)
                .then(|| mounts.key(open.id, open.numbers, Some(open.pid)))
        };
        let mut key = key;
        Self {
            open: open
                .into_iter()
                .filter_map(|open| Some((key(&open)?, open)))
                .collect(),
        }
    }

    /// The threads that wait, with the file where it is certain.
    fn waiters(&self, table: &[Line]) -> Vec<(FileKey, Waiter)> {
        let awaited: HashSet<FileKey> = table
            .iter()
            .filter(|line| line.waiting)
            .map(|line| line.file)
            .collect();
        let mut files = HashMap::<u32, Vec<(i32, FileKey)>>::new();
        for (key, open) in &self.open {
            if awaited.contains(key) {
                let files = files.entry(open.pid).or_default();
                files.push((open.descriptor, *key));
            }
        }
        let mut found = Vec::new();
        for (pid, files) in files {
            for waiter in thread::waiters(pid) {
                let by_number = |&&(descriptor, _): &&(i32, FileKey)| {
                    waiter.descriptor.is_none_or(|wanted| wanted == descriptor)
                };
                let mut keys = files.iter().filter(by_number).map(|&(_, key)| key);
                if let Some(key) = keys.next() {
                    if keys.all(|other| other == key) {
                        found.push((key, waiter));
                    }
                }
            }
        }
        found.sort_by_key(|(_, waiter)| (waiter.pid, waiter.tid));
        found
    }

    /// The locks by whom they belong to.
    fn descriptions(&self) -> Vec<Description> {
        let mut all = Vec::<Description>::new();
        // Of those with the same locks, in the kernel's order: the number in `all`.
        let mut alike = HashMap::<(FileKey, Vec<KernelLock>), Vec<(&Open, usize)>>::new();
        let mut classic = HashSet::new();
        for (key, open) in &self.open {
            let (of_process, of_description): (Vec<_>, Vec<_>) = open
                .locks
                .iter()
                .map(|line| line.lock)
                .partition(|lock| lock.kind == Kind::Classic);
            // Every descriptor of the file shows them.
            if !of_process.is_empty() && classic.insert((*key, open.pid)) {
                all.push(Description {
                    file: *key,
                    owners: vec![open.pid],
                    locks: of_process,
                });
            }
            if of_description.is_empty() {
                continue;
            }
            let group = alike.entry((*key, of_description.clone())).or_default();
            match group.binary_search_by(|(other, _)| order(other, open)) {
                Ok(at) => {
                    let owners = &mut all[group[at].1].owners;
                    if !owners.contains(&open.pid) {
                        owners.push(open.pid);
                    }
                }
                Err(at) => {
                    group.insert(at, (open, all.len()));
                    all.push(Description {
                        file: *key,
                        owners: vec![open.pid],
                        locks: of_description,
                    });
                }
            }
        }
        all
    }

    fn places(&self, table: &[Line]) -> HashMap<FileKey, Place> {
        let mut wanted: HashSet<FileKey> = table.iter().map(|line| line.file).collect();
        wanted.extend(
            self.open
                .iter()
                .flat_map(|(_, open)| &open.locks)
                .map(|line| line.file),
        );
        let mut places = HashMap::new();
        for (key, open) in &self.open {
            if wanted.contains(key) && !places.contains_key(key) {
                if let Some(path) = scan::path_of(open) {
                    let deleted = open.deleted;
                    places.insert(*key, Place { path, deleted });
                }
            }
        }
        places
    }
}

fn id(open: &Open) -> (u64, u64) {
    (open.id.device, open.id.inode)
}

/// The kernel's order of open file descriptions; equal when the two are one.
fn order(one: &Open, other: &Open) -> Ordering {
    const KCMP_FILE: libc::c_int = 0;
    let number = |number: u32| libc::c_int::try_from(number).unwrap_or(0);
    // SAFETY: compares two descriptors of processes by their numbers, and touches no memory.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_kcmp,
            number(one.pid),
            number(other.pid),
            KCMP_FILE,
            one.descriptor,
            other.descriptor,
        )
    };
    match answer {
        0 => Ordering::Equal,
        1 => Ordering::Less,
        2 => Ordering::Greater,
        // Not permitted. An exclusive lock belongs to one description only.
        _ if one.locks.iter().any(|line| line.lock.exclusive) => Ordering::Equal,
        _ => (one.pid, one.descriptor).cmp(&(other.pid, other.descriptor)),
    }
}

/// The locks of the table that belong to none of these.
fn unclaimed(table: &[Line], descriptions: &[Description]) -> Vec<Line> {
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

/// A lock whose descriptor could not be seen.
fn described(line: Line, unreadable: &[u32]) -> Description {
    let owner = match line.lock.kind {
        Kind::Ofd => named(&line.lock),
        Kind::Classic => line.pid,
        // It may have been inherited by others, and the one that took it be gone.
        Kind::Flock => line.pid.filter(|pid| unreadable.contains(pid)),
    };
    Description {
        file: line.file,
        owners: owner.into_iter().collect(),
        locks: vec![line.lock],
    }
}

/// Who a lock of lockfast says that it belongs to.
fn named(lock: &KernelLock) -> Option<u32> {
    bytes::named_pid(lock, crate::sys::process::namespace())
}

/// Can this thread be the one of that line?
type Match<'a> = &'a dyn Fn(&Line, &Waiter) -> bool;

/// The lines of those who wait, each with the thread that does.
fn requests(
    table: &[Line],
    mut waiters: Vec<(FileKey, Waiter)>,
    sleepers: &Sleepers,
) -> Vec<Request> {
    let lines: Vec<&Line> = table.iter().filter(|line| line.waiting).collect();
    let mut threads: Vec<Option<Waiter>> = vec![None; lines.len()];
    // The surest first: what a thread asks for, then who a line is said to be of, then the rest.
    let is_asked =
        |line: &Line, waiter: &Waiter| waiter.lock.map(bytes::to_the_end) == Some(line.lock);
    let is_named = |line: &Line, waiter: &Waiter| {
        let pid = line.pid.or_else(|| named(&line.lock));
        pid == Some(waiter.pid) && waiter.lock.is_none()
    };
    let may_be = |line: &Line, waiter: &Waiter| {
        line.pid.is_none_or(|pid| pid == waiter.pid) && waiter.lock.is_none()
    };
    let passes: [Match<'_>; 3] = [&is_asked, &is_named, &may_be];
    for matches in passes {
        for (line, thread) in lines.iter().zip(&mut threads) {
            if thread.is_some() {
                continue;
            }
            let found = waiters.iter().position(|(key, waiter)| {
                let flock = |kind| kind == Kind::Flock;
                *key == line.file
                    && flock(waiter.kind) == flock(line.lock.kind)
                    && line.pid.is_none_or(|pid| pid == waiter.pid)
                    && matches(line, waiter)
            });
            *thread = found.map(|at| waiters.remove(at).1);
        }
    }
    lines
        .into_iter()
        .zip(threads)
        .map(|(line, thread)| Request {
            file: line.file,
            lock: line.lock,
            since: thread.as_ref().and_then(|thread| sleepers.since(thread)),
            pid: thread
                .map(|thread| thread.pid)
                .or(line.pid)
                .or_else(|| named(&line.lock)),
        })
        .collect()
}

/// Looks up all that have a part, and those who wait for the end of one that waits.
fn add_processes(snapshot: &mut Snapshot, hidden: bool) {
    let look_up = |pid| process::look_up(pid).or_else(|| hidden.then(|| process::unknown(pid)));
    let Snapshot {
        descriptions,
        requests,
        processes,
        families,
        ..
    } = snapshot;
    let owners = descriptions
        .iter()
        .flat_map(|description| &description.owners);
    let asking = requests.iter().filter_map(|request| request.pid.as_ref());
    for &pid in owners.chain(asking) {
        if !processes.contains_key(&pid) {
            processes.extend(look_up(pid).map(|process| (pid, process)));
        }
    }
    let lines = descriptions
        .iter()
        .filter(|description| bytes::leads_line(&description.locks))
        .flat_map(|description| description.owners.clone());
    let waiting: HashSet<u32> = requests
        .iter()
        .filter_map(|request| request.pid)
        .chain(lines)
        .collect();
    for mut pid in waiting {
        while let Some(parent) = processes.get(&pid).and_then(|process| process.parent) {
            if !processes.contains_key(&parent) {
                processes.extend(process::look_up(parent).map(|process| (parent, process)));
            }
            let waits = processes
                .get(&parent)
                .is_some_and(process::waits_for_children);
            if !waits || !families.insert((parent, pid)) {
                break;
            }
            pid = parent;
        }
    }
    // What has ended meanwhile holds nothing, and waits for nothing.
    descriptions.retain_mut(|description| {
        let known = !description.owners.is_empty();
        description.owners.retain(|pid| processes.contains_key(pid));
        description.owners.sort_unstable();
        !(known && description.owners.is_empty())
    });
    requests.retain(|request| request.pid.is_none_or(|pid| processes.contains_key(&pid)));
}

/// Is this the namespace from which every process can be seen?
fn is_first_namespace() -> bool {
    const FIRST: &str = "pid:[4026531836]";
    fs::read_link("/proc/self/ns/pid").is_ok_and(|name| name == Path::new(FIRST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_has_the_number_of_its_file_system() {
        let line = b"27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw";
        assert_eq!(parse_mount(line), Some((27, (254, 0))));
        assert_eq!(parse_mount(b""), None);
    }

    #[test]
    fn a_file_is_named_as_the_table_of_locks_names_it() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let target = Target::find(file.path(), &mut Mounts::default()).expect("it is there");
        let lock = crate::Lock::open(file.path()).expect("a lock");
        let guard = lock.lock().expect("it is free");
        let lines = read_table(Some(target.key)).expect("a table");
        assert_eq!(lines.len(), 1, "{target:?}");
        drop(guard);
    }
}
