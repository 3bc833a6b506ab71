//! Opening a lock file. It is created if need be; anything but a regular file is refused.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::open_file::OpenFile;
use crate::protocol::Protocol;
use crate::sys::{self, FileSort, FsTraits, place};
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

/// The longest chain of links, as in the kernel.
const MAX_LINKS: usize = 40;

/// The number of times that the directory may vanish after it was created.
const MAX_DIRECTORIES: usize = 16;

/// The number of times that the file may be gone for a look, and there again for a create. A server of SMB answers so until a deleted file was closed by everybody.
const MAX_VANISHED: usize = 100;

/// The number of times that the file may be gone once it is open.
const MAX_GONE: usize = 100;

/// Opens the file at the path, and creates it if need be.
pub(super) fn open(path: &Path, settings: &Settings) -> Result<OpenFile> {
    // A named lock's directory has rules of its own.
    let may_be_anybodys = settings.any_owner || settings.directory.is_some();
    unless_gone(path, || {
        let (file, traits, writable) = find_or_create(path, settings)?;
        let opened = match OpenFile::new(file, traits, writable) {
            Ok(opened) if !may_be_anybodys => opened,
            opened => return Ok(opened),
        };
        let owner = opened.owner;
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
    // The directory of the file itself, and not that of a link to it.
    let real = follow.then(|| path.canonicalize()).transpose()?;
    let directory = real.as_deref().unwrap_or(path).parent();
    directory.map_or(Ok(false), |directory| {
        place::may_be_planted(owner, directory)
    })
}

/// Opens again while the file is gone once it is open.
///
/// A deleted file stays there for everybody who has it open. But where a program or a server looks up names
/// (sshfs), the look-up may come too late for an open that has just begun.
fn unless_gone(
    path: &Path,
    mut open: impl FnMut() -> Result<io::Result<OpenFile>>,
) -> Result<OpenFile> {
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

/// An open file, with whether it is open for writing.
type Found = (File, FsTraits, bool);

fn found(file: File, writable: bool) -> Found {
    let traits = FsTraits::of(&file);
    (file, traits, writable)
}

/// Finds the file at the path, or creates it.
fn find_or_create(path: &Path, settings: &Settings) -> Result<Found> {
    let mut search = FileSearch {
        path,
        settings,
        target: path.to_path_buf(),
        links: 0,
        directories: 0,
        vanished: 0,
    };
    loop {
        if let Some(found) = search.look()? {
            return Ok(found);
        }
    }
}

// | a look finds | then it | the search |
// |---|---|---|
// | a regular file | opens it | ends, or looks again if the file is gone by now |
// | nothing | creates it | ends, or looks again: something is there now, or the directory was made first |
// | anything else | refuses it | ends with an error |
/// The search for a file that others may create and remove meanwhile. Its steps return `None` to go on.
struct FileSearch<'p> {
    path: &'p Path,
    settings: &'p Settings,
    /// The path, or the file that a dangling link there leads to, when links are followed.
    target: PathBuf,
    links: usize,
    directories: usize,
    vanished: usize,
}

impl FileSearch<'_> {
    fn look(&mut self) -> Result<Option<Found>> {
        // Looked at before it is opened: opening a device can do things.
        match sys::file::status_at(&self.target, self.settings.follow_symlinks) {
            Ok(status) => {
                refuse_unless_regular(self.path, status.sort)?;
                self.open()
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.create(),
            Err(error) => Err(self.failed(Operation::Open, error)),
        }
    }

    fn open(&self) -> Result<Option<Found>> {
        match open_existing(&self.target, self.settings) {
            // Deleted since the look: the search begins again, and may create it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if !self.settings.follow_symlinks && sys::file::refused_link(&error) => {
                refuse_unless_regular(self.path, FileSort::Symlink).map(|()| None)
            }
            Err(error) if sys::file::is_leased(&error) => {
                Err(Error::new(self.path, Operation::Open, Cause::Leased))
            }
            opened => opened
                .map(Some)
                .map_err(|error| self.failed(Operation::Open, error)),
        }
    }

    fn create(&mut self) -> Result<Option<Found>> {
        let mode_of_place = self.settings.directory.as_ref().map(Directory::mode);
        let mode = self.settings.mode.or(mode_of_place);
        match sys::file::create_new(&self.target, mode) {
            Err(error)
                if error.kind() == io::ErrorKind::AlreadyExists && self.vanished < MAX_VANISHED =>
            {
                self.vanished += 1;
                // Something is there that a look did not find: perhaps a link that leads to nothing.
                self.follow_link();
            }
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && self.settings.create_dirs
                    && self.directories < MAX_DIRECTORIES =>
            {
                // Others may remove it again, as long as it is empty.
                self.directories += 1;
                if let Some(parent) = self.target.parent() {
                    fs::create_dir_all(parent)
                        .map_err(|error| self.failed(Operation::CreateDirs, error))?;
                }
            }
            // Created by one of several processes; the others find it when they look again.
            created => {
                return created
                    .map(|file| Some(found(file, true)))
                    .map_err(|error| self.failed(Operation::Open, error));
            }
        }
        Ok(None)
    }

    fn follow_link(&mut self) {
        if !self.settings.follow_symlinks || self.links == MAX_LINKS {
            return;
        }
        if let Some(next) = link_target(&self.target) {
            self.target = next;
            self.links += 1;
        }
    }

    fn failed(&self, operation: Operation, error: io::Error) -> Error {
        Error::system(self.path, operation, error)
    }
}

/// Opens for writing, as an exclusive lock of bytes demands it, or else for reading if that is
/// enough.
fn open_existing(path: &Path, settings: &Settings) -> io::Result<Found> {
    let follow = settings.follow_symlinks;
    if let Some(found) = open_for_reading(path, settings) {
        return Ok(found);
    }
    let reading_may_do = settings.shares || settings.protocol == Protocol::Flock;
    match sys::file::open_existing(path, follow, true) {
        Err(error) if reading_may_do && sys::file::may_be_readable(&error) => {
            sys::file::open_existing(path, follow, false)
                .map(|file| found(file, false))
                // The first error says what is missing: the right to write.
                .map_err(|_| error)
        }
        opened => opened.map(|file| found(file, true)),
    }
}

/// Opens for reading a file that never needs more: nobody can execute a file that is open for writing, nor
/// open a running program for writing. `None` where that fails, or is not enough.
fn open_for_reading(path: &Path, settings: &Settings) -> Option<Found> {
    let by_flock = settings.protocol == Protocol::Flock;
    let writes = settings.owner_record || settings.permits.is_some();
    if writes || !(settings.only_reads || by_flock) {
        return None;
    }
    let file = sys::file::open_existing(path, settings.follow_symlinks, false).ok()?;
    let found = found(file, false);
    // A server may turn a `flock` into a lock of bytes, for which the file must be open for writing.
    let (_, traits, _) = &found;
    (settings.only_reads || !traits.is_remote).then_some(found)
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
    fn a_file_that_is_gone_after_the_open_is_opened_again() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("a.lock");
        let settings = Settings::default();
        let mut rounds = 0;
        let opened = unless_gone(&path, || {
            rounds += 1;
            let (file, traits, writable) = find_or_create(&path, &settings)?;
            if rounds < 3 {
                fs::remove_file(&path).expect("removed");
                return Ok(Err(io::ErrorKind::NotFound.into()));
            }
            Ok(OpenFile::new(file, traits, writable))
        });
        let at_path = sys::file::status_at(&path, false).expect("the file");
        assert_eq!(opened.expect("opened").id(), at_path.id);
    }

    #[test]
    fn a_file_that_is_always_gone_is_an_error_that_names_the_path() {
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
