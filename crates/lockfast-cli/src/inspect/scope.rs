//! The part of the machine to look at.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use lockfast::command_support;
use lockfast::inspect::{self, Deadlock, LockedFile, Report};

use crate::exit::{Exit, say};
use crate::sys;

/// The places whose locks are shown.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// Files, and directories with everything below them; `None` for the whole machine.
    roots: Option<Vec<PathBuf>>,
}

impl Scope {
    /// Covers the whole machine.
    pub(crate) fn machine() -> Self {
        Self { roots: None }
    }

    /// Covers these paths and everything below them. Reports a path that does not exist.
    pub(crate) fn below(paths: &[PathBuf]) -> Result<Self, Exit> {
        let real = |path: &PathBuf| {
            sys::real_path(path).map_err(|error| {
                say(format_args!("cannot list {}: {error}", path.display()));
                Exit::NO_INPUT
            })
        };
        let roots = paths.iter().map(real).collect::<Result<_, _>>()?;
        Ok(Self { roots: Some(roots) })
    }

    /// Whether the file is within the scope.
    pub(crate) fn has(&self, file: &LockedFile) -> bool {
        match (&self.roots, &file.path) {
            (None, _) => true,
            (Some(roots), Some(path)) => roots.iter().any(|root| path.starts_with(root)),
            (Some(_), None) => false,
        }
    }

    /// Whether these processes wait for a lock within the scope.
    pub(crate) fn concerns(&self, deadlock: &Deadlock) -> bool {
        let mut files = deadlock.steps.iter().filter_map(|step| step.file.as_ref());
        files.any(|file| self.has(file))
    }

    /// Inspects the machine, and names files within the scope that only other users have open.
    pub(crate) fn look_around(&self) -> lockfast::Result<Report> {
        match (inspect::machine(), &self.roots) {
            (Err(error), Some(roots)) if error.is_unsupported() => look_at_each_file(roots),
            (report, roots) => {
                let mut report = report?;
                name_files(&mut report, roots.as_deref().unwrap_or_default());
                Ok(report)
            }
        }
    }

    /// Removes everything outside the scope.
    pub(crate) fn narrow(&self, report: &mut Report) {
        report.locks.retain(|lock| self.has(&lock.file));
        report.openers.retain(|opener| self.has(&opener.file));
        report.deadlocks.retain(|deadlock| self.concerns(deadlock));
        let unnamed = report
            .locks
            .iter()
            .filter(|lock| lock.processes.is_empty())
            .count();
        let unread = report.locks.iter().filter(|lock| lock.is_record_unread);
        let unread = unread.count();
        report.incomplete = report.incomplete.take().filter(|incomplete| {
            unnamed > 0 || unread > 0 || incomplete.other_pid_namespaces || incomplete.shared_unseen
        });
        if let Some(incomplete) = &mut report.incomplete {
            incomplete.unnamed = unnamed;
            incomplete.unread_records = unread;
        }
    }
}

/// Inspects each file at and below the roots, on systems that report single files only.
fn look_at_each_file(roots: &[PathBuf]) -> lockfast::Result<Report> {
    let mut paths = roots.to_vec();
    let mut all: Option<Report> = None;
    while let Some(path) = paths.pop() {
        let report = match inspect::path(&path) {
            Ok(report) => report,
            Err(error) if error.is_unsupported() => return Err(error),
            Err(error) => {
                say(error);
                continue;
            }
        };
        match &mut all {
            None => all = Some(report),
            Some(all) => {
                all.locks.extend(report.locks);
                all.openers.extend(report.openers);
                all.incomplete = all.incomplete.take().or(report.incomplete);
            }
        }
        let is_directory = fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir());
        if is_directory || roots.contains(&path) {
            let below = fs::read_dir(&path).into_iter().flatten().flatten();
            paths.extend(below.map(|entry| entry.path()));
        }
    }
    all.map_or_else(inspect::machine, Ok)
}

/// Finds the names of files that only other users have open, among the given paths.
fn name_files(report: &mut Report, roots: &[PathBuf]) {
    let mut nameless = HashMap::<u64, Vec<&mut LockedFile>>::new();
    for file in report.locks.iter_mut().map(|lock| &mut lock.file) {
        if file.path.is_none() {
            nameless.entry(file.inode).or_default().push(file);
        }
    }
    if nameless.is_empty() {
        return;
    }
    let mut name = |inode: Option<u64>, path: &Path| {
        // A different inode number needs no stat.
        if inode.is_some_and(|inode| !nameless.contains_key(&inode)) {
            return;
        }
        let Ok((device, inode)) = command_support::numbers_of(path) else {
            return;
        };
        for file in nameless.get_mut(&inode).into_iter().flatten() {
            if file.device == device {
                file.path = Some(path.to_path_buf());
            }
        }
    };
    for root in roots {
        for entry in fs::read_dir(root).into_iter().flatten().flatten() {
            name(sys::number(&entry), &entry.path());
        }
        name(None, root);
    }
}
