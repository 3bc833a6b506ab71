//! An open lock file: how it is opened, and the kernel locks that are taken on it.

use std::fs::{self, File};
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use crate::error::{Cause, Error, Operation, Result};
use crate::holder::Holder;
use crate::identity::Sighting;
use crate::options::Options;
use crate::protocol::{self, Protocol};
use crate::sys::fork::{self, PrivateFile};
use crate::sys::{self, FileId, FileSort, Kind};

/// An open lock file.
#[derive(Debug)]
pub(crate) struct LockFile {
    file: PrivateFile,
    id: FileId,
    /// What it was like when it was found at its path last.
    sighting: Option<Sighting>,
    /// Does a rename change what `sighting` has?
    renames_show: bool,
    /// What is locked first, and what then, if anything.
    kinds: (Kind, Option<Kind>),
}

impl LockFile {
    /// Opens the file at the path, and creates it if need be.
    pub(crate) fn open(path: &Path, options: &Options) -> Result<Self> {
        loop {
            let forks = fork::forks();
            let file = Self::new(open(path, options)?, path, options)?;
            // A child that was forked before the file was registered shares its description: such
            // a description must not be locked.
            if fork::forks() == forks {
                return Ok(file);
            }
        }
    }

    /// Takes a file that is open.
    pub(crate) fn new(file: File, path: &Path, options: &Options) -> Result<Self> {
        let file = PrivateFile::new(file);
        let status = sys::file::status(&file)
            .map_err(|error| Error::system(path, Operation::Open, error))?;
        refuse_unless_regular(path, status.sort)?;
        let record = Kind::Record {
            len: protocol::exclusive_len(std::process::id(), sys::process::namespace()),
        };
        let kinds = match options.protocol {
            Protocol::Fcntl => (record, None),
            Protocol::Flock => (Kind::Flock, None),
            Protocol::Both if sys::file::has_one_lock_table(&file) => (record, None),
            Protocol::Both => (record, Some(Kind::Flock)),
        };
        Ok(Self {
            renames_show: sys::file::renames_change_time(&file),
            file,
            id: status.id,
            sighting: None,
            kinds,
        })
    }

    /// Was it opened by this process, or is this a forked child's copy?
    pub(crate) fn is_own(&self) -> bool {
        self.file.is_own()
    }

    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    /// What it was like when it was found at its path last, since it was opened.
    pub(crate) fn sighting(&self) -> Option<&Sighting> {
        self.sighting.as_ref()
    }

    /// It was found at its path.
    pub(crate) fn sighted(&mut self, sighting: Sighting) {
        self.sighting = Some(sighting);
    }

    /// Does a rename change what a [`Sighting`] has?
    pub(crate) fn renames_show(&self) -> bool {
        self.renames_show
    }

    /// Tries once; `false` when somebody else holds it, and then nothing is held.
    pub(crate) fn try_lock(&self) -> io::Result<bool> {
        let (first, second) = self.kinds;
        if !sys::lock::try_lock(&self.file, first)? {
            return Ok(false);
        }
        let Some(second) = second else {
            return Ok(true);
        };
        match sys::lock::try_lock(&self.file, second) {
            Ok(true) => Ok(true),
            refused => {
                sys::lock::release(&self.file, first)?;
                refused
            }
        }
    }

    /// Calls `wait` for each kernel lock in turn; gives back what is held when one fails.
    pub(crate) fn lock_each<E>(
        &self,
        mut wait: impl FnMut(&File, Kind) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let (first, second) = self.kinds;
        wait(&self.file, first)?;
        let Some(second) = second else {
            return Ok(());
        };
        wait(&self.file, second).inspect_err(|_| {
            // Should this fail, the error below is the one to report; who gives the file back
            // releases it once more and closes it if that fails.
            let _ = sys::lock::release(&self.file, first);
        })
    }

    /// Releases all that is held.
    pub(crate) fn release(&self) -> io::Result<()> {
        let (first, second) = self.kinds;
        if let Some(second) = second {
            sys::lock::release(&self.file, second)?;
        }
        sys::lock::release(&self.file, first)
    }

    /// Who holds it, if the kernel tells in one call.
    pub(crate) fn holder(&self) -> Option<Holder> {
        let blocker = sys::lock::blocker(&self.file, self.kinds.0)?;
        protocol::holder(blocker, sys::process::namespace())
    }
}

impl Deref for LockFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

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

fn open(path: &Path, options: &Options) -> Result<File> {
    let follow = options.follow_symlinks;
    let fail = |operation, error| Error::system(path, operation, error);
    // The file that a dangling link leads to, when links are followed.
    let mut target = path.to_path_buf();
    let (mut links, mut directories) = (0, 0);
    loop {
        // What exists is looked at first: opening a device can do things.
        match sys::file::status_at(&target, follow) {
            Ok(status) => {
                refuse_unless_regular(path, status.sort)?;
                match open_existing(&target, options) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) if !follow && sys::file::refused_link(&error) => {
                        refuse_unless_regular(path, FileSort::Symlink)?;
                    }
                    opened => return opened.map_err(|error| fail(Operation::Open, error)),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match sys::file::create_new(&target, options.mode) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        if follow && links < MAX_LINKS {
                            if let Some(next) = link_target(&target) {
                                target = next;
                                links += 1;
                            }
                        }
                    }
                    Err(error)
                        if error.kind() == io::ErrorKind::NotFound
                            && options.create_dirs
                            && directories < MAX_DIRECTORIES =>
                    {
                        directories += 1;
                        if let Some(parent) = target.parent() {
                            fs::create_dir_all(parent)
                                .map_err(|error| fail(Operation::CreateDirs, error))?;
                        }
                    }
                    created => return created.map_err(|error| fail(Operation::Open, error)),
                }
            }
            Err(error) => return Err(fail(Operation::Open, error)),
        }
    }
}

/// Opens for writing, as an exclusive record lock demands it; a `flock` does without.
fn open_existing(path: &Path, options: &Options) -> io::Result<File> {
    let follow = options.follow_symlinks;
    match sys::file::open_existing(path, follow, true) {
        Err(error) if options.protocol == Protocol::Flock && sys::file::may_be_readable(&error) => {
            sys::file::open_existing(path, follow, false).map_err(|_| error)
        }
        opened => opened,
    }
}

fn link_target(path: &Path) -> Option<PathBuf> {
    let target = fs::read_link(path).ok()?;
    Some(match path.parent() {
        Some(parent) => parent.join(target),
        None => target,
    })
}

fn refuse_unless_regular(path: &Path, sort: FileSort) -> Result<()> {
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
