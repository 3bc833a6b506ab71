//! Locks by name: which file that is, and whether its directory can be trusted.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, io};

use crate::error::{Cause, Error, Operation, Result};
use crate::options::Settings;
use crate::sys::{self, FileSort, Ownership};

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
    /// The file is in a directory that belongs to the user and that nobody else can enter, the
    /// first of
    ///
    /// 1. `lockfast` in `$XDG_RUNTIME_DIR`, if that is a directory of the user with mode `0o700`;
    /// 2. `lockfast` in `/run/user/UID`, on the same condition;
    /// 3. `lockfast-UID` in `/run/lock`, where the user may create it and nobody else remove it;
    /// 4. `lockfast-UID` in [`env::temp_dir`].
    ///
    /// So processes that see different environments or file systems can have different locks of
    /// one name: a container, or a service with a private `/tmp`.
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
    let (directory, file, mode) = match chosen.scope {
        Scope::User => (Directory::of_user(name)?, format!("{name}.lock"), 0o600),
        Scope::Machine => (
            Directory::of_machine(name)?,
            format!("lockfast-{name}.lock"),
            0o666,
        ),
    };
    let path = directory.path().join(file);
    let settings = Settings {
        mode: chosen.mode.or_else(|| sys::file::HAS_MODES.then_some(mode)),
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
                match sys::file::create_private_dir(path) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                        return Err(Error::system(path, Operation::UseDirectory, error));
                    }
                    _ => {}
                }
                refuse(path, own_fault(&ownership(path)?, user(path)?))
            }
            Self::Public(path) => refuse(path, public_fault(&ownership(path)?)),
        }
    }

    fn path(&self) -> &Path {
        let (Self::Own(path) | Self::Public(path)) = self;
        path
    }

    fn of_user(name: &str) -> Result<Self> {
        let user = user(Path::new(name))?;
        let session = PathBuf::from(format!("/run/user/{user}"));
        let places = Places {
            runtime: [runtime_dir(env::var_os("XDG_RUNTIME_DIR")), Some(session)],
            shared: MACHINE[0].into(),
            temporary: env::temp_dir(),
        };
        places.choose(user).map(Self::Own)
    }

    fn of_machine(name: &str) -> Result<Self> {
        let is_there = |path: &&&str| {
            sys::file::ownership_at(Path::new(path)).is_ok_and(|it| it.sort == FileSort::Directory)
        };
        match MACHINE.iter().find(is_there) {
            Some(path) => Ok(Self::Public(PathBuf::from(path))),
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

/// Where Linux has the locks of the whole machine.
const MACHINE: [&str; 2] = ["/run/lock", "/var/lock"];

/// Where a user's directory can be.
struct Places {
    /// The user's alone.
    runtime: [Option<PathBuf>; 2],
    /// Everybody's.
    shared: PathBuf,
    /// Everybody's, if there is no better place.
    temporary: PathBuf,
}

impl Places {
    /// The first place that is fit. What stands at the chosen path does not matter: who plants
    /// something there must not make the user go elsewhere, but see an error.
    fn choose(self, user: u32) -> Result<PathBuf> {
        for runtime in self.runtime.into_iter().flatten() {
            let found = sys::file::ownership_at(&runtime);
            if found.is_ok_and(|found| own_fault(&found, user).is_none()) {
                return Ok(runtime.join("lockfast"));
            }
        }
        let own = format!("lockfast-{user}");
        if sys::file::ownership_at(&self.shared).is_ok_and(|found| may_create_in(&found, user)) {
            return Ok(self.shared.join(own));
        }
        // The directory for temporary files may be reached by a link: on macOS it is.
        let temporary = self
            .temporary
            .canonicalize()
            .map_err(|error| Error::system(&self.temporary, Operation::UseDirectory, error))?;
        let found = ownership(&temporary)?;
        refuse(&temporary, parent_fault(&found, user))?;
        Ok(temporary.join(own))
    }
}

/// A relative path means nothing there, by the specification.
fn runtime_dir(variable: Option<OsString>) -> Option<PathBuf> {
    variable
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

fn user(path: &Path) -> Result<u32> {
    sys::process::user().map_err(|error| Error::system(path, Operation::Open, error))
}

fn ownership(path: &Path) -> Result<Ownership> {
    sys::file::ownership_at(path)
        .map_err(|error| Error::system(path, Operation::UseDirectory, error))
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

const ROOT: u32 = 0;
const STICKY: u32 = 0o1000;
const OTHERS_WRITE: u32 = 0o022;

/// Why a directory is not the user's alone.
fn own_fault(found: &Ownership, user: u32) -> Option<&'static str> {
    if found.sort == FileSort::Symlink {
        Some("a symbolic link stands there, which could lead anywhere: remove it")
    } else if found.sort != FileSort::Directory {
        Some("something else than a directory stands there: remove it")
    } else if found.owner != user {
        Some("it belongs to another user: have it removed, or set XDG_RUNTIME_DIR")
    } else if found.permissions & 0o077 != 0 {
        Some("others can enter it: make its mode 0700")
    } else {
        None
    }
}

/// Why others could move away what a user has in a directory.
fn parent_fault(found: &Ownership, user: u32) -> Option<&'static str> {
    if found.sort != FileSort::Directory {
        Some("it is not a directory")
    } else if found.owner != ROOT && found.owner != user {
        Some("it belongs to another user: set TMPDIR or XDG_RUNTIME_DIR to one of your own")
    } else if found.permissions & OTHERS_WRITE != 0 && found.permissions & STICKY == 0 {
        Some("others can move away what is in it, as it has no sticky bit: set XDG_RUNTIME_DIR")
    } else {
        None
    }
}

/// Why a file for everybody would not be safe in a directory.
fn public_fault(found: &Ownership) -> Option<&'static str> {
    if found.sort != FileSort::Directory {
        Some("it is not a directory")
    } else if found.owner != ROOT {
        Some("it does not belong to root, and its owner could replace the locks of all")
    } else {
        parent_fault(found, ROOT)
    }
}

/// Can the user create something there that only the user can remove?
fn may_create_in(found: &Ownership, user: u32) -> bool {
    let is_writable = found.owner == user || found.permissions & 0o002 != 0;
    is_writable && parent_fault(found, user).is_none()
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
