//! The lock that a wait is for, as far as the wait needs it.

use std::path::Path;

use crate::file::LockFile;
use crate::types::error::Result;
use crate::types::settings::Settings;
use crate::types::thread::ThreadToken;

/// The owner of a lock file for which a thread or task waits.
pub(crate) trait WaitContext: Send + Sync + 'static {
    /// The path, for errors and hooks.
    fn path(&self) -> &Path;

    /// The hooks and the fairness that were chosen.
    fn settings(&self) -> &Settings;

    /// Opens the lock file.
    fn open_file(&self) -> Result<LockFile>;

    /// Whether this thread holds that file by another handle, so that it would wait for itself.
    fn is_held_elsewhere_by(&self, thread: ThreadToken, file: &LockFile) -> bool;
}
