//! Temporary directories of tests.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A temporary directory of a test.
#[derive(Debug)]
pub struct Stage {
    _directory: TempDir,
    /// The same without symbolic links, as programs report it.
    path: PathBuf,
}

impl Stage {
    /// Creates an empty one.
    ///
    /// # Panics
    ///
    /// Panics if it can't be created.
    #[expect(clippy::new_without_default, reason = "it has an effect")]
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path();
        // On Windows this gives a path in another form.
        let path = if cfg!(unix) {
            path.canonicalize().expect("its real path")
        } else {
            path.to_owned()
        };
        Self {
            _directory: directory,
            path,
        }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.path
    }

    /// The path of a file in the directory.
    pub fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.path.join(name.as_ref())
    }

    /// The path of the lock that most tests use.
    pub fn lock(&self) -> PathBuf {
        self.path("a.lock")
    }
}
