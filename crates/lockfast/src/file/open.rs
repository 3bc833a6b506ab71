//! Opening a lock file: it is created if need be, and what is no regular file is refused.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::protocol::Protocol;
use crate::sys::fork::PrivateFile;
use crate::sys::{self, FileSort, FsTraits, Status, place};
use crate::types::directory::Directory;
use crate::types::error::{Cause, Error, Operation, Result};
use crate::types::settings::Settings;

/// An absolute path that can be a lock file's.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    let invalid = |why| Error::new(path, Operation::Open, Cause::InvalidPath(why));
    if path.as_os_str().is_empty() {
        return Err(invalid("the path is empty"));
    }
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(invalid("the path has a NUL byte"));
    }
    std::path::absolute(path).map_err(|error| Error::system(path, Operation::Open, error))
}

/// How often a link may lead to the next, as in the kernel.
const MAX_LINKS: usize = 40;

/// How often the directory may vanish again after it was created.
const MAX_DIRECTORIES: usize = 16;

/// How often it may be gone when it is looked at, and there again when it is to be created. A server
/// of SMB says so until the last one has closed a file that was deleted.
const MAX_VANISHED: usize = 100;

/// How often it may be gone once it is open.
const MAX_GONE: usize = 100;

/// A file that is open, and that children forked from now on do not share.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(super) file: PrivateFile,
    pub(super) status: Status,
    /// Is it open for writing, as far as is known?
    pub(super) writable: bool,
}

impl Opened {
    fn look_at(file: File, writable: bool) -> io::Result<Self> {
        let status = sys::file::status(&file)?;
        Ok(Self {
            file: PrivateFile::new(file, status.id)?,
            status,
            writable,
        })
    }

    /// One that the user has opened. Whether it can be written to, the kernel tells when it matters.
    pub(crate) fn given(file: File, path: &Path) -> Result<Self> {
        Self::look_at(file, true).map_err(|error| Error::system(path, Operation::Open, error))
    }
}

pub(super) fn open(path: &Path, settings: &Settings) -> Result<Opened> {
    // A named lock's directory has rules of its own.
    let may_be_anybodys = settings.any_owner || settings.directory.is_some();
    unless_gone(path, || {
        let (file, writable) = find_or_create(path, settings)?;
        let opened = match Opened::look_at(file, writable) {
            Ok(opened) if !may_be_anybodys => opened,
            opened => return Ok(opened),
        };
        let owner = opened.status.owner;
        match is_planted(path, owner, settings.follow_symlinks) {
            Ok(false) => Ok(Ok(opened)),
            Ok(true) => Err(Error::new(
                path,
                Operation::Open,
                Cause::OfAnotherUser(owner),
            )),
            Err(error) => Ok(Err(error)),
        }
    })
}

/// Whether another user may have put the file there for this one to find.
fn is_planted(path: &Path, owner: u32, follow: bool) -> io::Result<bool> {
    let real = follow.then(|| path.canonicalize()).transpose()?;
    let directory = real.as_deref().unwrap_or(path).parent();
    directory.map_or(Ok(false), |directory| {
        place::may_be_planted(owner, directory)
    })
}

/// Opens again while what was opened is gone when it is looked at.
///
/// What others delete stays there for those who have it open; but where a program or a server looks up
/// names (sshfs), that may come too late for who is just opening it.
fn unless_gone(
    path: &Path,
    mut open: impl FnMut() -> Result<io::Result<Opened>>,
) -> Result<Opened> {
    use io::ErrorKind::{NotFound, StaleNetworkFileHandle};
    let mut gone = 0;
    loop {
        match open()? {
            Err(error)
                if matches!(error.kind(), NotFound | StaleNetworkFileHandle) && gone < MAX_GONE =>
            {
                gone += 1;
            }
            opened => return opened.map_err(|error| Error::system(path, Operation::Open, error)),
        }
    }
}

