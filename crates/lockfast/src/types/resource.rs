//! The thing that a lock is on.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::types::text::Shown;

/// The thing that a lock is on: a file, or a name in an [engine](crate::engine).
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("demo.lock");
/// let lock = lockfast::Lock::open(&path)?;
/// let guard = lock.lock()?;
///
/// let error = lock.try_lock().unwrap_err();
/// assert_eq!(error.resource().path(), Some(&*path));
/// assert_eq!(error.resource().to_string(), path.display().to_string());
/// # drop(guard);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Resource(ResourceName);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum ResourceName {
    File(PathBuf),
    Name(String),
}

impl Resource {
    /// Returns the file at that path.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(ResourceName::File(path.into()))
    }

    /// Returns the name that a lock has in an engine.
    pub fn named(name: impl Into<String>) -> Self {
        Self(ResourceName::Name(name.into()))
    }

    /// The path of the lock file; `None` for a name.
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            ResourceName::File(path) => Some(path),
            ResourceName::Name(_) => None,
        }
    }

    /// The name in its engine; `None` for a file.
    pub fn name(&self) -> Option<&str> {
        match &self.0 {
            ResourceName::File(_) => None,
            ResourceName::Name(name) => Some(name),
        }
    }

    /// The path, or the name as if it were one.
    pub(crate) fn as_path(&self) -> &Path {
        match &self.0 {
            ResourceName::File(path) => path,
            ResourceName::Name(name) => Path::new(name),
        }
    }

    /// Begins the `Debug` form of a handle or guard of this resource.
    pub(crate) fn debug<'f, 'a>(
        &self,
        f: &'f mut fmt::Formatter<'a>,
        what: &str,
    ) -> fmt::DebugStruct<'f, 'a> {
        let mut debug = f.debug_struct(what);
        match &self.0 {
            ResourceName::File(path) => debug.field("path", path),
            ResourceName::Name(name) => debug.field("name", name),
        };
        debug
    }

    /// The place of its lock in the order in which several are taken: the same for all spellings of a path.
    ///
    /// Paths decide, not files, because the file at a path may be replaced during a wait.
    pub(crate) fn order_key(&self) -> (PathBuf, OsString) {
        match &self.0 {
            ResourceName::Name(name) => (PathBuf::new(), name.into()),
            ResourceName::File(path) => {
                let parent = path.parent().unwrap_or(path);
                // Only the directory is resolved: the file may not be there yet, or be a link that others replace.
                let parent = fs::canonicalize(parent).unwrap_or_else(|_| parent.to_path_buf());
                (parent, path.file_name().unwrap_or_default().to_os_string())
            }
        }
    }
}

impl From<&Path> for Resource {
    fn from(path: &Path) -> Self {
        Self::file(path)
    }
}

impl From<&PathBuf> for Resource {
    fn from(path: &PathBuf) -> Self {
        Self::file(path)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown::path(self.as_path()).fmt(f)
    }
}
