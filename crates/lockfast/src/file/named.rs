//! Locks by name: the path of a name, and whether its directory can be trusted.

use std::io;
use std::path::{Path, PathBuf};

use crate::sys::place::{self, fault};
use crate::sys::{FileSort, Home, Ownership, Places};
use crate::types::directory::Directory;
use crate::types::error::{Cause, Error, Operation, Result};
use crate::types::scope::Scope;
use crate::types::settings::Settings;

/// The longest name, in bytes: with prefix and suffix it still is a file name.
pub(crate) const MAX_NAME: usize = 200;

/// The path of the lock with that name, and the settings to open it.
pub(crate) fn locate(name: &str, chosen: &Settings) -> Result<(PathBuf, Settings)> {
    check(name)?;
    let file = place::file_name(name);
    let (directory, file) = match chosen.scope {
        Scope::User => (Directory::of_user(name)?, format!("{file}.lock")),
        Scope::Machine => (
            Directory::of_machine(name)?,
            format!("lockfast-{file}.lock"),
        ),
    };
    let path = directory.path().join(file);
    let settings = Settings {
        // The directory is made by `make_safe`, and nothing below may lead out of it.
        create_dirs: false,
        follow_symlinks: false,
        directory: Some(directory),
        ..chosen.clone()
    };
    Ok((path, settings))
}

impl Directory {
    /// Makes sure that nobody else can touch its files; creates it if it is the user's.
    pub(crate) fn make_safe(&self) -> Result<()> {
        match self {
            Self::Own(path) => {
                // It takes over nothing that is there, and follows no link. The look below examines what is
                // there then.
                match place::create_private(path) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                        return Err(Error::system(path, Operation::UseDirectory, error));
                    }
                    _ => {}
                }
                refuse(path, own_fault(ownership(path)?))
            }
            Self::Public(path) => refuse(path, public_fault(ownership(path)?)),
        }
    }

    /// The mode of a file that is created in it, unless one was chosen.
    pub(crate) fn mode(&self) -> u32 {
        match self {
            Self::Own(_) => place::OWN_MODE,
            Self::Public(_) => 0o666,
        }
    }

    fn path(&self) -> &Path {
        let (Self::Own(path) | Self::Public(path)) = self;
        path
    }

    fn of_user(name: &str) -> Result<Self> {
        match place::of_user().map_err(|error| unknown(name, error))? {
            Home::Certain(path) => Ok(Self::Own(path)),
            Home::Possible(places) => choose(places).map(Self::Own),
        }
    }

    fn of_machine(name: &str) -> Result<Self> {
        let places = place::of_machine().map_err(|error| unknown(name, error))?;
        let is_there = |path: &PathBuf| {
            place::ownership_at(path).is_ok_and(|it| it.sort == FileSort::Directory)
        };
        // A link is passed over: `/var/lock` is one to `/run/lock` where there are both.
        match places.into_iter().find(is_there) {
            Some(path) => Ok(Self::Public(path)),
            None => Err(Error::new(
                Path::new(name),
                Operation::Open,
                Cause::Unsupported(
                    "this system has no directory for the locks of the whole machine: \
                     open one by its path",
                    None,
                ),
            )),
        }
    }
}

fn unknown(name: &str, error: io::Error) -> Error {
    Error::system(Path::new(name), Operation::Open, error)
}

/// Chooses the place by the set-up of the system, so that all processes of the user agree.
///
/// An obstacle that keeps one process from using the place is an error, and no reason to go elsewhere, where
/// other processes would not be. Nor is anything at the chosen path: a user who plants something there
/// must not decide where the locks are.
fn choose(places: Places) -> Result<PathBuf> {
    match place::ownership_at(&places.locks) {
        Ok(found) if may_create_in(found) => return Ok(places.locks.join(places.own)),
        // Only root can create files in it.
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::system(&places.locks, Operation::UseDirectory, error)),
    }
    // A link may lead to it: on macOS it does.
    let temporary = &places.temporary;
    let temporary = temporary
        .canonicalize()
        .map_err(|error| Error::system(temporary, Operation::UseDirectory, error))?;
    // A directory that only some processes see, each under the same name, would hold different locks.
    let is_private = place::is_private(&temporary).then_some(fault::PRIVATE);
    refuse(&temporary, is_private)?;
    refuse(&temporary, parent_fault(ownership(&temporary)?))?;
    Ok(temporary.join(places.own))
}

