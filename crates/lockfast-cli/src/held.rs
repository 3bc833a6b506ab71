//! The locks of enclosing `lockfast run` commands, for which a nested one must not wait.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::args;
use crate::locks::{self, Opened};
use crate::sys;

/// Paths of the held locks, one per line; documented for scripts.
const PATHS: &str = "LOCKFAST_HELD";

/// For each path the pid of its `lockfast run` and the number of the inherited descriptor.
///
/// A nested command needs both, because the paths alone prove nothing: a process that was left
/// running still has the variables after the locks were released.
const HOLDERS: &str = "LOCKFAST_HELD_BY";

/// The locks of enclosing commands, outermost first.
#[derive(Debug, Default)]
pub(crate) struct Held {
    locks: Vec<HeldLock>,
}

#[derive(Debug)]
struct HeldLock {
    path: PathBuf,
    holder: u32,
    /// `None` if the lock was not inherited.
    descriptor: Option<u32>,
}

/// A wait that would never end.
#[derive(Debug)]
pub(crate) struct WouldWaitForItself {
    path: PathBuf,
    holder: u32,
}

impl Held {
    /// Reads the locks from the environment.
    pub(crate) fn around() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let (Some(paths), Some(holders)) = (variable(PATHS), variable(HOLDERS)) else {
            return Self::default();
        };
        Self::parse(&paths, &holders).unwrap_or_default()
    }

    /// Parses the two variables; `None` if lockfast did not write them.
    fn parse(paths: &OsStr, holders: &OsStr) -> Option<Self> {
        let paths = sys::lines(paths);
        let holders: Vec<_> = holders.to_str()?.split(' ').collect();
        if paths.len() != holders.len() {
            return None;
        }
        let lock = |(path, holder): (PathBuf, &str)| {
            let (holder, descriptor) = holder.split_once(':')?;
            Some(HeldLock {
                path,
                holder: holder.parse().ok()?,
                descriptor: descriptor.parse().ok(),
            })
        };
        let locks = paths.into_iter().zip(holders).map(lock);
        Some(Self {
            locks: locks.collect::<Option<_>>()?,
        })
    }

    /// Adds a lock of this process, with the descriptor that the command inherits.
    pub(crate) fn add(&mut self, path: &Path, descriptor: Option<u32>) {
        // The list is separated by line breaks.
        if path.as_os_str().as_encoded_bytes().contains(&b'\n') {
            return;
        }
        self.locks.push(HeldLock {
            path: sys::real_path(path).unwrap_or_else(|_| path.to_owned()),
            holder: std::process::id(),
            descriptor,
        });
    }

    /// Sets the variables for the command.
    pub(crate) fn export(&self, command: &mut Command) {
        let paths: Vec<_> = self
            .locks
            .iter()
            .map(|lock| lock.path.as_os_str())
            .collect();
        let holder = |lock: &HeldLock| match lock.descriptor {
            Some(number) => format!("{}:{number}", lock.holder),
            None => format!("{}:", lock.holder),
        };
        let holders: Vec<_> = self.locks.iter().map(holder).collect();
        command.env(PATHS, paths.join(OsStr::new("\n")));
        command.env(HOLDERS, holders.join(" "));
    }

    /// Fails if a wanted lock is held by a `lockfast run` that ends only after this process, or
    /// through a descriptor that this process inherited.
    pub(crate) fn refuse_to_wait(
        &self,
        wanted: &[Opened],
        arguments: &args::Run,
    ) -> Result<(), WouldWaitForItself> {
        if self.locks.is_empty() {
            return Ok(());
        }
        let ancestors = sys::ancestors();
        for lock in wanted {
            let Ok(key) = sys::file_key(lock.path()) else {
                continue;
            };
            let is_in_the_way = |held: &&HeldLock| {
                sys::file_key(&held.path).is_ok_and(|other| other == key)
                    && (ancestors.contains(&held.holder)
                        || held
                            .descriptor
                            .is_some_and(|number| sys::has_open(number, &key)))
            };
            let held: Vec<_> = self.locks.iter().filter(is_in_the_way).collect();
            let Some(last) = held.last() else { continue };
            // Another process may release a permit.
            let all_permits = arguments.permits.unwrap_or(1) as usize;
            // Readers share it, unless a writer waits in between, which itself waits for the outer
            // command.
            if held.len() >= all_permits
                && locks::try_alone(lock).is_err_and(|error| error.is_contended())
            {
                return Err(WouldWaitForItself {
                    path: lock.path().to_owned(),
                    holder: last.holder,
                });
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for WouldWaitForItself {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, holder } = self;
        write!(
            f,
            "cannot wait for lock {}: the enclosing `lockfast run` (pid {holder}) holds it until this \
             command ends; scripts can check LOCKFAST_HELD, which lists such locks",
            path.display()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exported_locks_are_parsed_again() {
        let mut held = Held::default();
        held.add(Path::new("/run/a b.lock"), Some(100));
        held.add(Path::new("/run/line\nbreak"), Some(101));
        held.add(Path::new("/run/c:d.lock"), None);
        let mut command = Command::new("true");
        held.export(&mut command);
        let value = |wanted: &str| {
            let mut variables = command.get_envs();
            let found = variables.find(|(name, _)| *name == wanted);
            found
                .and_then(|(_, value)| value)
                .expect("it is set")
                .to_owned()
        };
        let read = Held::parse(&value(PATHS), &value(HOLDERS)).expect("its own form");
        let locks: Vec<_> = read
            .locks
            .iter()
            .map(|lock| (&*lock.path, lock.descriptor))
            .collect();
        let [a, c] = [Path::new("/run/a b.lock"), Path::new("/run/c:d.lock")];
        assert_eq!(locks, [(a, Some(100)), (c, None)]);
        assert!(Held::parse(OsStr::new("/a\n/b"), OsStr::new("1:")).is_none());
        assert!(Held::parse(OsStr::new("/a"), OsStr::new("x")).is_none());
    }
}
