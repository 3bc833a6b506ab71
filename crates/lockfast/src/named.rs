//! Locks by name: which file that is, and whether its directory can be trusted.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Cause, Error, Operation, Result};
use crate::options::Settings;
use crate::sys::place::{self, fault};
use crate::sys::{FileSort, Home, Ownership, Places};

/// With whom a lock that has a name is shared: see [`Options::scope`](crate::Options::scope).
///
/// # Examples
///
/// ```
/// assert_eq!(lockfast::Scope::default(), lockfast::Scope::User);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// The processes of one user.
    ///
    /// The file is in a directory that belongs to the user and that nobody else can enter:
    ///
    /// * `/run/lock/lockfast-UID`, where users may create files in `/run/lock` and can't remove those
    ///   of others (Debian, Ubuntu; for root everywhere on Linux);
    /// * else `/var/tmp/lockfast-UID`, if `/var/tmp` belongs to root and has a sticky bit.
    ///
    /// Which of the two it is depends on the system alone: not on the session, nor on any variable
    /// (`XDG_RUNTIME_DIR`, `TMPDIR`, `HOME`), nor on what stands there. So a login session, a cron job, a
    /// service and a job that outlives its logout have the same lock. If that one directory can't be
    /// used, or belongs to somebody else, that is an error and no other place is tried; so is a
    /// `/var/tmp` that systemd made for one service (`PrivateTmp=`).
    ///
    /// The processes of a container that has a `/run/lock` or `/var/tmp` of its own have locks of their
    /// own.
    ///
    /// # Platform-specific behaviour
    ///
    /// On Windows it is `AppData\Local\lockfast` in the user's profile, whatever the environment says,
    /// and the same in all sessions of the user. Administrators and the system can enter it too.
    #[default]
    User,
    /// All processes of the machine, whoever runs them.
    ///
    /// The file is `lockfast-NAME.lock` in `/run/lock` (`/var/lock` on older systems), with mode
    /// `0o666`. **Any user can hold such a lock for ever**, and the user who created the file can
    /// remove it while somebody holds it. A service can create it as root when the system starts
    /// (with systemd, `f /run/lock/lockfast-NAME.lock 0666 root root` in `tmpfiles.d`); where
    /// `/run/lock` is root's alone, that is the only way.
    ///
    /// # Platform-specific behaviour
    ///
    /// On Windows the file is in `C:\ProgramData` (wherever the system has that), where every user may
    /// create files and none remove those of others. Everybody may lock it; the user who created it can
    /// remove it.
    ///
    /// Where there is no such directory (on most systems other than Linux), that is an error with
    /// [`is_unsupported`](crate::Error::is_unsupported).
    Machine,
}

/// How long a name may be, in bytes: with what is put around it, it is a file's name.
pub(crate) const MAX_NAME: usize = 200;

/// The directory of a named lock's file, which is looked at before the file is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Directory {
    /// Made for the user, and closed to all others.
    Own(PathBuf),
    /// Where everybody may create files and nobody may remove those of others.
    Public(PathBuf),
}

/// The file of the lock with that name, and how it is to be opened.
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
        create_dirs: false,
        follow_symlinks: false,
        directory: Some(directory),
        ..chosen.clone()
    };
    Ok((path, settings))
}

impl Directory {
    /// Makes sure that only those can touch its files who may; creates it if it is the user's.
    pub(crate) fn make_safe(&self) -> Result<()> {
        match self {
            Self::Own(path) => {
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

/// The place by what the system has set up, so that all processes of the user agree.
///
/// Whatever keeps one process from using the place that others use is an error, and no reason to go
/// elsewhere. Nor is what stands at the chosen path: whoever plants something there must not decide
/// where the user's locks are.
fn choose(places: Places) -> Result<PathBuf> {
    match place::ownership_at(&places.locks) {
        Ok(found) if may_create_in(found) => return Ok(places.locks.join(places.own)),
        // Root's alone.
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::system(&places.locks, Operation::UseDirectory, error)),
    }
    // It may be reached by a link: on macOS it is.
    let temporary = &places.temporary;
    let temporary = temporary
        .canonicalize()
        .map_err(|error| Error::system(temporary, Operation::UseDirectory, error))?;
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

/// Why a directory is not the user's alone.
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

/// Why others could move away what a user has in a directory.
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

/// Why a file for everybody would not be safe in a directory.
fn public_fault(found: Ownership) -> Option<&'static str> {
    if found.sort != FileSort::Directory {
        Some("it is not a directory")
    } else if !found.is_systems {
        Some(fault::NOT_OF_THE_SYSTEM)
    } else {
        parent_fault(found)
    }
}

/// Can the user create something there that only the user can remove?
fn may_create_in(found: Ownership) -> bool {
    (found.is_users || found.others.create) && parent_fault(found).is_none()
}

fn check(name: &str) -> Result<()> {
    let why = if name.is_empty() {
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
        return Ok(());
    };
    Err(Error::new(
        Path::new(name),
        Operation::Name,
        Cause::InvalidPath(why),
    ))
}

#[cfg(test)]
mod tests;
