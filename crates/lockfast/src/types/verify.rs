//! The check that the lock file is still at its path.

/// The check by which each acquire makes sure that the locked file is still the one at the path.
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
    /// Ask whether the file was deleted, replaced or renamed since it was found at the path (about
    /// 0.3 µs), and look the path up in case of doubt.
    ///
    /// A directory that is moved with the file in it is not noticed.
    ///
    /// # Platform-specific behaviour
    ///
    /// Where the file system may keep the change time of a file that is renamed (everything but
    /// ext2/3/4, XFS, Btrfs, F2FS, tmpfs and overlays on Linux), an acquire that does not wait notices no
    /// rename, and after a wait the path is always looked up. On network file systems and FUSE it is looked
    /// up at each acquire.
    #[default]
    Links,
    /// Look the path up (about 1 µs), which notices everything everywhere.
    Path,
    /// Trust that nobody touches the file, nor its descriptor: if the program closes the descriptor of the
    /// lock file and its number becomes that of another file, the lock is taken on that one. (A number
    /// that nothing has got is noticed, and the lock file opened again.)
    Off,
}
