//! What the handles of all primitives share: the path, the options, and the acquire itself.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::error::{Cause, Error, Operation, Result};
use crate::file::{self, LockFile};
use crate::holder::Holder;
use crate::identity::{self, Verify};
use crate::options::Options;
use crate::queue::{Queue, Turn};
use crate::sys::{FileId, fork};
use crate::wait::{Patience, Wait};

/// One lock of this process, shared by the clones of its handle.
#[derive(Debug)]
pub(crate) struct Handle {
    path: PathBuf,
    options: Options,
    /// The file that the user gave, if it was not opened by its path.
    given: Option<FileId>,
    process: PerProcess,
}

/// A handle's part that belongs to one process.
///
/// A forked child can't use its parent's: a thread that does not exist in the child may have been
/// in the middle of it. So each process in a line of forks has its own, found by its generation.
#[derive(Debug)]
struct PerProcess {
    generation: u64,
    queue: Queue<LockFile>,
    /// Does a guard of this process hold it? Information for errors only.
    held: AtomicBool,
    child: OnceLock<Box<PerProcess>>,
}

/// A lock that is held, until dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    handle: Arc<Handle>,
    /// Taken out when it is released.
    file: Option<LockFile>,
}

impl Handle {
    pub(crate) fn open(path: &Path, options: Options) -> Result<Arc<Self>> {
        let path = file::absolute(path)?;
        let invalid = |why| {
            Err(Error::new(
                &path,
                Operation::Open,
                Cause::InvalidOption(why),
            ))
        };
        if options.mode.is_some_and(|mode| mode > 0o7777) {
            return invalid("the mode has bits above 0o7777");
        }
        if options.remove_on_release && options.verify == Verify::Off {
            return invalid(
                "remove_on_release needs verify: without it two could hold the lock, \
                 one on the removed file and one on the new one",
            );
        }
        let file = LockFile::open(&path, &options)?;
        Ok(Arc::new(Self {
            path,
            options,
            given: None,
            process: PerProcess::new(Some(file)),
        }))
    }

    pub(crate) fn from_file(file: File, mut options: Options) -> Result<Arc<Self>> {
        let path = crate::sys::file::path_of(&file).unwrap_or_else(|| "(open file)".into());
        if options.remove_on_release {
            let why = "remove_on_release needs a lock that was opened by its path";
            return Err(Error::new(
                &path,
                Operation::Open,
                Cause::InvalidOption(why),
            ));
        }
        options.verify = Verify::Off;
        let file = LockFile::new(file, &path, &options)?;
        Ok(Arc::new(Self {
            path,
            options,
            given: Some(file.id()),
            process: PerProcess::new(Some(file)),
        }))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// Takes the lock, waiting as long as the patience lasts.
    pub(crate) fn acquire(self: &Arc<Self>, patience: Patience) -> Result<Hold> {
        let process = self.process();
        let mut wait = Wait::new(self, patience);
        let mut turn = match process.queue.try_enter() {
            Some(turn) => turn,
            None => wait.for_turn(&process.queue, || process.holder())?,
        };
        let file = self.lock_current(&mut turn, &mut wait)?;
        process.held.store(true, Ordering::Relaxed);
        turn.keep();
        Ok(Hold {
            handle: Arc::clone(self),
            file: Some(file),
        })
    }

    /// Locks the file that is at the path, however often it is replaced meanwhile.
    fn lock_current(&self, turn: &mut Turn<'_, LockFile>, wait: &mut Wait<'_>) -> Result<LockFile> {
        let fail = |operation, error| Error::system(&self.path, operation, error);
        loop {
            let mut file = match turn.take() {
                Some(file) => file,
                None => self.reopen()?,
            };
            let locked = match wait.attempt(|| file.try_lock()) {
                Ok(locked) => locked,
                Err(error) => {
                    Self::give_back(turn, file);
                    return Err(fail(Operation::Lock, error));
                }
            };
            if !locked {
                // Held by somebody; but if the file is stale, that is not the lock at the path.
                if !self.is_at_path(&file)? {
                    wait.unless_over(|| None)?;
                    continue;
                }
                if let Err(error) = wait.in_kernel(&file) {
                    Self::give_back(turn, file);
                    return Err(error);
                }
            }
            // Dropping the file releases it too; but a descriptor that was copied would keep it.
            match self.is_current(&mut file, wait.has_begun()) {
                Ok(true) => return Ok(file),
                Ok(false) => file
                    .release()
                    .map_err(|error| fail(Operation::Release, error))?,
                Err(error) => {
                    let _ = file.release();
                    return Err(error);
                }
            }
            wait.unless_over(|| None)?;
        }
    }

    /// Leaves a file that could not be locked to the next one, if surely nothing is held on it.
    fn give_back(turn: &mut Turn<'_, LockFile>, file: LockFile) {
        if file.release().is_ok() {
            turn.put(file);
        }
    }

    /// Is the file, which is locked now, the one at the path?
    fn is_current(&self, file: &mut LockFile, waited: bool) -> Result<bool> {
        let Options {
            follow_symlinks,
            verify,
            ..
        } = self.options;
        identity::is_current(file, &self.path, follow_symlinks, verify, waited)
            .map_err(|error| Error::system(&self.path, Operation::Check, error))
    }

    /// Is the file, locked or not, the one at the path?
    fn is_at_path(&self, file: &LockFile) -> Result<bool> {
        if self.options.verify == Verify::Off {
            return Ok(true);
        }
        identity::is_at(file, &self.path, self.options.follow_symlinks)
            .map_err(|error| Error::system(&self.path, Operation::Check, error))
    }

    /// Opens the file again: it was stale, or this is a forked child.
    #[cold]
    fn reopen(&self) -> Result<LockFile> {
        let Some(given) = self.given else {
            return LockFile::open(&self.path, &self.options);
        };
        // Never creates: a new file would not be the one that the user gave.
        let reopened = crate::sys::file::open_existing(&self.path, true, true)
            .map_err(|error| Error::system(&self.path, Operation::Open, error))
            .and_then(|file| LockFile::new(file, &self.path, &self.options))?;
        if reopened.id() == given {
            Ok(reopened)
        } else {
            let why = "another file is there now: open the lock again in the forked process";
            Err(Error::new(
                &self.path,
                Operation::Open,
                Cause::InvalidPath(why),
            ))
        }
    }

    /// The part of the process that runs now.
    fn process(&self) -> &PerProcess {
        let generation = fork::generation();
        let mut process = &self.process;
        while process.generation != generation {
            process = process
                .child
                .get_or_init(|| Box::new(PerProcess::new(None)));
        }
        process
    }
}

impl PerProcess {
    fn new(file: Option<LockFile>) -> Self {
        Self {
            generation: fork::generation(),
            queue: Queue::new(file),
            held: AtomicBool::new(false),
            child: OnceLock::new(),
        }
    }

