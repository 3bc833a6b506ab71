//! Is this still the file at that path?
//!
//! A kernel lock belongs to a file, not to a name. When others delete, replace or rename the file,
//! a lock on it excludes nobody who opens the path afterwards. So after each acquire the file that
//! is locked is compared with the path, and a stale one is given back and opened again. As
//! everybody does so, two processes never both go on with "the lock at this path": the second one
//! to arrive sees the same path, and so the same file, as the first one.

use std::io;
use std::path::Path;

use crate::file::LockFile;
use crate::sys;

/// How carefully each acquire checks that the locked file is still the one at the path.
///
/// After a wait, and the first time that a file is locked, the path is always looked up; the
/// difference is in an acquire that succeeds at once.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("demo.lock");
/// use lockfast::{Lock, Verify};
///
/// let lock = Lock::options().verify(Verify::Path).open(&path)?;
/// drop(lock.lock()?);
/// # #[cfg(unix)] {
/// // Somebody moves the file away: the next acquire creates it anew and locks that one.
/// std::fs::rename(&path, dir.path().join("elsewhere"))?;
/// let guard = lock.lock()?;
/// assert!(guard.is_current()?);
/// # }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verify {
    /// Compare the number of names of the file, which finds a deleted or replaced one (about
    /// 0.3 µs).
    #[default]
    Links,
    /// Look the path up, which finds a renamed one too (about 1 µs).
    Path,
    /// Trust that nobody touches the file. It is not checked after a wait either.
    Off,
}

/// Is the locked file the one at the path?
pub(crate) fn is_current(
    file: &LockFile,
    path: &Path,
    follow: bool,
    verify: Verify,
    waited: bool,
) -> io::Result<bool> {
    match verify {
        Verify::Off => return Ok(true),
        Verify::Links if !waited => {
            if let Some(links) = file.links() {
                if sys::file::status(file)?.links == links {
                    return Ok(true);
                }
            }
        }
        Verify::Links | Verify::Path => {}
    }
    let Some(links) = links_at(file, path, follow)? else {
        return Ok(false);
    };
    file.confirm(links);
    Ok(true)
}

/// How many names the file has, if one of them is the path.
pub(crate) fn links_at(file: &LockFile, path: &Path, follow: bool) -> io::Result<Option<u64>> {
    match sys::file::status_at(path, follow) {
        // The file may lose its last name between the look-up and the count.
        Ok(status) if status.id == file.id() && status.links > 0 => Ok(Some(status.links)),
        Ok(_) => Ok(None),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(None),
            _ => Err(error),
        },
    }
}
