//! Opening a handle, once for the user and again when its file was replaced; and options that are refused.

use std::fs::File;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::idle;
use super::linger::ensure_may_linger;
use super::shared::{HANDLES, Handle, ProcessState};
use crate::file::{self, LockFile, OpenFile, owner};
use crate::protocol::Protocol;
use crate::sys::FileId;
use crate::sys::per_process::PerProcess;
use crate::types::error::{Cause, Error, Operation, Result};
use crate::types::fairness::Fairness;
use crate::types::settings::Settings;
use crate::types::thread::ThreadToken;
use crate::types::verify::Verify;
use crate::wait::WaitContext;

impl Handle {
    pub(crate) fn open(path: &Path, settings: Settings) -> Result<Arc<Self>> {
        let path = file::absolute(path)?;
        let invalid = |why| {
            Err(Error::new(
                &path,
                Operation::Open,
                Cause::InvalidOption(why),
            ))
        };
        if settings.mode.is_some_and(|mode| mode > 0o7777) {
            return invalid("the mode has bits above 0o7777");
        }
        if settings.remove_on_release && settings.verify == Verify::Off {
            return invalid(
                "remove_on_release needs verify: without it two could hold the lock, \
                 one on the removed file and one on the new one",
            );
        }
        if settings.owner_record && settings.remove_on_release {
            return invalid(
                "an owner record needs a file that stays: its tokens would begin again with each new \
                 file",
            );
        }
        if !owner::is_label(&settings.label) {
            return invalid(
                "a label has at most 100 bytes, no control characters, and no space at its ends",
            );
        }
        if settings.mode.is_some() && !crate::sys::file::HAS_MODES {
            let why = "files have no modes on this system: the access control list of the directory \
                       says who may use the file";
            let cause = Cause::Unsupported(why, None);
            return Err(Error::new(&path, Operation::Open, cause));
        }
        ensure_has_order(&path, &settings)?;
        ensure_may_linger(&settings).map_err(|cause| Error::new(&path, Operation::Open, cause))?;
        // Opened now, so that a path that can't be a lock shows at once.
        let file = match idle::with_room(|| LockFile::open(&path, &settings)) {
            // The acquire has the limit of the wait until it can be opened.
            Err(error) if error.is_leased() => None,
            opened => Some(opened?),
        };
        Self::new(path, settings, None, file)
    }

    pub(crate) fn from_file(file: File, mut settings: Settings) -> Result<Arc<Self>> {
        let path = crate::sys::file::path_of(&file).unwrap_or_else(|| "(open file)".into());
        if settings.remove_on_release {
            let why = "remove_on_release needs a lock that was opened by its path";
            return Err(Error::new(
                &path,
                Operation::Open,
                Cause::InvalidOption(why),
            ));
        }
        ensure_has_order(&path, &settings)?;
        // No path leads to it, or the user does not mean the path.
        settings.verify = Verify::Off;
        ensure_may_linger(&settings).map_err(|cause| Error::new(&path, Operation::Open, cause))?;
        let file = LockFile::new(OpenFile::given(file, &path)?, &path, &settings)?;
        // Remembered, because the path may lead to another file when this one has to be opened again.
        let id = file.id();
        Self::new(path, settings, Some(id), Some(file))
    }

    fn new(
        path: PathBuf,
        settings: Settings,
        given: Option<FileId>,
        file: Option<LockFile>,
    ) -> Result<Arc<Self>> {
        let handle = Arc::new(Self {
            path,
            may_hand_off: Self::may_hand_off(&settings),
            may_be_fast: Self::may_be_fast(&settings),
            settings,
            given,
            process: PerProcess::new(ProcessState::new(file)),
            users: AtomicUsize::new(0),
        });
        if let (Some(file), _) = handle.process().queue.glance() {
            handle.watch(&file)?;
        }
        // After all that can fail: others look at its file.
        HANDLES.remember(&handle);
        Ok(handle)
    }

    /// Opens the file, as it was opened when the handle was made.
    pub(crate) fn open_file(&self) -> Result<LockFile> {
        idle::with_room(|| match self.given {
            None => LockFile::open(&self.path, &self.settings),
            Some(given) => self.reopen_given(given),
        })
    }

    /// Never creates: a new file would not be the one that the user gave.
    fn reopen_given(&self, given: FileId) -> Result<LockFile> {
        let open = || {
            crate::sys::file::open_existing(&self.path, true, true)
                .map_err(|error| {
                    if crate::sys::file::is_leased(&error) {
                        return Error::new(&self.path, Operation::Open, Cause::Leased);
                    }
                    Error::system(&self.path, Operation::Open, error)
                })
                .and_then(|file| OpenFile::given(file, &self.path))
        };
        let reopened = LockFile::open_by(&self.path, &self.settings, open)?;
        if reopened.id() == given {
            return Ok(reopened);
        }
        let why = "another file is there now: open the lock again";
        Err(Error::new(
            &self.path,
            Operation::Open,
            Cause::InvalidPath(why),
        ))
    }
}

/// An error if a strict order was chosen where there is none.
fn ensure_has_order(path: &Path, settings: &Settings) -> Result<()> {
    let has_tickets = settings.protocol != Protocol::Flock && crate::sys::lock::NAMES_BLOCKERS;
    if settings.fairness != Fairness::Fifo || has_tickets {
        return Ok(());
    }
    let why = "Fairness::Fifo needs locks of bytes, and a kernel that tells which one is in the way: \
               use Protocol::Fcntl or Protocol::Both on a system that has open-file-description locks";
    Err(Error::new(
        path,
        Operation::Open,
        Cause::Unsupported(why, None),
    ))
}

impl WaitContext for Handle {
    fn path(&self) -> &Path {
        &self.path
    }

    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn open_file(&self) -> Result<LockFile> {
        self.open_file()
    }

    fn is_held_elsewhere_by(&self, thread: ThreadToken, file: &LockFile) -> bool {
        self.is_held_elsewhere(thread, file)
    }
}

/// A user's handle: when the last clone is dropped, nothing is kept any more.
#[derive(Debug)]
pub(crate) struct Opened(Arc<Handle>);

impl Opened {
    pub(crate) fn new(handle: Arc<Handle>) -> Self {
        // Relaxed, as in `Arc`: a clone is made of a handle that is counted already.
        handle.users.fetch_add(1, Ordering::Relaxed);
        Self(handle)
    }
}

impl Clone for Opened {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.0))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // AcqRel: the last one sees what the users before it did with the handle.
        if self.0.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.end();
        }
    }
}

impl Deref for Opened {
    type Target = Arc<Handle>;

    fn deref(&self) -> &Arc<Handle> {
        &self.0
    }
}
