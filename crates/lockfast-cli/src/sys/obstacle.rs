//! Obstacles that keep a user from writing to a file.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use crate::refused::Obstacle;

/// Returns the obstacle; `None` if there seems to be none.
pub(crate) fn obstacle(path: &Path) -> Option<Obstacle> {
    let Ok(metadata) = path.metadata() else {
        let directory = path.parent()?;
        return match access(directory, AccessFlags::W_OK) {
            Err(Errno::EROFS) => Some(Obstacle::ReadOnlyFileSystem),
            Err(Errno::EACCES) => Some(Obstacle::Directory),
            _ => None,
        };
    };
    if access(path, AccessFlags::W_OK) == Err(Errno::EROFS) {
        return Some(Obstacle::ReadOnlyFileSystem);
    }
    if let Some(attribute) = attribute(path) {
        return Some(attribute);
    }
    (access(path, AccessFlags::W_OK) == Err(Errno::EACCES)).then(|| Obstacle::Mode {
        owner: metadata.uid(),
        mode: metadata.mode() & 0o7777,
    })
}

/// Returns an attribute that `chattr` has set.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn attribute(path: &Path) -> Option<Obstacle> {
    use std::ffi::CString;
    use std::mem::MaybeUninit;
    use std::os::unix::ffi::OsStrExt;

    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let mut found = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: a string that ends in NUL, and a structure that lives longer than the call.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_statx,
            libc::AT_FDCWD,
            path.as_ptr(),
            0,
            0,
            found.as_mut_ptr(),
        )
    };
    // SAFETY: all zeros are valid, and the call above wrote it if it answered 0.
    let attributes = (answer == 0).then(|| unsafe { found.assume_init() }.stx_attributes)?;
    let has = |attribute: libc::c_int| attributes & u64::from(attribute.cast_unsigned()) != 0;
    if has(libc::STATX_ATTR_IMMUTABLE) {
        Some(Obstacle::Immutable)
    } else if has(libc::STATX_ATTR_APPEND) {
        Some(Obstacle::AppendOnly)
    } else {
        None
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn attribute(_path: &Path) -> Option<Obstacle> {
    None
}
