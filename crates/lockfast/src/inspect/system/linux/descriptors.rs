//! Descriptors of locked files, and their locks.

use std::collections::{HashMap, HashSet};

use super::file::InspectedFile;
use super::mounts::Mounts;
use super::reading::LockTable;
use super::same;
use super::scan::{self, OpenDescriptor};
use super::table::LockLine;
use super::waiters::{self, WaitingThread};
use crate::inspect::snapshot::{Content, Description, FileKey, LockRecord, Place};
use crate::inspect::view::Kind;

/// Descriptors of locked files, with the name of the file in the table.
#[derive(Debug)]
pub(super) struct Descriptors {
    open: Vec<(FileKey, OpenDescriptor)>,
}

impl Descriptors {
    pub(super) fn new(
        open: Vec<OpenDescriptor>,
        target: Option<&InspectedFile>,
        table: &[LockLine],
        mounts: &mut Mounts,
    ) -> Self {
        // To find the name of a file may take a look at the mounts of its process, so it is done only where
        // the table has the inode.
        let inodes: HashSet<u64> = table.iter().map(|line| line.file.inode).collect();
        let known: HashMap<(u64, u64), FileKey> = open
            .iter()
            .filter_map(|open| Some((id(open), open.locks.first()?.file)))
            .collect();
        let mut key = |open: &OpenDescriptor| {
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
        Self {
            open: open
                .into_iter()
                .filter_map(|open| Some((key(&open)?, open)))
                .collect(),
        }
    }

    /// Returns the threads that wait, if it is certain for which file.
    pub(super) fn waiters(&self, table: &[LockLine]) -> Vec<(FileKey, WaitingThread)> {
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
            for waiter in waiters::waiters(pid) {
                let by_number = |&&(descriptor, _): &&(i32, FileKey)| {
                    waiter.descriptor.is_none_or(|wanted| wanted == descriptor)
                };
                let mut keys = files.iter().filter(by_number).map(|&(_, key)| key);
                if let Some(key) = keys.next() {
                    // Where the descriptor is not known, the thread may wait for any file of the
                    // process that has waiters.
                    if keys.all(|other| other == key) {
                        found.push((key, waiter));
                    }
                }
            }
        }
        found.sort_by_key(|(_, waiter)| (waiter.pid, waiter.tid));
        found
    }

    /// Returns the locks by their owners.
    pub(super) fn descriptions(&self) -> Vec<Description> {
        let mut all = Vec::<Description>::new();
        // Descriptors with the same locks, in the kernel's order, each with its index in `all`.
        let mut alike = HashMap::<(FileKey, Vec<LockRecord>), Vec<(&OpenDescriptor, usize)>>::new();
        let mut classic = HashSet::new();
        for (key, open) in &self.open {
            let (of_process, of_description): (Vec<_>, Vec<_>) = open
                .locks
                .iter()
                .map(|line| line.lock)
                .partition(|lock| lock.kind == Kind::Classic);
            // Every descriptor of the file in this process shows them.
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
            // The kernel's order of open files is the same for every pair, so the group stays sorted by it.
            match group.binary_search_by(|(other, _)| same::order(other, open)) {
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

    /// Returns the paths of locked files.
    pub(super) fn places(&self, table: &LockTable, mounts: &mut Mounts) -> HashMap<FileKey, Place> {
        let mut wanted: HashSet<FileKey> = table.lines.iter().map(|line| line.file).collect();
        wanted.extend(
            self.open
                .iter()
                .flat_map(|(_, open)| &open.locks)
                .map(|line| line.file),
        );
        let mut places = HashMap::new();
        for (key, open) in &self.open {
            if wanted.contains(key) && !places.contains_key(key) {
                let is_served = mounts.is_served(open.numbers.mount, Some(open.pid));
                let content = if is_served || table.leased.contains(key) {
                    Content::Withheld(open.length)
                } else {
                    Content::At(scan::link_of(open))
                };
                let place = Place {
                    path: scan::path_of(open),
                    deleted: open.deleted,
                    content,
                };
                places.insert(*key, place);
            }
        }
        places
    }
}

fn id(open: &OpenDescriptor) -> (u64, u64) {
    (open.id.device, open.id.inode)
}