/// The file, and whether it is open for writing.
fn find_or_create(path: &Path, settings: &Settings) -> Result<(File, bool)> {
    let follow = settings.follow_symlinks;
    let fail = |operation, error| Error::system(path, operation, error);
    // The file that a dangling link leads to, when links are followed.
    let mut target = path.to_path_buf();
    let (mut links, mut directories, mut vanished) = (0, 0, 0);
    loop {
        // What exists is looked at first: opening a device can do things.
        match sys::file::status_at(&target, follow) {
            Ok(status) => {
                refuse_unless_regular(path, status.sort)?;
                match open_existing(&target, settings) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) if !follow && sys::file::refused_link(&error) => {
                        refuse_unless_regular(path, FileSort::Symlink)?;
                    }
                    Err(error) if sys::file::is_leased(&error) => {
                        return Err(Error::new(path, Operation::Open, Cause::Leased));
                    }
                    opened => return opened.map_err(|error| fail(Operation::Open, error)),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let of_place = settings.directory.as_ref().map(Directory::mode);
                match sys::file::create_new(&target, settings.mode.or(of_place)) {
                    Err(error)
                        if error.kind() == io::ErrorKind::AlreadyExists
                            && vanished < MAX_VANISHED =>
                    {
                        vanished += 1;
                        if follow && links < MAX_LINKS {
                            if let Some(next) = link_target(&target) {
                                target = next;
                                links += 1;
                            }
                        }
                    }
                    Err(error)
                        if error.kind() == io::ErrorKind::NotFound
                            && settings.create_dirs
                            && directories < MAX_DIRECTORIES =>
                    {
                        directories += 1;
                        if let Some(parent) = target.parent() {
                            fs::create_dir_all(parent)
                                .map_err(|error| fail(Operation::CreateDirs, error))?;
                        }
                    }
                    created => {
                        return created
                            .map(|file| (file, true))
                            .map_err(|error| fail(Operation::Open, error));
                    }
                }
            }
            Err(error) => return Err(fail(Operation::Open, error)),
        }
    }
}

/// Opens for writing, as an exclusive lock of bytes demands it, or else for reading if that is
/// enough.
fn open_existing(path: &Path, settings: &Settings) -> io::Result<(File, bool)> {
    let follow = settings.follow_symlinks;
    if let Some(file) = open_for_reading(path, settings) {
        return Ok((file, false));
    }
    let reading_may_do = settings.shares || settings.protocol == Protocol::Flock;
    match sys::file::open_existing(path, follow, true) {
        Err(error) if reading_may_do && sys::file::may_be_readable(&error) => {
            sys::file::open_existing(path, follow, false)
                .map(|file| (file, false))
                .map_err(|_| error)
        }
        opened => opened.map(|file| (file, true)),
    }
}

/// Opens for reading what never needs more, as nobody can execute a file that is open for writing, nor
/// open a program for writing that runs. `None` where that does not succeed, or is not enough.
fn open_for_reading(path: &Path, settings: &Settings) -> Option<File> {
    let by_flock = settings.protocol == Protocol::Flock;
    let writes = settings.owner_record || settings.permits.is_some();
    if writes || !(settings.only_reads || by_flock) {
        return None;
    }
    let file = sys::file::open_existing(path, settings.follow_symlinks, false).ok()?;
    // A server may make a lock of bytes of it, for which the file must be open for writing.
    (settings.only_reads || !FsTraits::of(&file).is_remote).then_some(file)
}

fn link_target(path: &Path) -> Option<PathBuf> {
    let target = fs::read_link(path).ok()?;
    Some(match path.parent() {
        Some(parent) => parent.join(target),
        None => target,
    })
}

pub(super) fn refuse_unless_regular(path: &Path, sort: FileSort) -> Result<()> {
    let why = match sort {
        FileSort::Regular => return Ok(()),
        FileSort::Directory => "it is a directory: name a file in it",
        FileSort::Symlink => {
            "it is a symbolic link, which could lead anywhere: \
             name its target, or set follow_symlinks(true)"
        }
        FileSort::Fifo => "it is a FIFO, not a regular file",
        FileSort::Socket => "it is a socket, not a regular file",
        FileSort::Device => "it is a device, not a regular file",
    };
    Err(Error::new(path, Operation::Open, Cause::InvalidPath(why)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_once_it_is_open_is_opened_again() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("a.lock");
        let settings = Settings::default();
        let mut rounds = 0;
        let opened = unless_gone(&path, || {
            rounds += 1;
            let (file, writable) = find_or_create(&path, &settings)?;
            if rounds < 3 {
                fs::remove_file(&path).expect("removed");
                return Ok(Err(io::ErrorKind::NotFound.into()));
            }
            Ok(Opened::look_at(file, writable))
        });
        let at_path = sys::file::status_at(&path, false).expect("the file");
        assert_eq!(opened.expect("opened").status.id, at_path.id);
    }

    #[test]
    fn what_is_gone_each_time_is_an_error_that_names_the_path() {
        let path = Path::new("/run/a.lock");
        let error =
            unless_gone(path, || Ok(Err(io::ErrorKind::NotFound.into()))).expect_err("never there");
        assert_eq!(error.path(), path);
        let mut rounds = 0;
        let refused = unless_gone(path, || {
            rounds += 1;
            Ok(Err(io::ErrorKind::PermissionDenied.into()))
        });
        assert!(refused.is_err());
        assert_eq!(rounds, 1);
    }
}