fn ownership(path: &Path) -> Result<Ownership> {
    place::ownership_at(path).map_err(|error| Error::system(path, Operation::UseDirectory, error))
}

fn refuse(path: &Path, fault: Option<&'static str>) -> Result<()> {
    match fault {
        None => Ok(()),
        Some(why) => Err(Error::new(
            path,
            Operation::UseDirectory,
            Cause::InvalidPath(why),
        )),
    }
}

/// The reason why a directory is not the user's alone.
fn own_fault(found: Ownership) -> Option<&'static str> {
    if found.sort == FileSort::Symlink {
        Some("a symbolic link stands there, which could lead anywhere: remove it")
    } else if found.sort != FileSort::Directory {
        Some("something else than a directory stands there: remove it")
    } else if !found.is_users {
        Some(fault::OF_ANOTHER_USER)
    } else if found.others.enter {
        Some(fault::OTHERS_ENTER)
    } else {
        None
    }
}

/// The reason why others could move files of the user out of a directory.
fn parent_fault(found: Ownership) -> Option<&'static str> {
    if found.sort != FileSort::Directory {
        Some("it is not a directory")
    } else if !found.is_systems && !found.is_users {
        Some(fault::PARENT_OF_ANOTHER_USER)
    } else if found.others.remove {
        Some(fault::OTHERS_REMOVE)
    } else {
        None
    }
}

/// The reason why a file for everybody would not be safe in a directory.
fn public_fault(found: Ownership) -> Option<&'static str> {
    if found.sort != FileSort::Directory {
        Some("it is not a directory")
    } else if !found.is_systems {
        Some(fault::NOT_OF_THE_SYSTEM)
    } else {
        parent_fault(found)
    }
}

/// Whether the user can create something there that only the user can remove.
fn may_create_in(found: Ownership) -> bool {
    (found.is_users || found.others.create) && parent_fault(found).is_none()
}

/// Returns the file of the lock with that name in a directory of named locks, or the reason why there is none.
pub(crate) fn file_of(name: &str) -> std::result::Result<String, &'static str> {
    name_fault(name).map_or_else(|| Ok(format!("{}.lock", place::file_name(name))), Err)
}

/// Returns the name whose lock has that file, as [`file_of`] makes it; `None` for other files.
pub(crate) fn name_of(file: &str) -> Option<String> {
    let stem = file.strip_suffix(".lock")?;
    let mut name = Vec::new();
    let mut rest = stem.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| first == b'%');
        let code =
            code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        name.push(code.unwrap_or(first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    // Where no letter is replaced, `%41` is a name of its own.
    let names = [Some(stem.to_owned()), String::from_utf8(name).ok()];
    let is_its = |name: &String| file_of(name).is_ok_and(|its| its == file);
    names.into_iter().flatten().find(is_its)
}

fn check(name: &str) -> Result<()> {
    match name_fault(name) {
        None => Ok(()),
        Some(why) => Err(Error::new(
            Path::new(name),
            Operation::Name,
            Cause::InvalidPath(why),
        )),
    }
}

/// The reason why a lock can't have that name.
fn name_fault(name: &str) -> Option<&'static str> {
    Some(if name.is_empty() {
        "a name can't be empty"
    } else if name.len() > MAX_NAME {
        "a name has at most 200 bytes"
    } else if name.starts_with('.') {
        "a name can't begin with a dot"
    } else if name.contains('/') {
        "a name has no `/`: open a lock at a path by `open`"
    } else if name.contains(char::is_control) {
        "a name has no control characters"
    } else {
        return None;
    })
}

#[cfg(test)]
mod tests;

#[cfg(all(test, windows, not(lockfast_unsupported)))]
#[path = "named/tests/windows.rs"]
mod tests_on_windows;