    /// Who holds it while a thread of this process has the turn, as far as this process knows.
    fn holder(&self) -> Option<Holder> {
        self.held.load(Ordering::Relaxed).then(Holder::this_process)
    }
}

impl Hold {
    pub(crate) fn path(&self) -> &Path {
        &self.handle.path
    }

    pub(crate) fn file(&self) -> &LockFile {
        self.file.as_ref().expect("it is there until the release")
    }

    /// Is the locked file still the one at the path?
    pub(crate) fn is_current(&self) -> Result<bool> {
        let follow = self.handle.options.follow_symlinks;
        identity::is_at(self.file(), self.path(), follow)
            .map_err(|error| Error::system(self.path(), Operation::Check, error))
    }

    /// Releases it and tells of errors. Once is enough; what comes after does nothing.
    pub(crate) fn release(&mut self) -> Result<()> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        if !file.is_own() {
            // A forked child's copy: the lock is the parent's.
            return Ok(());
        }
        let removed = if self.handle.options.remove_on_release {
            self.remove(&file)
        } else {
            Ok(())
        };
        let released = file
            .release()
            .map_err(|error| Error::system(&self.handle.path, Operation::Release, error));
        let process = self.handle.process();
        process.held.store(false, Ordering::Relaxed);
        // A file that could not be unlocked is closed instead, and so is one that was removed.
        let reusable = released.is_ok() && !self.handle.options.remove_on_release;
        process.queue.leave(reusable.then_some(file));
        removed.and(released)
    }

    /// Removes the file while it is locked, so that whoever locks it next sees that it is gone.
    fn remove(&self, file: &LockFile) -> Result<()> {
        let path = &self.handle.path;
        let fail = |operation, error| Error::system(path, operation, error);
        let follow = self.handle.options.follow_symlinks;
        let is_current =
            identity::is_at(file, path, follow).map_err(|error| fail(Operation::Check, error))?;
        if !is_current {
            return Ok(());
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|error| fail(Operation::Remove, error)),
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // A drop has nobody to tell; `release` does.
        let _ = self.release();
    }
}
