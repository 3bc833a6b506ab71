//! Opening a handle, once for the user and again when its file was replaced; and what can't be chosen.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::{Handle, OfProcess, idle};
use crate::file::owner;
use crate::file::{self, LockFile, OpenFile};
use crate::protocol::Protocol;
use crate::queue::Turn;
use crate::sys::FileId;
use crate::sys::per_process::PerProcess;
use crate::types::error::{Cause, Error, Operation, Result};
use crate::types::fairness::Fairness;
use crate::types::settings::Settings;
use crate::types::verify::Verify;
use crate::wait::Wait;

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
        must_have_order(&path, &settings)?;
        Self::must_allow_linger(&settings)
            .map_err(|cause| Error::new(&path, Operation::Open, cause))?;
        let file = match idle::with_room(|| LockFile::open(&path, &settings)) {
            // How long to wait until it can be opened, the acquire says.
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
        must_have_order(&path, &settings)?;
        settings.verify = Verify::Off;
        Self::must_allow_linger(&settings)
            .map_err(|cause| Error::new(&path, Operation::Open, cause))?;
        let file = LockFile::new(OpenFile::given(file, &path)?, &path, &settings)?;
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
            settings,
            given,
            process: PerProcess::new(OfProcess::new(file)),
            users: AtomicUsize::new(0),
        });
        if let (Some(file), _) = handle.process().queue.glance() {
            handle.watch(&file)?;
        }
        super::registry::remember(&handle);
        Ok(handle)
    }

    /// Opens the file again: it was stale or idle, or this is a forked child.
    #[cold]
    pub(super) async fn reopen(
        self: &Arc<Self>,
        turn: &mut Turn<'_, LockFile>,
        wait: &mut Wait<'_>,
    ) -> Result<Arc<LockFile>> {
        let file = Arc::new(wait.opened().await?);
        // One that can't be watched is not kept.
        let _ = self.watch(&file);
        turn.replace(Some(&file));
        Ok(file)
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
fn must_have_order(path: &Path, settings: &Settings) -> Result<()> {
    let has_tickets = settings.protocol != Protocol::Flock && crate::sys::lock::TELLS_BLOCKERS;
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
